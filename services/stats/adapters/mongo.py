from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from services.shared.bus.positions import LogName
from services.shared.chassis.documents import WAIT_SECONDS, open_database, sentence_of
from services.stats.domain.call_log import OUTBOUND, exit_of, read
from services.stats.domain.facts.forgetting import CALLER, NAMING, without_person
from services.stats.domain.facts.kept import AGENT_FACTS, CALLBACKS, CALLS, FACTS, HAPPENINGS
from services.stats.domain.facts.legs import LEGS
from services.stats.store import (
    RETAINED_FROM,
    REVISION,
    RISING,
    CallFields,
    FactFields,
    Named,
    PartitionSnapshot,
    Since,
    StoreUnavailable,
    TenantSnapshot,
    mark_of,
)

STATES = "stats_states"
PARTITIONS = "stats_partitions"
MARKS = "stats_marks"
LOGS = "stats_logs"
GENERATION = "generation"
"""The field of a tenant's marks that is new whenever they are: what was made of former documents is made anew."""
COLLECTIONS = (CALLS, AGENT_FACTS, CALLBACKS, HAPPENINGS, LEGS)
Marks = dict[tuple[str, str], int]
"""Revision by tenant and field of its mark."""
READ_BATCH = 500
WRITE_BATCH = 500
"""Documents in one request: a second at a thousand upserts a second, far from the ten seconds that an answer may take.
A request that is given up still runs in the store, and its repetition waits behind it: 20,000 documents never ended."""
MOST_KEPT = 500


class MongoStore:
    """The call log, a document a call keyed by tenant and call; and the snapshots, a document a tenant and partition.

    A repeated write changes nothing. Every method raises StoreUnavailable.
    """

    def __init__(self, uri: str, wait_seconds: float = WAIT_SECONDS, retention_days: int = 0) -> None:
        database = open_database(uri, "stats", wait_seconds)
        self._database = database
        self._retention_days = retention_days
        self._client = database.client
        self._calls = database[CALLS]
        self._states = database[STATES]
        self._partitions = database[PARTITIONS]

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def prepare(self) -> None:
        """Make the indexes."""
        with _as_unavailable():
            self._calls.create_index([("tenant_id", 1), ("started_ms", -1)])
            self._states.create_index("partition")
            for kind in ("norms", "mails", "erasures"):
                self._database[f"stats_{kind}"].create_index([("tenant_id", 1), ("at_ms", -1)])
            for name in COLLECTIONS:
                # What the report tables read on from; on a sharded store the tenant is the shard key's first field.
                self._database[name].create_index([("tenant_id", 1), (REVISION, 1)])
                if self._retention_days:
                    seconds = self._retention_days * 86_400
                    self._database[name].create_index(RETAINED_FROM, expireAfterSeconds=seconds)

    def write(self, calls: CallFields, facts: FactFields | None = None) -> None:
        """Set fields of documents, then each tenant's mark."""
        marks: Marks = {}
        changes: dict[str, list[UpdateOne]] = {}
        for (tenant_id, call_id), fields in calls.items():
            own = {**fields, "tenant_id": tenant_id, "call_id": call_id}
            changes.setdefault(CALLS, []).append(_change(f"{tenant_id}/{call_id}", own, REVISION, marks))
        for (collection, tenant_id, key), fields in (facts or {}).items():
            own = {**fields, "tenant_id": tenant_id, "key": key}
            change = _change(f"{tenant_id}/{key}", own, mark_of(collection), marks)
            changes.setdefault(collection, []).append(change)
        with _as_unavailable():
            for collection, updates in changes.items():
                self._write(collection, updates)
            self._write(MARKS, [_marked(*place, revision) for place, revision in marks.items()])

    def _write(self, collection: str, updates: list[UpdateOne]) -> None:
        for start in range(0, len(updates), WRITE_BATCH):
            self._database[collection].bulk_write(updates[start : start + WRITE_BATCH], ordered=False)

    def mark(self, tenant_id: str, collection: str = CALLS) -> int:
        """Return up to which revision everything is written."""
        with _as_unavailable():
            found = self._database[MARKS].find_one({"_id": tenant_id}) or {}
        return int(found.get(mark_of(collection), 0))

    def generation(self, tenant_id: str) -> str:
        """Return which generation of documents it is."""
        with _as_unavailable():
            found = self._database[MARKS].find_one({"_id": tenant_id}) or {}
        return str(found.get(GENERATION, ""))

    def changed(self, tenant_id: str, collection: str, after: int) -> Iterator[dict[str, Any]]:
        """Return documents of a higher revision."""
        wanted = {"tenant_id": tenant_id, REVISION: {"$gt": after}}
        with _as_unavailable():
            yield from self._database[collection].find(wanted, {"trace": 0}).sort(REVISION, 1).batch_size(READ_BATCH)

    def keep(self, kind: str, tenant_id: str, key: str, fields: dict[str, Any]) -> None:
        """Set fields of an own document."""
        own = {**fields, "tenant_id": tenant_id, "key": key}
        with _as_unavailable():
            self._database[f"stats_{kind}"].update_one({"_id": f"{tenant_id}/{key}"}, {"$set": own}, upsert=True)

    def kept(self, kind: str, tenant_id: str, keys: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return the own documents of a kind."""
        wanted = {"tenant_id": tenant_id} if keys is None else {"_id": {"$in": [f"{tenant_id}/{key}" for key in keys]}}
        with _as_unavailable():
            found = self._database[f"stats_{kind}"].find(wanted, {"_id": 0}).sort("at_ms", -1)
            return list(found.limit(MOST_KEPT if keys is None else 0))

    def forget_facts(self, tenant_id: str | None, since: Since = None, legs_since: Since = None) -> None:
        """Delete what can be rebuilt."""
        own = {} if tenant_id is None else {"tenant_id": tenant_id}
        with _as_unavailable():
            for name in COLLECTIONS:
                after = legs_since if name == LEGS else since
                young = {} if after is None else {RETAINED_FROM: {"$gte": after}}
                self._database[name].delete_many({**own, **young})
            self._states.delete_many(own)
            self._database[MARKS].delete_many({} if tenant_id is None else {"_id": tenant_id})
            self._partitions.delete_many({})

    def naming(self, tenant_id: str, numbers: Sequence[str], collections: Sequence[str]) -> list[Named]:
        """Return documents that name a person. No index helps: it would cost each call, for what is asked seldom."""
        found: list[Named] = []
        with _as_unavailable():
            for name in collections:
                wanted = {"tenant_id": tenant_id, **_names_person(name, list(numbers))}
                for document in self._database[name].find(wanted).batch_size(READ_BATCH):
                    key = document["call_id"] if name == CALLS else document["key"]
                    found.append(Named(name, key, without_person(name, document, numbers)))
        return [each for each in found if each.fields]

    def forget_persons(self, tenant_id: str, found: Sequence[Named], revision: int) -> None:
        """Make documents name nobody."""
        changes: dict[str, list[UpdateOne]] = {}
        for each in found:
            sets = {path: value for path, value in each.fields.items() if value is not None}
            gone = {path: "" for path, value in each.fields.items() if value is None}
            change = (
                {"$max": {REVISION: revision}} | ({"$set": sets} if sets else {}) | ({"$unset": gone} if gone else {})
            )
            changes.setdefault(each.collection, []).append(UpdateOne({"_id": f"{tenant_id}/{each.key}"}, change))
        with _as_unavailable():
            for name, updates in changes.items():
                self._write(name, updates)
            self._write(MARKS, [_marked(tenant_id, mark_of(name), revision) for name in changes])

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot."""
        with _as_unavailable():
            place = self._partitions.find_one({"_id": partition})
            rows = list(self._states.find({"partition": partition}))
        tenants = [TenantSnapshot(row["tenant_id"], row["next_offset"], bytes(row["data"])) for row in rows]
        return PartitionSnapshot(place["next_offset"] if place else 0, tenants)

    def log_of(self, topic: str, partition: int) -> LogName | None:
        """Return which log a partition was."""
        with _as_unavailable():
            found = self._database[LOGS].find_one({"_id": f"{topic}/{partition}"})
        return LogName(int(found["epoch"]), found["topic_id"]) if found else None

    def keep_log(self, topic: str, partition: int, name: LogName) -> None:
        """Keep which log a partition is."""
        row = {"_id": f"{topic}/{partition}", "epoch": name.epoch, "topic_id": name.topic_id}
        with _as_unavailable():
            self._database[LOGS].replace_one({"_id": row["_id"]}, row, upsert=True)

    def save(self, partition: int, next_offset: int, changed: list[TenantSnapshot]) -> None:
        """Keep a snapshot."""
        with _as_unavailable():
            for tenant in changed:
                row = {
                    "_id": f"{partition}/{tenant.tenant_id}",
                    "partition": partition,
                    "tenant_id": tenant.tenant_id,
                    "next_offset": tenant.next_offset,
                    "data": tenant.data,
                }
                self._states.replace_one({"_id": row["_id"]}, row, upsert=True)
            place = {"_id": partition, "next_offset": next_offset}
            self._partitions.replace_one({"_id": partition}, place, upsert=True)

    def summary(self, tenant_id: str | None) -> dict[str, Any]:
        """Return totals of a tenant, or of all."""
        own: dict[str, Any] = {} if tenant_id is None else {"tenant_id": tenant_id}
        inbound, outbound = {**own, "direction": {"$ne": OUTBOUND}}, {**own, "direction": OUTBOUND}
        with _as_unavailable():
            told = {"exit": "$exit", "answered": {"$ifNull": ["$answered", False]}}
            ended = [{"$match": {**inbound, "ended": True}}, {"$group": {"_id": told, "n": {"$sum": 1}}}]
            exits: Counter[str] = Counter()
            for row in self._calls.aggregate(ended):
                exits[exit_of(row["_id"])] += row["n"]
            stored = self._calls.find({**own, "recordings": {"$exists": True}}, {"recordings": 1})
            return {
                "calls_in": self._calls.count_documents({**inbound, "started": True}),
                "calls_ended": self._calls.count_documents({**inbound, "ended": True}),
                "answered": self._calls.count_documents({**inbound, "answered": True}),
                "called_back": {
                    "dialled": self._calls.count_documents({**outbound, "dialled": True}),
                    "answered": self._calls.count_documents({**outbound, "answered": True}),
                    "not_ended": self._calls.count_documents({**outbound, "ended": {"$ne": True}}),
                },
                "by_exit": dict(exits),
                "recordings_stored": sum(len(call["recordings"]) for call in stored),
            }

    def call(self, tenant_id: str, call_id: str) -> dict[str, Any] | None:
        """Return one call with its trace."""
        with _as_unavailable():
            found: dict[str, Any] | None = self._calls.find_one(
                {"_id": f"{tenant_id}/{call_id}"}, {"_id": 0, "facts": 0, REVISION: 0, RETAINED_FROM: 0}
            )
            return read(found) if found else None

    def newest(self, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest calls of a tenant, or of all."""
        own = {} if tenant_id is None else {"tenant_id": tenant_id}
        with _as_unavailable():
            shown = {"_id": 0, "trace": 0, "facts": 0, REVISION: 0, RETAINED_FROM: 0}
            return [read(call) for call in self._calls.find(own, shown).sort("started_ms", -1).limit(limit)]


def _marked(tenant_id: str, name: str, revision: int) -> UpdateOne:
    change = {"$max": {name: revision}, "$setOnInsert": {GENERATION: uuid4().hex}}
    return UpdateOne({"_id": tenant_id}, change, upsert=True)


def _change(key: str, fields: dict[str, Any], mark: str, marks: Marks) -> UpdateOne:
    """Return the upsert of a document; its revision and the moment that its retention counts from never go back."""
    highest = {name: fields.pop(name) for name in RISING if name in fields}
    if REVISION in highest:
        place = (fields["tenant_id"], mark)
        marks[place] = max(marks.get(place, 0), highest[REVISION])
    change: dict[str, Any] = {"$set": fields}
    if highest:
        change["$max"] = highest
    return UpdateOne({"_id": key}, change, upsert=True)


def _names_person(collection: str, numbers: list[str]) -> dict[str, Any]:
    """Return the condition for documents of which a fact names a person, whatever the fact's own key is."""
    if collection == HAPPENINGS:
        return {"client": {"$in": numbers}}
    has_it = {"$or": [{"$in": [f"$$fact.v.{name}", numbers]} for name in NAMING[collection]]}
    facts = {"$objectToArray": {"$ifNull": [f"${FACTS}", {}]}}
    by_fact = {"$expr": {"$anyElementTrue": [{"$map": {"input": facts, "as": "fact", "in": has_it}}]}}
    return {"$or": [by_fact, {CALLER: {"$in": numbers}}]} if collection == CALLS else by_fact


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(sentence_of(error)) from error
