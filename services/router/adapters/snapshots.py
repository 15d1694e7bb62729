"""Snapshots of tenant states: in MongoDB, and in memory for tests. Both pass the same contract suite."""

import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import gevent
from bson.errors import BSONError
from pymongo.collection import Collection as Documents
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from services.shared.chassis.documents import WAIT_SECONDS, open_database, sentence_of

_FASTEST = 1


class SnapshotsUnavailable(Exception):
    """The document store does not answer or refuses. The shell tries again later; nothing is lost, the log is there."""


class UnreadableSnapshot(SnapshotsUnavailable):
    """What is kept is of a newer version than this one, or damaged: who can read it has to have the partition."""


@dataclass(frozen=True, slots=True)
class TenantSnapshot:
    """One tenant's state before the input at `next_offset`."""

    tenant_id: str
    next_offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """All tenants of a partition whose inputs begin before `next_offset`, and the offsets that must be left out."""

    next_offset: int
    tenants: list[TenantSnapshot]
    skipped: frozenset[int]
    core: str = ""
    """The core that decided what stands before `next_offset`."""


@dataclass(frozen=True, slots=True)
class Place:
    """From where a partition is to be read on, which core decided what stands before, and what must be left out."""

    next_offset: int
    core: str
    skipped: frozenset[int] = frozenset()
    log: str = ""
    """The id of the topic that it is of; empty where an older version has kept it, or the broker gives none."""


class Snapshots(Protocol):
    """Keeps snapshots. Each method raises SnapshotsUnavailable."""

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot; one of offset 0 without tenants when there is none."""

    def places(self, partitions: Collection[int]) -> dict[int, Place]:
        """Return the places alone of the newest snapshots; offset 0 and no core where there is none."""

    def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
        """Keep the changed tenants, but none over a newer one: who lost the partition may write before he knows it."""

    def save_place(self, partition: int, next_offset: int, core: str = "", log: str = "") -> None:
        """Keep from where to read on, once the tenants are kept, but never go back."""

    def skip(self, partition: int, offset: int, reason: str) -> None:
        """Leave an input out of every replay from now on."""


class MongoSnapshots:
    """Collections router_states, router_partitions, router_skipped."""

    def __init__(self, uri: str, wait_seconds: float = WAIT_SECONDS) -> None:
        self.database: Database[dict[str, Any]] = open_database(uri, "router", wait_seconds)

    def close(self) -> None:
        """Let go of the connections."""
        self.database.client.close()

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot."""
        with _as_unavailable():
            place = self._places([partition])[partition]
            states = list(self._collection("router_states").find({"partition": partition}))
        return PartitionSnapshot(place.next_offset, [_tenant(row) for row in states], place.skipped, place.core)

    def places(self, partitions: Collection[int]) -> dict[int, Place]:
        """Return the places of the newest snapshots."""
        with _as_unavailable():
            return self._places(partitions)

    def _places(self, partitions: Collection[int]) -> dict[int, Place]:
        numbers = list(partitions)
        rows = {row["_id"]: row for row in self._collection("router_partitions").find({"_id": {"$in": numbers}})}
        left_out: dict[int, set[int]] = {number: set() for number in numbers}
        for each in self._collection("router_skipped").find({"partition": {"$in": numbers}}):
            left_out[each["partition"]].add(each["offset"])
        return {number: _place(rows.get(number, {}), left_out[number]) for number in numbers}

    def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
        """Keep tenants."""
        for tenant in changed:
            # Pressed in another thread: the loop decides calls meanwhile.
            state = gevent.get_hub().threadpool.apply(zlib.compress, (tenant.data, _FASTEST))
            row = {"partition": partition, "tenant_id": tenant.tenant_id, "state": state}
            self._replace_older("router_states", f"{partition}/{tenant.tenant_id}", tenant.next_offset, row)

    def save_place(self, partition: int, next_offset: int, core: str = "", log: str = "") -> None:
        """Keep from where to read on."""
        self._replace_older("router_partitions", partition, next_offset, {"core": core, "log": log})

    def _replace_older(self, collection: str, key: str | int, next_offset: int, row: dict[str, Any]) -> None:
        older = {"_id": key, "next_offset": {"$lte": next_offset}}
        with _as_unavailable(), suppress(DuplicateKeyError):  # what is there is newer
            self._collection(collection).replace_one(
                older, {"_id": key, "next_offset": next_offset, **row}, upsert=True
            )

    def skip(self, partition: int, offset: int, reason: str) -> None:
        """Leave an input out."""
        row = {"_id": f"{partition}/{offset}", "partition": partition, "offset": offset, "reason": reason}
        with _as_unavailable():
            self._collection("router_skipped").replace_one({"_id": row["_id"]}, row, upsert=True)

    def _collection(self, name: str) -> "Documents[dict[str, Any]]":
        return self.database[name]


class MemorySnapshots:
    """The same in memory."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._tenants: dict[tuple[int, str], TenantSnapshot] = {}
        self._skipped: set[tuple[int, int]] = set()

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot."""
        place = self._place(partition)
        return PartitionSnapshot(
            place.next_offset,
            [tenant for (number, _), tenant in self._tenants.items() if number == partition],
            place.skipped,
            place.core,
        )

    def places(self, partitions: Collection[int]) -> dict[int, Place]:
        """Return the places of the newest snapshots."""
        return {number: self._place(number) for number in partitions}

    def _place(self, partition: int) -> Place:
        skipped = frozenset(offset for number, offset in self._skipped if number == partition)
        return replace(self._places.get(partition, Place(0, "")), skipped=skipped)

    def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
        """Keep tenants."""
        for tenant in changed:
            kept = self._tenants.get((partition, tenant.tenant_id))
            if kept is None or kept.next_offset <= tenant.next_offset:
                self._tenants[partition, tenant.tenant_id] = tenant

    def save_place(self, partition: int, next_offset: int, core: str = "", log: str = "") -> None:
        """Keep from where to read on."""
        if next_offset >= self._place(partition).next_offset:
            self._places[partition] = Place(next_offset, core, log=log)

    def skip(self, partition: int, offset: int, reason: str) -> None:  # noqa: ARG002 - the port's signature
        """Leave an input out."""
        self._skipped.add((partition, offset))


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise SnapshotsUnavailable(sentence_of(error)) from error
    except BSONError as error:  # a document beyond MongoDB's 16 MB, which its driver does not count among its errors
        raise SnapshotsUnavailable(f"a document can't be kept: {error}") from error


def _place(row: Mapping[str, Any], left_out: Collection[int]) -> Place:
    return Place(row.get("next_offset", 0), row.get("core", ""), frozenset(left_out), row.get("log", ""))


def _tenant(row: dict[str, Any]) -> TenantSnapshot:
    try:
        data = zlib.decompress(row["state"])
    except zlib.error as error:
        raise UnreadableSnapshot(f"what is kept of {row['tenant_id']} is damaged: {error}") from error
    return TenantSnapshot(row["tenant_id"], row["next_offset"], data)
