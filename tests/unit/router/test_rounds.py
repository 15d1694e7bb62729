"""Rounds of snapshots beside the loop: what is kept, in which order, and what a store that is slow or away changes."""

import gevent
import orjson
import pytest
from gevent.event import Event as Flag
from prometheus_client import REGISTRY

from services.router.adapters.snapshots import (
    MemorySnapshots,
    PartitionSnapshot,
    SnapshotsUnavailable,
    TenantSnapshot,
)
from services.router.core_identity import core_identity
from services.router.domain.snapshot import to_snapshot
from services.router.domain.state import TenantState
from services.router.partition import Partition
from services.router.rounds import SnapshotRounds
from tests.unit.router.world import START_MS


class Store(MemorySnapshots):
    """Notes what it is given, and keeps it only while it is open and there."""

    def __init__(self) -> None:
        super().__init__()
        self.open = Flag()
        self.open.set()
        self.is_away = False
        self.given: list[str] = []

    def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
        self.given += [one.tenant_id for one in changed]
        self.open.wait(10)
        if self.is_away:
            raise SnapshotsUnavailable("away")
        super().save_tenants(partition, changed)

    def save_place(self, partition: int, next_offset: int, core: str = "", log: str = "") -> None:
        self.given.append(f"place {partition}")
        super().save_place(partition, next_offset, core, log)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("services.router.rounds.CAPTURE_SECONDS", 0.0)
    return Store()


def _partition(*tenant_ids: str, number: int = 0) -> Partition:
    """Return a partition of which these tenants have changed since its snapshot at 4."""
    states = [
        TenantSnapshot(tenant_id, 4, orjson.dumps(to_snapshot(TenantState(tenant_id)))) for tenant_id in tenant_ids
    ]
    partition = Partition(number, PartitionSnapshot(4, states, frozenset()), "topic")
    partition.take_over(4, START_MS)
    partition.not_kept(list(tenant_ids))
    return partition


def _step(rounds: SnapshotRounds, times: int = 1) -> None:
    for _ in range(times):
        rounds.step()
        gevent.sleep(0)


def test_tenants_are_kept_one_after_the_other_and_the_place_when_all_are(store: Store) -> None:
    rounds, partition = SnapshotRounds(store), _partition("a", "b", "c")
    rounds.begin([partition])
    _step(rounds, 2)
    assert len(store.given) == 2
    partition.pass_over(9)
    _step(rounds, 2)
    assert sorted(store.given[:3]) == ["a", "b", "c"]
    assert store.given[3:] == ["place 0"]
    kept = store.load(0)
    assert (kept.next_offset, kept.core, store.places([0])[0].log) == (4, core_identity(), "topic")
    assert sorted(one.next_offset for one in kept.tenants) == [4, 4, 9]
    assert not rounds.are_under_way


def test_nothing_is_written_of_what_has_not_changed_or_is_read_again(store: Store) -> None:
    rounds, unchanged, late = SnapshotRounds(store), _partition(), _partition("a", number=1)
    unchanged.inputs_since_snapshot = 0
    late.take_over(99, START_MS)
    rounds.keep([unchanged, late])
    assert store.given == []


def test_a_store_that_is_slow_holds_nobody_up(store: Store) -> None:
    rounds = SnapshotRounds(store)
    rounds.begin([_partition("a", "b")])
    store.open.clear()
    _step(rounds, 3)
    assert len(store.given) == 1
    store.open.set()
    _step(rounds, 4)
    assert store.given[-1] == "place 0"


def test_what_a_store_did_not_take_is_counted_and_kept_the_next_time(store: Store) -> None:
    rounds, partition = SnapshotRounds(store), _partition("a", "b", "c")
    before = REGISTRY.get_sample_value("ringmaster_router_snapshot_failures_total") or 0.0
    rounds.begin([partition])
    _step(rounds)
    store.is_away = True
    _step(rounds, 2)
    assert not rounds.are_under_way
    assert (REGISTRY.get_sample_value("ringmaster_router_snapshot_failures_total") or 0.0) - before == 1
    store.is_away, store.given = False, []
    rounds.keep([partition])
    assert sorted(store.given) == ["a", "b", "c", "place 0"]


def test_who_lost_one_partition_goes_on_with_the_others(store: Store) -> None:
    rounds, lost, kept = SnapshotRounds(store), _partition("a", "b"), _partition("c", number=1)
    rounds.begin([lost, kept])
    _step(rounds)
    rounds.drop(lost)
    _step(rounds, 4)
    assert len(store.given) == 3
    assert store.given[1:] == ["c", "place 1"]


def test_what_is_given_up_is_kept_with_what_an_earlier_round_has_left(store: Store) -> None:
    rounds, partition, other = SnapshotRounds(store), _partition("a", "b"), _partition("c", number=1)
    rounds.begin([partition, other])
    _step(rounds)
    partition.not_kept(["a"])
    partition.pass_over(9)
    rounds.keep([partition])
    assert not rounds.are_under_way
    kept = store.load(0)
    assert kept.next_offset == 9
    assert {one.tenant_id: one.next_offset for one in kept.tenants}["a"] == 9
    assert store.places([1])[1].next_offset == 4
