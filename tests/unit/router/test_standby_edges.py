"""Copies at their edges: what changes while a copy is made or decides, and what the broker is asked for them."""

from collections.abc import Callable, Collection
from typing import Any

import gevent
import pytest

from services.router import standby as standby_module
from services.router.adapters.bus import GROUP, Follower
from services.router.adapters.log import Log
from services.router.adapters.snapshots import MemorySnapshots, PartitionSnapshot, Place
from services.router.partition import Partition
from services.router.standby import Copy, Standby
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS
from services.shared.testing.memory_bus import MemoryBus, MemoryConsumer
from services.shared.testing.waiting import wait_until
from tests.unit.router.test_shell import TestBus, _put_all, _story
from tests.unit.router.world import TENANT

EMPTY = PartitionSnapshot(0, [], frozenset())


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(standby_module, "RETRY_SECONDS", 0.01)


class Noting(TestBus):
    """Keeps its readers, and notes what they are asked."""

    __test__ = False
    asked = 0
    closed = 0

    def follower(self) -> Follower:
        reader: Any = super().follower()
        noted_of, close = reader.noted_of, reader.close

        def asked(topic: str, partitions: Collection[int]) -> dict[int, tuple[int, str]]:
            self.asked += 1
            return dict(noted_of(topic, partitions))

        def closed() -> None:
            self.closed += 1
            close()

        reader.noted_of, reader.close = asked, closed
        self.read: MemoryConsumer = reader
        return reader  # type: ignore[no-any-return]


def _copying(bus: TestBus, snapshots: MemorySnapshots, numbers: Collection[int] = (0,)) -> Standby:
    log = _story()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs)
    standby = Standby(bus, snapshots)
    standby.follow(frozenset(numbers))
    return standby


def _is_current(standby: Standby, number: int = 0) -> Callable[[], bool]:
    return lambda: number in standby._copies and standby._copies[number].is_current


def test_what_is_not_wanted_any_more_when_it_is_read_is_not_followed() -> None:
    class Late(MemorySnapshots):
        standby: Standby | None = None

        def load(self, partition: int) -> PartitionSnapshot:
            if self.standby is not None:
                self.standby.follow(frozenset())
            return super().load(partition)

    snapshots = Late()
    standby = snapshots.standby = _copying(Noting(), snapshots)
    wait_until(lambda: standby._greenlet is None, "the end of the following")
    assert standby._copies == {}


def test_a_copy_that_was_given_away_is_not_made_anew() -> None:
    bus = Noting()
    standby = _copying(bus, MemorySnapshots())
    wait_until(_is_current(standby), "the copy")
    assert standby.take(0, Place(0, "")) is not None
    wait_until(lambda: standby._greenlet is None, "the end of the following")
    assert standby._copies == {}
    assert bus.closed == 1


def test_what_is_followed_again_after_nothing_was_is_copied() -> None:
    standby = _copying(Noting(), MemorySnapshots())
    wait_until(_is_current(standby), "the copy")
    standby.follow(frozenset())
    wait_until(lambda: standby._greenlet is None, "the end of the following")
    standby.follow(frozenset({0}))
    wait_until(_is_current(standby), "the copy")
    standby.close()


def test_nothing_is_asked_of_the_broker_while_nothing_comes() -> None:
    bus = Noting()
    standby = _copying(bus, MemorySnapshots())
    wait_until(_is_current(standby), "the copy")
    asked = bus.asked
    for _ in range(20):
        gevent.sleep(0.001)
    assert bus.asked == asked
    standby.close()


def test_only_what_is_copied_is_fetched() -> None:
    bus = Noting(memory=MemoryBus(partitions=3))
    snapshots = MemorySnapshots()
    snapshots.save_place(1, 3, "another core")
    standby = Standby(bus, snapshots)
    standby.follow(frozenset({0, 1}))
    wait_until(_is_current(standby), "the copy")
    wait_until(lambda: bus.read._paused == {(INPUTS, 1), (INPUTS, 2)}, "the pause of the others")
    standby.follow(frozenset({0, 2}))
    wait_until(_is_current(standby, 2), "the other copy")
    wait_until(lambda: bus.read._paused == {(INPUTS, 1)}, "that it is fetched")
    standby.close()


def test_records_that_come_of_what_is_not_copied_are_left() -> None:
    bus = Noting(memory=MemoryBus(partitions=2))
    standby = Standby(bus, MemorySnapshots())
    standby.follow(frozenset({0}))
    wait_until(_is_current(standby), "the copy")
    strange, poll = [Record(INPUTS, 1, 0, 1, TENANT, b"")], bus.read.poll

    def polled(timeout_seconds: float) -> list[Record]:
        gevent.sleep(timeout_seconds)
        return [strange.pop()] if strange else poll(timeout_seconds)

    bus.read.poll = polled  # type: ignore[method-assign]
    wait_until(lambda: not strange, "the strange record")
    gevent.sleep(0.005)
    standby.follow(frozenset({0}))  # would raise what ended the greenlet
    assert not standby._copies[0].waiting
    standby.close()


def test_a_copy_that_is_taken_over_while_it_decides_is_decided_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    log = _story()
    _put_all(bus, log)
    standby = Standby(bus, snapshots)
    copy = standby._copies[0] = Copy(Partition(0, EMPTY))
    copy.waiting.extend(bus.memory.records(INPUTS))
    monkeypatch.setattr(standby_module, "YIELD_SECONDS", -1.0)
    taken: list[Partition | None] = []
    monkeypatch.setattr(
        gevent, "idle", lambda: taken.append(standby.take(0, snapshots.places([0])[0])) if not taken else None
    )
    standby._decide(0, len(log.inputs))
    assert taken[0] is not None
    assert taken[0].next_offset == 1


def test_what_the_group_has_committed_is_asked_for_once_and_not_with_every_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.shared.testing.memory_bus.MAX_POLL_RECORDS", 3)
    bus, log = TestBus(), _story()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs) - 2
    standby, inputs, asked = Standby(bus, MemorySnapshots()), Log(bus.follower()), list[int]()
    of_group = inputs.committed_of

    def committed_of(numbers: Collection[int]) -> dict[int, int]:
        asked.append(copy.partition.next_offset)
        return of_group(numbers)

    monkeypatch.setattr(inputs, "committed_of", committed_of)
    inputs.seek(0, 0)
    copy = standby._copies[0] = Copy(Partition(0, EMPTY))
    currents = []
    for _ in range(len(log.inputs) // 3 + 2):
        standby._step(inputs)
        currents.append(copy.is_current)
        assert copy.partition.next_offset <= len(log.inputs) - 2
    assert copy.partition.next_offset == len(log.inputs) - 2
    assert len(copy.waiting) == 2
    assert asked[0] == 0
    assert all(offset > len(log.inputs) - 6 for offset in asked[1:])
    assert currents == sorted(currents)
    assert currents[-1]
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs)
    standby._step(inputs)
    assert copy.partition.next_offset == len(log.inputs)


def test_a_copy_on_which_the_core_failed_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "RETRY_SECONDS", 3600.0)
    bus = TestBus()
    _put_all(bus, _story())
    standby = Standby(bus, MemorySnapshots())
    copy = standby._copies[0] = Copy(Partition(0, EMPTY))
    copy.waiting.extend(bus.memory.records(INPUTS)[3:4])
    copy.partition.next_offset = 9  # what comes stands before it
    standby._wanted = frozenset({0})
    standby._decide(0, 99)
    assert standby._copies == {}
    standby._begin_copies(None)  # type: ignore[arg-type]  # it is not asked yet
    assert standby._copies == {}


def test_what_is_not_ours_to_follow_is_looked_at_again_after_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "RETRY_SECONDS", 3600.0)

    class Counting(MemorySnapshots):
        loads = 0

        def load(self, partition: int) -> PartitionSnapshot:
            self.loads += 1
            return super().load(partition)

    snapshots = Counting()
    snapshots.save_place(0, 3, "another core")
    standby = Standby(TestBus(), snapshots)
    standby.follow(frozenset({0}))
    wait_until(lambda: snapshots.loads == 1, "the first look")
    for _ in range(10):
        gevent.sleep(0.001)
    assert snapshots.loads == 1
    standby.close()


def test_closing_waits_until_the_reader_is_closed_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Noting()
    standby = _copying(bus, MemorySnapshots())
    wait_until(_is_current(standby), "the copy")
    standby.close()
    assert bus.closed == 1
    monkeypatch.setattr(standby_module, "CLOSE_SECONDS", 0.01)
    stuck = _copying(bus, MemorySnapshots())
    wait_until(_is_current(stuck), "the copy")
    monkeypatch.setattr(bus.read, "poll", lambda _: gevent.sleep(3600))
    gevent.sleep(0.01)
    greenlet = stuck._greenlet
    stuck.close()
    assert greenlet is not None
    assert greenlet.dead


def test_after_an_outage_copies_are_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Noting()
    standby = _copying(bus, MemorySnapshots())
    wait_until(_is_current(standby), "the copy")
    standby._is_interrupted = True
    assert standby.is_warm()
    standby._is_interrupted = False
    standby._copies[0].is_current = False
    assert not standby.is_warm()
    standby._copies.clear()
    assert not standby.is_warm()
    standby.close()
