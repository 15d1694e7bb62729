"""A copy of what another router decides: whoever takes over from it sends what he would have sent from a snapshot."""

from collections.abc import Callable

import gevent
import pytest

from services.router import partition as partition_module
from services.router import standby as standby_module
from services.router.adapters.bus import GROUP
from services.router.adapters.snapshots import MemorySnapshots, PartitionSnapshot, SnapshotsUnavailable
from services.router.core_identity import core_identity
from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.router.shell import Session
from services.router.standby import Standby
from services.shared.bus.topics import COMMANDS, INPUTS
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.testing.waiting import wait_until
from tests.unit.router.test_shell import (
    Killed,
    TestBus,
    _expected,
    _ids,
    _put_all,
    _run,
    _session,
    _story,
    _without_repeats,
)
from tests.unit.router.world import Log, document


class _Snapshots(MemorySnapshots):
    """Counts how often a whole snapshot is read."""

    loads = 0

    def load(self, partition: int) -> PartitionSnapshot:
        self.loads += 1
        return super().load(partition)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(standby_module, "RETRY_SECONDS", 0.01)


def _following(bus: TestBus, snapshots: MemorySnapshots) -> Standby:
    standby = Standby(bus, snapshots)
    standby.follow(frozenset({0}))
    return standby


def _offset_of(standby: Standby) -> int:
    copy = standby._copies.get(0)
    return copy.partition.next_offset if copy else -1


def _successor(bus: TestBus, snapshots: MemorySnapshots, standby: Standby) -> Session:
    session = _session(bus, snapshots)
    session._standby = standby
    return session


@pytest.mark.parametrize("snapshot_after", [0, 7])
def test_a_kill_at_any_send_repeats_at_most_where_a_copy_is_gone_on_from(snapshot_after: int) -> None:
    log = _story()
    whole = _expected(log)
    for sends in range(0, sum(map(len, whole)), 3):
        bus, snapshots = TestBus(), _Snapshots()
        first = _session(bus, snapshots)
        for time_ms, given in log.inputs[:snapshot_after]:
            bus.put(given, time_ms)
        _run(first)
        first.snapshot()
        standby = _following(bus, snapshots)
        bus.hands.sends_left = sends
        try:
            for time_ms, given in log.inputs[snapshot_after:]:
                bus.put(given, time_ms)
                _run(first, steps=1)
        except Killed:
            bus.hands.sends_left = 10**9
        committed = bus.memory.offsets.get((GROUP, INPUTS, 0), 0)
        wait_until(lambda: _offset_of(standby) == committed, "the copy")  # noqa: B023 - called at once
        for time_ms, given in log.inputs[sum(1 for _ in bus.memory.records(INPUTS)) :]:
            bus.put(given, time_ms)
        loads = snapshots.loads
        _run(_successor(bus, snapshots, standby))
        assert snapshots.loads == loads, "the copy was gone on from"
        assert tuple(_without_repeats(ids) for ids in _ids(bus)) == whole, sends
        standby.close()


def test_a_copy_knows_nothing_whose_outputs_may_be_unsent() -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = 5
    standby = _following(bus, snapshots)
    wait_until(lambda: _offset_of(standby) == 5, "the copy")
    for _ in range(20):
        gevent.sleep(0.001)
    assert _offset_of(standby) == 5
    standby.close()


def test_timers_of_a_copy_fire_only_once_it_is_taken_over() -> None:
    log, bus, snapshots = Log(document()), TestBus(), MemorySnapshots()
    log.arrive("c1")
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs)
    standby = _following(bus, snapshots)
    wait_until(lambda: _offset_of(standby) == len(log.inputs), "the copy")
    bus.hands.now_ms = log.now_ms + 10_000
    assert bus.sent(COMMANDS, Command) == []
    _run(_successor(bus, snapshots, standby))
    assert [command.WhichOneof("action") for command in bus.sent(COMMANDS, Command)] == ["lease_leg"]
    standby.close()


def _takes_over(bus: TestBus, snapshots: _Snapshots, standby: Standby) -> bool:
    """Return whether a successor went on from the copy."""
    loads = snapshots.loads
    _run(_successor(bus, snapshots, standby))
    return snapshots.loads == loads


def test_what_another_core_decided_is_not_gone_on_from() -> None:
    log, bus, snapshots = _story(), TestBus(), _Snapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = 5
    standby = _following(bus, snapshots)
    wait_until(lambda: _offset_of(standby) == 5, "the copy")
    snapshots.save_place(0, 3, "another core")
    assert not _takes_over(bus, snapshots, standby)
    standby.close()


def test_a_partition_of_another_core_is_not_followed_until_ours_has_it() -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    snapshots.save_place(0, 3, "another core")
    standby = _following(bus, snapshots)
    for _ in range(10):
        gevent.sleep(0.005)
    assert _offset_of(standby) == -1
    snapshots.save_place(0, 4, core_identity())
    wait_until(lambda: _offset_of(standby) == 4, "the copy")
    standby.close()


def test_a_copy_that_is_behind_the_snapshot_is_not_gone_on_from() -> None:
    log, bus, snapshots = _story(), TestBus(), _Snapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = 5
    standby = _following(bus, snapshots)
    wait_until(lambda: _offset_of(standby) == 5, "the copy")
    snapshots.save_place(0, 7, core_identity())
    assert not _takes_over(bus, snapshots, standby)
    standby.close()


def test_a_copy_on_which_the_core_fails_is_built_again_without_that_input(monkeypatch: pytest.MonkeyPatch) -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs)
    monkeypatch.setattr(partition_module, "decide", _failing_at(9))
    standby = _following(bus, snapshots)
    gevent.sleep(0.05)
    assert _offset_of(standby) < len(log.inputs)
    snapshots.skip(0, 9, "a fault of ours")
    wait_until(lambda: _offset_of(standby) == len(log.inputs), "the copy")
    standby.close()


def _failing_at(offset: int) -> Callable[[TenantState, Position, int, Input], Outputs]:
    def failing(state: TenantState, position: Position, time_ms: int, given: Input) -> Outputs:
        if position.offset == offset:
            raise KeyError("a fault of ours")
        return decide(state, position, time_ms, given)

    return failing


def test_what_is_not_wanted_any_more_is_forgotten() -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = 5
    standby = _following(bus, snapshots)
    wait_until(lambda: _offset_of(standby) == 5, "the copy")
    standby.follow(frozenset())
    assert standby.take(0) is None
    standby.follow(frozenset({0}))
    wait_until(lambda: _offset_of(standby) == 5, "the copy again")
    standby.close()


def test_a_router_is_warm_once_its_copies_know_what_is_committed() -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs)
    standby = _following(bus, snapshots)
    assert not standby.is_warm()
    wait_until(standby.is_warm, "the copy")
    assert _offset_of(standby) == len(log.inputs)
    standby.close()


def test_what_cannot_be_followed_is_not_waited_for() -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    snapshots.save_place(0, 3, "another core")
    standby = _following(bus, snapshots)
    wait_until(standby.is_warm, "the end of the wait")
    standby.close()


def test_nobody_waits_for_copies_while_the_document_store_is_away() -> None:
    class Away(MemorySnapshots):
        def load(self, partition: int) -> PartitionSnapshot:
            raise SnapshotsUnavailable("away")

    standby = _following(TestBus(), Away())
    wait_until(standby.is_warm, "the end of the wait")
    standby.close()
