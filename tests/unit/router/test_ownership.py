"""What a session does with partitions that come, go, and come again; and how it ends."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag

from services.router import partition as partition_module
from services.router.adapters.bus import ClosingReader, Follower, OnTaken
from services.router.adapters.snapshots import MemorySnapshots, PartitionSnapshot, TenantSnapshot
from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.router.shell import RETRY_SECONDS, UNREADABLE_SECONDS, Pace, Session, Shell
from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, DEAD_LETTERS, INPUTS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.testing.memory_bus import MemoryBatchReceipt, MemoryBus
from tests.unit.router.test_shell import SELDOM, TestBus, _of_two_tenants, _one_by_one, _put_all, _run, _session, _story
from tests.unit.router.world import TENANT, Log, document

PLACES = [(INPUTS, 0)]
STANDBY = Pace(snapshot_seconds=3600, snapshot_inputs=10**9, has_standby=True)


class Counting(MemorySnapshots):
    """Counts how often states are kept."""

    kept = 0

    def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
        self.kept += 1
        super().save_tenants(partition, changed)


def _without(session: Session) -> None:
    session._reader.assignment = list  # type: ignore[method-assign]


def _again(session: Session) -> None:
    session._reader.assignment = lambda: PLACES  # type: ignore[method-assign]


@pytest.mark.parametrize("how", ["revoke", "lose"])
def test_a_partition_that_comes_again_is_taken_up_once_and_kept(how: str) -> None:
    bus, snapshots = TestBus(), Counting()
    _put_all(bus, _story())
    session = _session(bus, snapshots)
    _run(session)
    _without(session)
    getattr(bus, how)(PLACES)
    session.step(0)
    _again(session)
    session.step(0)
    taken_up, kept = session.partitions[0], snapshots.kept
    for _ in range(3):
        session.step(0)
    assert session.partitions[0] is taken_up
    assert snapshots.kept == kept


@pytest.mark.parametrize(("topic_id", "commits"), [("", 0), ("0a7e", 1)])
@pytest.mark.parametrize("number_of_partitions", [1, 4, 64])
def test_partitions_that_come_together_are_asked_for_together(
    number_of_partitions: int, topic_id: str, commits: int
) -> None:
    bus, snapshots = TestBus(MemoryBus(partitions=number_of_partitions)), MemorySnapshots()
    bus.memory.topic_ids[INPUTS] = topic_id
    session = _session(bus, snapshots)
    asked: Counter[str] = Counter()

    def counted(where: Any, name: str) -> None:
        ask = getattr(where, name)

        def noted(*given: Any) -> Any:
            asked[name] += 1
            return ask(*given)

        setattr(where, name, noted)

    for question in ("noted_of", "topic_id", "commit"):
        counted(session._reader, question)
    counted(snapshots, "places")
    session.step(0)
    assert len(session.partitions) == number_of_partitions
    assert asked == Counter({"noted_of": 1, "topic_id": 1, "places": 1, "commit": commits})


def test_what_is_taken_away_before_it_was_taken_up_is_left_alone() -> None:
    bus = TestBus()
    _put_all(bus, _story())
    session = _session(bus, MemorySnapshots())
    bus.revoke(PLACES)
    _without(session)
    session.step(0)
    assert session.partitions == {}


def test_what_is_taken_away_while_it_is_read_again_is_not_asked_for() -> None:
    bus, snapshots, log = TestBus(), MemorySnapshots(), Log(document())
    log.arrive("c1")
    _put_all(bus, log)
    bus.memory.offsets["router", INPUTS, 0] = len(log.inputs) + 1
    session = _session(bus, snapshots)
    session.step(0)
    assert not session.partitions[0].is_caught_up
    _without(session)
    bus.lose(PLACES)
    session.step(0)
    assert session.trouble() == "no partition is assigned yet"


def test_of_what_is_lost_nothing_more_is_kept_where_its_round_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.router.rounds.CAPTURE_SECONDS", 0.0)
    bus, snapshots = TestBus(), Counting()
    session = _session(bus, snapshots)
    _one_by_one(bus, session, _of_two_tenants(_story()))
    session._begin_snapshot()
    session.step(0)
    gevent.sleep(0)
    assert snapshots.kept == 1
    _without(session)
    bus.lose(PLACES)
    for _ in range(4):
        session.step(0)
        gevent.sleep(0)
    assert snapshots.kept == 1
    assert snapshots.places([0])[0].next_offset == 0


class _Watched(TestBus):
    """Others have a partition; counts who follows them, and notes whether somebody did before the first poll."""

    __test__ = False
    followers = 0
    before_the_first_poll: int | None = None

    def reader(self, on_revoked: OnTaken, on_lost: OnTaken) -> ClosingReader:
        reader = super().reader(on_revoked, on_lost)
        poll = reader.poll

        def polled(timeout_seconds: float) -> list[Record]:
            if self.before_the_first_poll is None:
                self.before_the_first_poll = self.followers
            return poll(timeout_seconds)

        reader.others = lambda: frozenset({0})  # type: ignore[method-assign]
        reader.poll = polled  # type: ignore[method-assign]
        return reader

    def follower(self) -> Follower:
        self.followers += 1
        return super().follower()


def test_who_wants_no_copies_follows_nobody() -> None:
    bus = _Watched()
    session = _session(bus, MemorySnapshots())
    session.warm_up(Flag())
    session.step(0)
    gevent.sleep(0)
    session.close()
    assert bus.followers == 0


class Stops:
    """A supervisor's flag that is set once something is so; notes what the shell says while it waits, and how long."""

    def __init__(self, is_done: Callable[["Stops"], bool]) -> None:
        self._is_done = is_done
        self.waits: list[float] = []

    def is_set(self) -> bool:
        return self._is_done(self)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def _shell(bus: TestBus, snapshots: MemorySnapshots, stops: Stops, pace: Pace = SELDOM) -> Shell:
    return Shell(bus, snapshots, bus.hands.clock(), pace, stops)


def test_a_router_copies_what_others_have_before_it_asks_for_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.router.standby.POLL_SECONDS", 0.001)
    monkeypatch.setattr("services.router.shell.LOOK_SECONDS", 0.001)
    bus = _Watched()
    _put_all(bus, _story())
    _shell(bus, MemorySnapshots(), Stops(lambda _: bus.before_the_first_poll is not None), STANDBY).run()
    assert bus.before_the_first_poll == 1


def test_who_ends_leaves_a_snapshot_of_everything() -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    _shell(bus, snapshots, Stops(lambda _: len(bus.sent(CALLS, Event)) == len(log.events()))).run()
    assert snapshots.places([0])[0].next_offset == len(log.inputs)
    assert [tenant.next_offset for tenant in snapshots.load(0).tenants] == [len(log.inputs)]


class _Leaving(TestBus):
    """Notes how its readers left the group, and may refuse commits."""

    __test__ = False
    refuses = False

    def reader(self, on_revoked: OnTaken, on_lost: OnTaken) -> ClosingReader:
        reader: Any = super().reader(on_revoked, on_lost)
        self.left: list[bool] = getattr(self, "left", [])
        commit = reader.commit

        def committed(*what: Any) -> None:
            if self.refuses:
                raise BusUnavailable("away")
            commit(*what)

        reader.commit = committed
        reader.close = lambda *, hands_over=False: self.left.append(hands_over)
        return reader  # type: ignore[no-any-return]


def test_who_ends_while_the_broker_is_away_gives_its_tenants_away_all_the_same() -> None:
    log, bus = _story(), _Leaving()
    _put_all(bus, log)
    bus.refuses = True
    _shell(bus, MemorySnapshots(), Stops(lambda _: len(bus.sent(CALLS, Event)) == len(log.events()))).run()
    assert bus.left[0] is True


def test_a_session_that_is_over_leaves_its_group_and_the_next_one_begins_a_moment_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = _Leaving()
    _put_all(bus, _story())

    def late(_receipt: object, _timeout_seconds: float) -> None:
        raise NotDelivered("not acknowledged in time")

    monkeypatch.setattr(MemoryBatchReceipt, "wait", late)
    stops = Stops(lambda stops: len(stops.waits) == 2)
    _shell(bus, MemorySnapshots(), stops).run()
    assert bus.left == [False, False]
    assert stops.waits == [RETRY_SECONDS, RETRY_SECONDS]


def test_who_can_not_read_a_snapshot_stays_away_for_long() -> None:
    """Each try takes the tenants away from who can."""

    class Newer(MemorySnapshots):
        def load(self, partition: int) -> PartitionSnapshot:
            return PartitionSnapshot(4, [TenantSnapshot(TENANT, 4, b'{"format": 999}')], frozenset())

    stops = Stops(lambda stops: bool(stops.waits))
    _shell(TestBus(), Newer(), stops).run()
    assert stops.waits == [UNREADABLE_SECONDS]


def test_a_timer_on_which_the_core_fails_is_brought_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is left out with the input, so it stays due: it came back for ever, each time with a loading."""
    log, bus, snapshots = Log(document()), TestBus(), MemorySnapshots()
    log.arrive("c1")
    _put_all(bus, log)

    def failing(state: TenantState, position: Position, time_ms: int, given: Input) -> Outputs:
        if given.HasField("timer"):
            raise KeyError("a fault of ours")
        return decide(state, position, time_ms, given)

    monkeypatch.setattr(partition_module, "decide", failing)
    session = _session(bus, snapshots)
    _run(session)
    bus.hands.now_ms = log.now_ms + 10_000
    _run(session, steps=8)
    assert [record.headers["offset"] for record in bus.memory.records(DEAD_LETTERS)] == [str(len(log.inputs))]
    assert len(bus.memory.records(INPUTS)) == len(log.inputs) + 1
    assert session.trouble() == ""


def _snapshotted(bus: TestBus, snapshots: MemorySnapshots) -> int:
    """Have a router decide the story and leave a snapshot; return where it was taken."""
    log = _story()
    _put_all(bus, log)
    session = _session(bus, snapshots)
    _run(session)
    session.hand_over()
    return len(log.inputs)


def test_a_snapshot_may_be_of_the_logs_end_though_its_commit_was_lost() -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    end = _snapshotted(bus, snapshots)
    bus.memory.offsets["router", INPUTS, 0] = end - 2
    session = _session(bus, snapshots)
    session.step(0)
    assert session.trouble() == ""
    assert session.partitions[0].next_offset == end


def test_a_log_that_begins_before_what_is_known_is_read_on_from_there() -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    end = _snapshotted(bus, snapshots)
    bus.memory.forget(INPUTS, 0, 3)
    bus.memory.offsets["router", INPUTS, 0] = end + 1
    session = _session(bus, snapshots)
    session.step(0)
    assert session.partitions[0].next_offset == end
    assert not session.partitions[0].is_caught_up


def test_an_input_on_which_only_the_replay_fails_was_told_by_who_decided_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    end = len(_story().inputs)
    _put_all(bus, _story())
    _run(_session(bus, snapshots))

    def failing(state: TenantState, position: Position, time_ms: int, given: Input) -> Outputs:
        if position.offset == end - 1:
            raise KeyError("a fault of ours")
        return decide(state, position, time_ms, given)

    monkeypatch.setattr(partition_module, "decide", failing)
    session = _session(bus, snapshots)
    _run(session)
    assert snapshots.places([0])[0].skipped == {end - 1}
    assert bus.memory.records(DEAD_LETTERS) == []
    assert bus.memory.offsets["router", INPUTS, 0] == end
