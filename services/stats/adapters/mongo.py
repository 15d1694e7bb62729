from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from services.shared.chassis.documents import WAIT_SECONDS, open_database, sentence_of
from services.stats.domain.call_log import OUTBOUND
from services.stats.store import CallFields, PartitionSnapshot, StoreUnavailable, TenantSnapshot

CALLS = "calls"
STATES = "stats_states"
PARTITIONS = "stats_partitions"


class MongoStore:
    """The call log, a document a call keyed by tenant and call; and the snapshots, a document a tenant and partition.

    A repeated write changes nothing. Every method raises StoreUnavailable.
    """

    def __init__(self, uri: str, wait_seconds: float = WAIT_SECONDS) -> None:
        database = open_database(uri, "stats", wait_seconds)
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

    def write(self, calls: CallFields) -> None:
        """Set fields of calls."""
        if not calls:
            return
        changes = [
            UpdateOne(
                {"_id": f"{tenant_id}/{call_id}"},
                {"$set": {**fields, "tenant_id": tenant_id, "call_id": call_id}},
                upsert=True,
            )
            for (tenant_id, call_id), fields in calls.items()
        ]
        with _as_unavailable():
            self._calls.bulk_write(changes, ordered=False)

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot."""
        with _as_unavailable():
            place = self._partitions.find_one({"_id": partition})
            rows = list(self._states.find({"partition": partition}))
        tenants = [TenantSnapshot(row["tenant_id"], row["next_offset"], bytes(row["data"])) for row in rows]
        return PartitionSnapshot(place["next_offset"] if place else 0, tenants)

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
            exits = list(
                self._calls.aggregate(
                    [{"$match": {**inbound, "ended": True}}, {"$group": {"_id": "$exit", "n": {"$sum": 1}}}]
                )
            )
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
                "by_exit": {row["_id"]: row["n"] for row in exits},
                "recordings_stored": sum(len(call["recordings"]) for call in stored),
            }

    def call(self, tenant_id: str, call_id: str) -> dict[str, Any] | None:
        """Return one call with its trace."""
        with _as_unavailable():
            found: dict[str, Any] | None = self._calls.find_one({"_id": f"{tenant_id}/{call_id}"}, {"_id": 0})
            return found

    def newest(self, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest calls of a tenant, or of all."""
        own = {} if tenant_id is None else {"tenant_id": tenant_id}
        with _as_unavailable():
            return list(self._calls.find(own, {"_id": 0, "trace": 0}).sort("started_ms", -1).limit(limit))


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(sentence_of(error)) from error
