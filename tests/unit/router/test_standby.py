"""A copy of what another router decides: whoever takes over from it sends what he would have sent from a snapshot."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent
import grimp
import orjson
import pytest

from services.router import partition as partition_module
from services.router import standby as standby_module
from services.router.adapters.bus import GROUP, Follower
from services.router.adapters.snapshots import (
    MemorySnapshots,
    PartitionSnapshot,
    Place,
    SnapshotsUnavailable,
    TenantSnapshot,
)
from services.router.core_identity import SHARED, core_identity
from services.router.domain.decide import Outputs, decide
from services.router.domain.snapshot import to_snapshot
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.router.shell import Session
from services.router.standby import Standby
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.record import Record
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
from tests.unit.router.world import TENANT, Log, document


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


@dataclass(frozen=True)
class _Scene:
    bus: "_AwayBus"
    snapshots: _Snapshots
    standby: Standby
    inputs: int

    def wait_for_copy(self, offset: int) -> None:
        wait_until(lambda: _offset_of(self.standby) == offset, "the copy")

    def takes_over(self) -> bool:
        """Whether a successor goes on from the copy."""
        loads = self.snapshots.loads
        _run(_successor(self.bus, self.snapshots, self.standby))
        return self.snapshots.loads == loads


@contextmanager
def _copied(committed: int | None = None) -> Iterator[_Scene]:
    """Let a copy follow the story, of which so many inputs are committed; all of them where nothing is said."""
    log, bus, snapshots = _story(), _AwayBus(), _Snapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs) if committed is None else committed
    standby = _following(bus, snapshots)
    try:
        yield _Scene(bus, snapshots, standby, len(log.inputs))
    finally:
        standby.close()


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
    with _copied(committed=5) as scene:
        scene.wait_for_copy(5)
        for _ in range(20):
            gevent.sleep(0.001)
        assert _offset_of(scene.standby) == 5


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


@pytest.mark.parametrize(("next_offset", "core"), [(3, "another core"), (7, core_identity())])
def test_what_another_core_decided_and_what_is_behind_the_snapshot_is_not_gone_on_from(
    next_offset: int, core: str
) -> None:
    with _copied(committed=5) as scene:
        scene.wait_for_copy(5)
        scene.snapshots.save_place(0, next_offset, core)
        assert not scene.takes_over()


def test_a_cores_name_counts_all_that_decides() -> None:
    graph = grimp.build_graph("services")
    found = {
        name
        for name in graph.find_upstream_modules("services.router.domain", as_package=True)
        if name.startswith("services.shared.") and not name.startswith("services.shared.contracts")
    }
    assert {f"services.shared.{name}" for name in SHARED} == found


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


def test_a_copy_on_which_the_core_fails_is_built_again_without_that_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "decide", _failing_at(9))
    with _copied() as scene:
        gevent.sleep(0.05)
        assert _offset_of(scene.standby) < scene.inputs
        scene.snapshots.skip(0, 9, "a fault of ours")
        scene.wait_for_copy(scene.inputs)


def test_a_copy_that_knows_what_its_router_left_out_is_not_gone_on_from() -> None:
    """The router failed on it, the copy did not: what was too large to send, or memory that was too small there."""
    with _copied(committed=9) as scene:
        scene.wait_for_copy(9)
        scene.snapshots.skip(0, 8, "too large")
        assert not scene.takes_over()


def test_what_a_newer_version_has_begun_to_write_is_not_followed_and_ends_nobody() -> None:
    bus, snapshots = TestBus(), _Snapshots()
    snapshots.save_place(0, 3, core_identity())
    snapshots.save_tenants(0, [TenantSnapshot(TENANT, 4, b'{"format": 999}')])
    standby = _following(bus, snapshots)
    wait_until(lambda: snapshots.loads > 2, "a few tries")
    assert _offset_of(standby) == -1
    standby.follow(frozenset({0}))  # would raise what ended the greenlet
    standby.close()


def test_a_copy_passes_over_what_its_router_refused() -> None:
    with _copied() as scene:
        scene.bus.memory.producer().send(INPUTS, TENANT, b"\xff\xff\xff", timestamp_ms=1)
        scene.bus.memory.offsets[GROUP, INPUTS, 0] = scene.inputs + 1
        scene.wait_for_copy(scene.inputs + 1)
        assert scene.snapshots.loads == 1, "the copy is the first one"


def test_states_without_a_place_are_not_followed() -> None:
    bus, snapshots = TestBus(), _Snapshots()
    snapshots.save_tenants(0, [TenantSnapshot(TENANT, 4, orjson.dumps(to_snapshot(TenantState(TENANT))))])
    standby = _following(bus, snapshots)
    wait_until(lambda: snapshots.loads > 2, "a few tries")
    assert _offset_of(standby) == -1
    standby.close()


def test_so_many_records_wait_for_their_commit_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "MOST_WAITING", 1)
    with _copied(committed=0) as scene:
        wait_until(lambda: bool(scene.standby._copies) and bool(scene.standby._copies[0].waiting), "the first fetch")
        waiting = len(scene.standby._copies[0].waiting)
        scene.bus.memory.producer().send(INPUTS, TENANT, b"x", timestamp_ms=1)
        for _ in range(20):
            gevent.sleep(0.001)
        assert len(scene.standby._copies[0].waiting) == waiting


def test_a_copy_is_begun_anew_when_the_broker_was_away_in_between() -> None:
    """What waited for its commit would come once more, and be decided twice."""
    with _copied(committed=5) as scene:
        scene.wait_for_copy(5)
        first = scene.standby._copies[0].partition
        scene.bus.away = True
        wait_until(lambda: not scene.standby._copies, "the outage")
        scene.bus.away = False
        scene.bus.memory.offsets[GROUP, INPUTS, 0] = scene.inputs
        scene.wait_for_copy(scene.inputs)
        assert scene.standby._copies[0].partition is not first


def test_a_fault_of_ours_in_the_copying_ends_the_process() -> None:
    class Broken(MemorySnapshots):
        def load(self, partition: int) -> PartitionSnapshot:
            raise RuntimeError("a fault of ours")

    standby = _following(TestBus(), Broken())
    greenlet = standby._greenlet
    wait_until(lambda: greenlet is not None and greenlet.ready(), "the end of the copying")
    with pytest.raises(RuntimeError):
        standby.follow(frozenset({0}))


class _AwayBus(TestBus):
    """Its followers hear nothing while it is away."""

    __test__ = False
    away = False

    def follower(self) -> Follower:
        reader = super().follower()
        poll = reader.poll

        def asked(timeout_seconds: float) -> list[Record]:
            if self.away:
                raise BusUnavailable("no broker")
            return poll(timeout_seconds)

        reader.poll = asked  # type: ignore[method-assign]
        return reader


def _failing_at(offset: int) -> Callable[[TenantState, Position, int, Input], Outputs]:
    def failing(state: TenantState, position: Position, time_ms: int, given: Input) -> Outputs:
        if position.offset == offset:
            raise KeyError("a fault of ours")
        return decide(state, position, time_ms, given)

    return failing


def test_what_is_not_wanted_any_more_is_forgotten() -> None:
    with _copied(committed=5) as scene:
        scene.wait_for_copy(5)
        scene.standby.follow(frozenset())
        assert scene.standby.take(0, Place(0, "")) is None
        scene.standby.follow(frozenset({0}))
        scene.wait_for_copy(5)


def test_a_router_is_warm_once_its_copies_know_what_is_committed() -> None:
    with _copied() as scene:
        assert not scene.standby.is_warm()
        wait_until(scene.standby.is_warm, "the copy")
        assert _offset_of(scene.standby) == scene.inputs


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
