"""One suite for both keepers of snapshots."""

import random
from collections.abc import Iterator

import pytest

from services.router.adapters.snapshots import (
    MemorySnapshots,
    MongoSnapshots,
    PartitionSnapshot,
    Place,
    Snapshots,
    SnapshotsUnavailable,
    TenantSnapshot,
    UnreadableSnapshot,
)


@pytest.fixture(params=["memory", "mongo"])
def snapshots(request: pytest.FixtureRequest) -> Iterator[Snapshots]:
    if request.param == "memory":
        yield MemorySnapshots()
        return
    snapshots = MongoSnapshots(request.getfixturevalue("mongodb_uri"))
    yield snapshots
    snapshots.close()


def test_without_a_snapshot_everything_is_read_from_the_beginning(snapshots: Snapshots) -> None:
    assert snapshots.load(90) == PartitionSnapshot(0, [], frozenset())


def test_what_is_saved_is_loaded_and_each_tenant_keeps_its_own_offset(snapshots: Snapshots) -> None:
    snapshots.save_tenants(91, [TenantSnapshot("acme", 5, b"one"), TenantSnapshot("beta", 5, b"x" * 500_000)])
    snapshots.save_place(91, 5)
    snapshots.save_tenants(91, [TenantSnapshot("acme", 9, b"two")])
    snapshots.save_place(91, 9)
    loaded = snapshots.load(91)
    assert loaded.next_offset == 9
    assert sorted((tenant.tenant_id, tenant.next_offset, len(tenant.data)) for tenant in loaded.tenants) == [
        ("acme", 9, 3),
        ("beta", 5, 500_000),
    ]


def test_an_older_snapshot_that_comes_late_replaces_nothing(snapshots: Snapshots) -> None:
    for next_offset, data in ((9, b"new"), (5, b"old"), (9, b"the same again")):
        snapshots.save_tenants(94, [TenantSnapshot("acme", next_offset, data)])
        snapshots.save_place(94, next_offset)
    assert snapshots.load(94) == PartitionSnapshot(9, [TenantSnapshot("acme", 9, b"the same again")], frozenset())


def test_the_core_that_decided_is_kept_beside_the_place(snapshots: Snapshots) -> None:
    assert snapshots.places([95])[95] == Place(0, "")
    snapshots.save_place(95, 5, "one")
    snapshots.save_place(95, 9, "two")
    snapshots.save_place(95, 7, "one, late")
    assert snapshots.places([95])[95] == Place(9, "two")
    assert snapshots.load(95).core == "two"


def test_an_offset_to_leave_out_belongs_to_one_partition(snapshots: Snapshots) -> None:
    for _ in range(2):
        snapshots.skip(92, 17, "KeyError: a fault of ours")
    assert snapshots.load(92).skipped == frozenset({17})
    assert snapshots.load(93).skipped == frozenset()


def test_what_must_be_left_out_is_told_with_the_place(snapshots: Snapshots) -> None:
    snapshots.skip(96, 3, "KeyError: a fault of ours")
    assert snapshots.places([96])[96] == Place(0, "", frozenset({3}))


def test_places_are_asked_for_together(snapshots: Snapshots) -> None:
    snapshots.save_place(97, 5, "one", "log")
    snapshots.skip(98, 4, "KeyError: a fault of ours")
    found = snapshots.places([97, 98, 99])
    assert found == {97: Place(5, "one", log="log"), 98: Place(0, "", frozenset({4})), 99: Place(0, "")}


def test_a_tenant_who_is_too_large_for_the_document_store_is_not_kept_and_ends_nobody(mongodb_uri: str) -> None:
    snapshots = MongoSnapshots(mongodb_uri)
    noise = random.Random(1).randbytes(17 * 1024 * 1024)
    with pytest.raises(SnapshotsUnavailable):
        snapshots.save_tenants(97, [TenantSnapshot("acme", 5, noise)])
    assert snapshots.load(97).tenants == []
    snapshots.close()


def test_what_is_damaged_is_told_with_the_tenant(mongodb_uri: str) -> None:
    snapshots = MongoSnapshots(mongodb_uri)
    row = {"_id": "98/acme", "partition": 98, "tenant_id": "acme", "next_offset": 5, "state": b"not pressed"}
    snapshots.database["router_states"].insert_one(row)
    with pytest.raises(UnreadableSnapshot, match="acme"):
        snapshots.load(98)
    snapshots.database["router_states"].delete_one({"_id": "98/acme"})
    snapshots.close()


def test_a_document_store_that_is_away_is_named_as_such() -> None:
    snapshots = MongoSnapshots("mongodb://127.0.0.1:1", wait_seconds=0.2)
    with pytest.raises(SnapshotsUnavailable):
        snapshots.load(0)
    snapshots.close()
