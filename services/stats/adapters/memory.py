from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import uuid4

from services.shared.bus.positions import LogName
from services.stats.domain.call_log import OUTBOUND, exit_of, read
from services.stats.domain.facts.forgetting import without_person
from services.stats.domain.facts.kept import CALLS
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
    TenantSnapshot,
    mark_of,
)

_INNER = ("facts", *RISING)


class MemoryStore:
    """The same as MongoStore in memory, for tests; it passes the same suite."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], dict[str, Any]] = {}
        self.facts: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.own: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._marks: dict[tuple[str, str], int] = {}
        self._generations: dict[str, str] = {}
        self._tenants: dict[tuple[int, str], TenantSnapshot] = {}
        self._offsets: dict[int, int] = {}
        self._logs: dict[tuple[str, int], LogName] = {}

    def prepare(self) -> None:
        """Nothing to make."""

    def write(self, calls: CallFields, facts: FactFields | None = None) -> None:
        """Set fields of documents; `a.b` sets b within a."""
        for (tenant_id, call_id), fields in calls.items():
            call = self.calls.setdefault((tenant_id, call_id), {"tenant_id": tenant_id, "call_id": call_id})
            self._set(call, fields, CALLS)
        for (collection, tenant_id, key), fields in (facts or {}).items():
            own = {"tenant_id": tenant_id, "key": key}
            self._set(self.facts.setdefault((collection, tenant_id, key), own), fields, collection)

    def mark(self, tenant_id: str, collection: str = CALLS) -> int:
        """Return up to which revision everything is written."""
        return self._marks.get((tenant_id, mark_of(collection)), 0)

    def generation(self, tenant_id: str) -> str:
        """Return which generation of documents it is."""
        return self._generations.get(tenant_id, "")

    def changed(self, tenant_id: str, collection: str, after: int) -> Iterator[dict[str, Any]]:
        """Return documents of a higher revision."""
        calls = self.calls.values() if collection == CALLS else ()
        others = (each for (name, _, _), each in self.facts.items() if name == collection)
        found = [each for each in (*calls, *others) if each["tenant_id"] == tenant_id and each.get(REVISION, 0) > after]
        yield from sorted(found, key=lambda each: each[REVISION])

    def keep(self, kind: str, tenant_id: str, key: str, fields: dict[str, Any]) -> None:
        """Set fields of an own document."""
        self.own.setdefault((kind, tenant_id, key), {"tenant_id": tenant_id, "key": key}).update(fields)

    def kept(self, kind: str, tenant_id: str, keys: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return the own documents of a kind."""
        own = {key: each for (name, owner, key), each in self.own.items() if (name, owner) == (kind, tenant_id)}
        found = [dict(each) for key, each in own.items() if keys is None or key in keys]
        return sorted(found, key=lambda each: -each.get("at_ms", 0))[: 500 if keys is None else None]

    def forget_facts(self, tenant_id: str | None, since: Since = None, legs_since: Since = None) -> None:
        """Delete what can be rebuilt."""

        def is_kept(owner: str, document: dict[str, Any], after: Since) -> bool:
            is_old = after is not None and document.get(RETAINED_FROM, after) < after
            return tenant_id not in (None, owner) or is_old

        self.calls = {key: each for key, each in self.calls.items() if is_kept(key[0], each, since)}
        self.facts = {
            key: each
            for key, each in self.facts.items()
            if is_kept(key[1], each, legs_since if key[0] == LEGS else since)
        }
        self._marks = {key: each for key, each in self._marks.items() if tenant_id not in (None, key[0])}
        self._generations = {key: each for key, each in self._generations.items() if tenant_id not in (None, key)}
        self._tenants = {key: each for key, each in self._tenants.items() if tenant_id not in (None, key[1])}
        self._offsets = {}

    def _set(self, document: dict[str, Any], fields: dict[str, Any], collection: str) -> None:
        for name, value in fields.items():
            outer, _, inner = name.partition(".")
            if inner:
                document.setdefault(outer, {})[inner] = value
            elif name in RISING:
                document[name] = max(document.get(name, value), value)
            else:
                document[name] = value
        if REVISION in fields:
            place = (document["tenant_id"], mark_of(collection))
            self._marks[place] = max(self._marks.get(place, 0), fields[REVISION])
            self._generations.setdefault(document["tenant_id"], uuid4().hex)

    def naming(self, tenant_id: str, numbers: Sequence[str], collections: Sequence[str]) -> list[Named]:
        """Return documents that name a person."""
        every = [(CALLS, owner, key, each) for (owner, key), each in self.calls.items()]
        every += [(name, owner, key, each) for (name, owner, key), each in self.facts.items()]
        found = [
            Named(name, key, without_person(name, each, numbers))
            for name, owner, key, each in every
            if owner == tenant_id and name in collections
        ]
        return [each for each in found if each.fields]

    def forget_persons(self, tenant_id: str, found: Sequence[Named], revision: int) -> None:
        """Make documents name nobody."""
        for each in found:
            is_call = each.collection == CALLS
            document = self.calls[tenant_id, each.key] if is_call else self.facts[each.collection, tenant_id, each.key]
            for path, value in each.fields.items():
                *outer, last = path.split(".")
                place = document
                for name in outer:
                    place = place[name]
                if value is None:
                    place.pop(last, None)
                else:
                    place[last] = value
            self._set(document, {REVISION: revision}, each.collection)

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot."""
        tenants = [tenant for (number, _), tenant in self._tenants.items() if number == partition]
        return PartitionSnapshot(self._offsets.get(partition, 0), tenants)

    def log_of(self, topic: str, partition: int) -> LogName | None:
        """Return which log a partition was."""
        return self._logs.get((topic, partition))

    def keep_log(self, topic: str, partition: int, name: LogName) -> None:
        """Keep which log a partition is."""
        self._logs[topic, partition] = name

    def save(self, partition: int, next_offset: int, changed: list[TenantSnapshot]) -> None:
        """Keep a snapshot."""
        for tenant in changed:
            self._tenants[partition, tenant.tenant_id] = tenant
        self._offsets[partition] = next_offset

    def summary(self, tenant_id: str | None) -> dict[str, Any]:
        """Return totals."""
        every = self._of(tenant_id)
        calls = [call for call in every if call.get("direction") != OUTBOUND]
        outbound = [call for call in every if call.get("direction") == OUTBOUND]
        ended = [call for call in calls if call.get("ended")]
        return {
            "calls_in": sum(bool(call.get("started")) for call in calls),
            "calls_ended": len(ended),
            "answered": sum(bool(call.get("answered")) for call in calls),
            "called_back": {
                "dialled": sum(bool(call.get("dialled")) for call in outbound),
                "answered": sum(bool(call.get("answered")) for call in outbound),
                "not_ended": sum(not call.get("ended") for call in outbound),
            },
            "by_exit": dict(Counter(exit_of(call) for call in ended)),
            "recordings_stored": sum(len(call.get("recordings", {})) for call in every),
        }

    def call(self, tenant_id: str, call_id: str) -> dict[str, Any] | None:
        """Return one call with its trace."""
        call = self.calls.get((tenant_id, call_id))
        return None if call is None else read({name: value for name, value in call.items() if name not in _INNER})

    def newest(self, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest calls."""
        newest = sorted(self._of(tenant_id), key=lambda call: -call.get("started_ms", 0))[:limit]
        hidden = ("trace", *_INNER)
        return [read({name: value for name, value in call.items() if name not in hidden}) for call in newest]

    def _of(self, tenant_id: str | None) -> list[dict[str, Any]]:
        return [call for (owner, _), call in self.calls.items() if tenant_id in (None, owner)]
