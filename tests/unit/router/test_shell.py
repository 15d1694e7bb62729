"""The shell on a bus in memory: what it sends is the same whatever happens to it in between."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag

from services.router import outbox as outbox_module
from services.router import partition as partition_module
from services.router.adapters.bus import GROUP, ClosingReader, ClosingSender, Follower, OnTaken
from services.router.adapters.snapshots import (
    MemorySnapshots,
    PartitionSnapshot,
    Place,
    SnapshotsUnavailable,
    TenantSnapshot,
)
from services.router.core_identity import core_identity
from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Lookup, Note, Position
from services.router.shell import Pace, Session, Shell
from services.shared.bus.errors import BusUnavailable, NotDelivered, Rebalancing
from services.shared.bus.events import headers_for
from services.shared.bus.ports import Outgoing
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, COMMANDS, DEAD_LETTERS, INPUTS, REPLIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import Command, HandOverLeg
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PassedOn
from services.shared.contracts.ringmaster.v1.request_pb2 import Reply
from services.shared.testing.memory_bus import MemoryBatchReceipt, MemoryBus
from tests.unit.router.world import START_MS, TENANT, Log, document

OTHER_TENANT = "borealis"
SELDOM = Pace(snapshot_seconds=3600, snapshot_inputs=10**9)


class Killed(BaseException):
    """The process is gone: nothing of it runs any further, not even its handlers."""


@dataclass(slots=True)
class Hands:
    """Time that is set by hand, and the number of sends until the kill."""

    now_ms: int = START_MS
    sends_left: int = 10**9
    speed: float = 1.0

    def clock(self) -> Clock:
        wall0 = START_MS / 1000
        return Clock(self.speed, wall0, wall0, wall=lambda: wall0 + (self.now_ms - START_MS) / 1000 / self.speed)


class _KillingSender:
    def __init__(self, sender: Any, hands: Hands) -> None:
        self._sender = sender
        self._hands = hands

    def send(self, *args: Any, **more: Any) -> Any:
        if not self._hands.sends_left:
            raise Killed
        self._hands.sends_left -= 1
        return self._sender.send(*args, **more)

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> Any:
        reached = records[: self._hands.sends_left]
        self._hands.sends_left -= len(reached)
        receipt = self._sender.send_many(topic, reached)
        if len(reached) < len(records):
            raise Killed
        return receipt

    def flush(self, timeout_seconds: float) -> None:
        self._sender.flush(timeout_seconds)

    def close(self) -> None:
        self._sender.close()


@dataclass
class TestBus:
    """A MemoryBus as the router sees it."""

    __test__ = False
    memory: MemoryBus = field(default_factory=lambda: MemoryBus(partitions=1))
    hands: Hands = field(default_factory=Hands)
    revoke: OnTaken = field(init=False)
    lose: OnTaken = field(init=False)

    def reader(self, on_revoked: OnTaken, on_lost: OnTaken) -> ClosingReader:
        self.revoke, self.lose = on_revoked, on_lost
        return self.memory.consumer(GROUP, [INPUTS])

    def follower(self) -> Follower:
        return self.memory.consumer(GROUP, [INPUTS])

    def sender(self) -> ClosingSender:
        return _KillingSender(self.memory.producer(), self.hands)

    def put(self, given: Input, time_ms: int, key: str = TENANT) -> None:
        self.memory.producer().send(INPUTS, key, given.SerializeToString(), timestamp_ms=time_ms)

    def sent(self, topic: str, message: Any) -> list[Any]:
        return [message.FromString(record.value) for record in self.memory.records(topic)]


def _story(begins_at: int = 0) -> Log:
    log = Log(document(), begins_at)
    log.ready("olena", "taras")
    for number in range(3):
        log.queue(f"c{number}")
    log.hangs_up(log.rings("c0").leg_id, "USER_BUSY")
    log.talk("c1")
    log.now_ms += 5_000
    log.hangs_up("c1")
    log.hangs_up("c2")
    log.hangs_up("c0")
    return log


def _refuse_next_commit(session: Session) -> None:
    """Let the group share its partitions out in the moment of a commit, once."""
    reader: Any = session._reader
    commit = reader.commit

    def refused(*_: object) -> None:
        reader.commit = commit
        raise Rebalancing("the group shares its partitions out")

    reader.commit = refused


def _put_all(bus: TestBus, log: Log) -> None:
    for time_ms, given in log.inputs:
        bus.put(given, time_ms)
    bus.hands.now_ms = START_MS  # no timer is due: the story is complete


def _session(bus: TestBus, snapshots: MemorySnapshots) -> Session:
    return Session(bus, snapshots, bus.hands.clock(), SELDOM)


def _run(session: Session, steps: int = 4) -> None:
    for _ in range(steps):
        session.step(0)
    session.settle()


def _ids(bus: TestBus) -> tuple[list[str], list[str], list[str]]:
    return (
        [command.command_id for command in bus.sent(COMMANDS, Command)],
        [event.event_id for event in bus.sent(CALLS, Event)],
        [reply.request_id for reply in bus.sent(REPLIES, Reply)],
    )


def _expected(log: Log) -> tuple[list[str], list[str], list[str]]:
    return (
        [command.command_id for command in log.commands()],
        [event.event_id for event in log.events()],
        [reply.request_id for out in log.outputs for reply in out.replies],
    )


def _without_repeats(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))


def test_what_the_core_decides_is_sent_in_order_and_committed_after() -> None:
    log, bus = _story(), TestBus()
    _put_all(bus, log)
    _run(_session(bus, MemorySnapshots()))
    assert _ids(bus) == _expected(log)
    assert bus.memory.offsets[GROUP, INPUTS, 0] == len(log.inputs)


def test_commands_carry_the_partition_and_the_generation_of_the_group() -> None:
    bus = TestBus()
    _put_all(bus, _story())
    bus.memory.generations[GROUP] = 6
    _run(_session(bus, MemorySnapshots()))
    fences = {(command.fence_partition, command.fence_generation) for command in bus.sent(COMMANDS, Command)}
    assert fences == {(0, 7)}


@pytest.mark.parametrize("snapshot_after", [0, 7, 16])
def test_a_kill_at_any_send_repeats_at_most_and_never_changes_an_id(snapshot_after: int) -> None:
    log = _story()
    whole = _expected(log)
    for sends in range(0, sum(map(len, whole)), 3):
        bus, snapshots = TestBus(), MemorySnapshots()
        for time_ms, given in log.inputs[:snapshot_after]:
            bus.put(given, time_ms)
        first = _session(bus, snapshots)
        _run(first)
        first.snapshot()
        for time_ms, given in log.inputs[snapshot_after:]:
            bus.put(given, time_ms)
        bus.hands.sends_left = sends
        try:
            _run(first)
        except Killed:
            bus.hands.sends_left = 10**9
        _run(_session(bus, snapshots))
        assert tuple(_without_repeats(ids) for ids in _ids(bus)) == whole, sends


def _of_two_tenants(log: Log) -> list[tuple[int, Input]]:
    """Return a story and the same story of another company, in turns."""
    found = []
    for time_ms, given in log.inputs:
        other = Input.FromString(given.SerializeToString())
        other.tenant_id = OTHER_TENANT
        if other.HasField("document"):
            other.document.tenant_id = OTHER_TENANT
        found += [(time_ms, given), (time_ms, other)]
    return found


def _one_by_one(bus: TestBus, session: Session, inputs: list[tuple[int, Input]]) -> None:
    for time_ms, given in inputs:
        bus.put(given, time_ms, given.tenant_id)
        session.step(0)
        gevent.sleep(0)  # the greenlet that keeps snapshots gets its turn


@pytest.mark.parametrize("killed_after", range(1, 50, 4))
def test_snapshots_taken_tenant_by_tenant_between_inputs_change_nothing(
    killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.router.rounds.CAPTURE_SECONDS", 0.0)
    inputs, always = _of_two_tenants(_story()), Pace(snapshot_seconds=0.0, snapshot_inputs=1)
    straight = TestBus()
    _one_by_one(straight, _session(straight, MemorySnapshots()), inputs)
    bus, snapshots = TestBus(), MemorySnapshots()
    _one_by_one(bus, Session(bus, snapshots, bus.hands.clock(), always), inputs[:killed_after])
    places = {snapshots.load(0).next_offset, *(tenant.next_offset for tenant in snapshots.load(0).tenants)}
    assert killed_after < 9 or len(places) > 1, "the tenants were captured at different moments"
    second = Session(bus, snapshots, bus.hands.clock(), always)
    _run(second)
    _one_by_one(bus, second, inputs[killed_after:])
    assert [_without_repeats(ids) for ids in _ids(bus)] == [_without_repeats(ids) for ids in _ids(straight)]


def test_a_kill_between_the_commit_and_the_snapshot_sends_nothing_twice() -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    _run(_session(bus, snapshots))
    second = _session(bus, snapshots)
    _run(second)
    assert _ids(bus) == _expected(log)
    assert second.trouble() == ""


def test_a_due_timer_comes_back_as_an_input_once_and_after_a_restart_again() -> None:
    log, bus, snapshots = Log(document()), TestBus(), MemorySnapshots()
    log.arrive("c1")
    _put_all(bus, log)
    session = _session(bus, snapshots)
    _run(session)
    before = len(bus.memory.records(INPUTS))
    bus.hands.now_ms = log.now_ms + 10_000
    _run(session)
    fired = [Input.FromString(record.value).timer for record in bus.memory.records(INPUTS)[before:]]
    assert [(timer.timer_id, timer.due_ms) for timer in fired] == [("lease:c1", log.now_ms + 10_000)]
    assert {timer.clock_speed for timer in fired} == {0.0}
    leases = [command for command in bus.sent(COMMANDS, Command) if command.WhichOneof("action") == "lease_leg"]
    assert len(leases) == 2
    bus.hands.now_ms += 10_000
    _run(_session(bus, snapshots))
    leases = [command for command in bus.sent(COMMANDS, Command) if command.WhichOneof("action") == "lease_leg"]
    assert len(leases) == 3


def test_a_timer_says_how_much_faster_than_a_persons_the_clock_runs() -> None:
    log, bus = Log(document()), TestBus(hands=Hands(speed=20.0))
    log.arrive("c1")
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    _run(session)
    bus.hands.now_ms = log.now_ms + 10_020
    _run(session)
    fired = [Input.FromString(record.value).timer for record in bus.memory.records(INPUTS)[len(log.inputs) :]]
    assert {timer.clock_speed for timer in fired} == {20.0}


def test_a_record_that_is_no_input_becomes_a_dead_letter_and_the_log_goes_on() -> None:
    log, bus = _story(), TestBus()
    _put_all(bus, log)
    end = len(log.inputs)
    bus.memory.producer().send(INPUTS, TENANT, b"\xff\xff\xff", timestamp_ms=START_MS)
    bus.put(Input(tenant_id="somebody-else"), START_MS)
    bus.put(Input(tenant_id=TENANT), START_MS)
    ask = rq.Request(request_id="last", end_wrap_up=rq.EndWrapUp(agent_id="olena"))
    bus.put(Input(tenant_id=TENANT, request=ask), START_MS)
    _run(_session(bus, MemorySnapshots()))
    dead = bus.memory.records(DEAD_LETTERS)
    assert [record.headers["offset"] for record in dead] == [str(end), str(end + 1), str(end + 2)]
    assert dead[0].value == b"\xff\xff\xff"
    assert all(record.headers["reason"] for record in dead)
    assert bus.sent(REPLIES, Reply)[-1].request_id == "last"
    assert bus.memory.offsets[GROUP, INPUTS, 0] == end + 4


def test_an_input_on_which_the_core_fails_is_left_out_whole_and_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A true fault, half-way through a decision: what the poisoned input had changed must not stay."""
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    poisoned = next(offset for offset, (_, given) in enumerate(log.inputs) if given.fact.HasField("leg_bridged"))
    failures = []

    def failing(state: TenantState, position: Position, time_ms: int, given: Input) -> Outputs:
        outputs = decide(state, position, time_ms, given)
        if position.offset == poisoned:
            failures.append(position.offset)
            raise KeyError("a fault of ours")
        return outputs

    monkeypatch.setattr(partition_module, "decide", failing)
    session = _session(bus, snapshots)
    _run(session)
    _run(_session(bus, snapshots))
    assert failures == [poisoned]
    assert [record.headers["offset"] for record in bus.memory.records(DEAD_LETTERS)] == [str(poisoned)]
    state = TenantState(TENANT)
    expected: list[str] = []
    for offset, (time_ms, given) in enumerate(log.inputs):
        if offset != poisoned:
            out = decide(state, Position(0, offset), time_ms, given)
            expected += [event.event_id for event in out.events]
    assert _ids(bus)[1] == expected


def test_an_input_whose_outputs_no_broker_would_take_is_left_out_and_the_log_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sent again and again they would stop every tenant of this router."""
    monkeypatch.setattr(outbox_module, "LARGEST_VALUE", 4_000)
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    for request_id in ("x" * 4_000, "last"):
        ask = rq.Request(request_id=request_id, end_wrap_up=rq.EndWrapUp(agent_id="olena"))
        bus.put(Input(tenant_id=TENANT, request=ask), START_MS)
    _run(_session(bus, snapshots))
    dead = bus.memory.records(DEAD_LETTERS)
    assert [record.headers["offset"] for record in dead] == [str(len(log.inputs))]
    assert len(dead[0].value) == 4_000
    assert "4000 are taken at most" in dead[0].headers["reason"]
    assert bus.sent(REPLIES, Reply)[-1].request_id == "last"
    assert snapshots.load(0).skipped == {len(log.inputs)}


def test_what_can_not_be_sent_leaves_nothing_half_way_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    log, bus = _story(), TestBus()
    _put_all(bus, log)
    spoilt = _expected(log)[1][-1]

    def failing(event: Event, source: str) -> dict[str, str]:
        if event.event_id == spoilt:
            raise KeyError("a fault of ours")
        return headers_for(event, source)

    monkeypatch.setattr(outbox_module, "headers_for", failing)
    _run(_session(bus, MemorySnapshots()))
    assert spoilt not in _ids(bus)[1]
    assert len(bus.memory.records(DEAD_LETTERS)) == 1
    assert bus.memory.offsets[GROUP, INPUTS, 0] == len(log.inputs)


def test_what_is_left_out_is_told_also_when_the_kill_comes_before_its_note(monkeypatch: pytest.MonkeyPatch) -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)

    def failing(_state: TenantState, position: Position, *_rest: object) -> Outputs:
        raise KeyError(f"a fault of ours at {position.offset}")

    monkeypatch.setattr(partition_module, "decide", failing)
    bus.hands.sends_left = 0
    with pytest.raises(Killed):
        _run(_session(bus, snapshots), steps=2)
    bus.hands.sends_left = 10**9
    _run(_session(bus, snapshots), steps=2)
    assert bus.memory.records(DEAD_LETTERS)[0].headers["offset"] == "0"


def test_a_log_whose_beginning_is_gone_is_gone_on_from_where_it_begins() -> None:
    """Nothing comes of what was committed and is gone: a router that waited for it would not be ready for days."""
    log, bus = Log(document()), TestBus()
    log.arrive("c1")
    _put_all(bus, log)
    bus.memory.forget(INPUTS, 0, len(log.inputs))
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs)
    session = _session(bus, MemorySnapshots())
    session.step(0)
    assert session.trouble() == ""
    assert session.partitions[0].next_offset == len(log.inputs)


def test_a_snapshot_of_another_log_is_refused_in_words() -> None:
    """A broker that was set up anew: all its inputs would pass for decided until it had as many as the former one."""
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    snapshots.save_place(0, len(log.inputs) + 1, core_identity())
    with pytest.raises(SnapshotsUnavailable, match="another log"):
        _session(bus, snapshots).step(0)


def test_a_router_that_is_behind_waits_for_its_records_and_does_not_spin() -> None:
    log, bus, snapshots = Log(document()), TestBus(), MemorySnapshots()
    log.arrive("c1")
    _put_all(bus, log)
    first = _session(bus, snapshots)
    _run(first)
    first.snapshot()
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs) + 1
    bus.hands.now_ms = log.now_ms + 3_600_000
    session = _session(bus, snapshots)
    session.step(0)
    assert session.trouble() == "partitions [0] are being replayed"
    assert session._patience(0.1) == 0.1
    assert len(bus.memory.records(INPUTS)) == len(log.inputs), "no timer fires before all is known"


def test_a_router_waits_for_records_until_its_next_timer_at_most() -> None:
    log, bus = Log(document()), TestBus()
    log.arrive("c1")
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    _run(session)
    due_ms = session.partitions[0].next_due_ms()
    assert due_ms is not None
    bus.hands.now_ms = due_ms - 40
    assert session._patience(0.1) == pytest.approx(0.04)
    bus.hands.now_ms = due_ms + 40
    assert session._patience(0.1) == 0.0


def test_nothing_is_captured_that_is_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has lost the partition meanwhile has sent in vain, and his successor would not send it again."""
    monkeypatch.setattr("services.router.rounds.CAPTURE_SECONDS", 0.0)
    monkeypatch.setattr("services.router.shell.COMMIT_SECONDS", 3600.0)
    inputs, bus, snapshots = _of_two_tenants(_story()), TestBus(), MemorySnapshots()
    session = _session(bus, snapshots)
    _one_by_one(bus, session, inputs[:10])
    session._begin_snapshot()
    committed = bus.memory.offsets[GROUP, INPUTS, 0]
    _one_by_one(bus, session, inputs[10:])
    assert [one for one in snapshots.load(0).tenants if one.next_offset > committed] == []
    session.settle()
    for _ in range(5):
        session.step(0)
        gevent.sleep(0)
    assert {one.next_offset for one in snapshots.load(0).tenants} == {len(inputs)}


def test_what_could_not_be_kept_is_kept_the_next_time() -> None:
    """Else the place would go on, and leave behind the tenants that were taken when the store failed."""

    class AwayTwice(MemorySnapshots):
        failures = 2

        def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
            super().save_tenants(partition, changed[:-1])
            if self.failures:
                self.failures -= 1
                raise SnapshotsUnavailable("away")
            super().save_tenants(partition, changed)

    bus, snapshots = TestBus(), AwayTwice()
    for time_ms, given in _of_two_tenants(_story()):
        bus.put(given, time_ms, given.tenant_id)
    session = _session(bus, snapshots)
    _run(session)
    for place in (0, 0, len(bus.memory.records(INPUTS))):
        session.snapshot()
        assert snapshots.places([0])[0].next_offset == place
    assert {one.tenant_id for one in snapshots.load(0).tenants} == {TENANT, OTHER_TENANT}


def test_a_fault_of_ours_while_a_snapshot_is_written_is_not_swallowed() -> None:
    class Broken(MemorySnapshots):
        def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
            raise RuntimeError("a fault of ours")

    log, bus = _story(), TestBus()
    _put_all(bus, log)
    session = _session(bus, Broken())
    _run(session)
    with pytest.raises(RuntimeError):
        session.snapshot()


def test_a_state_that_is_spoilt_is_never_kept_also_where_its_round_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[bytes] = []

    class Noting(MemorySnapshots):
        def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
            kept.extend(one.data for one in changed)
            super().save_tenants(partition, changed)

    monkeypatch.setattr("services.router.rounds.CAPTURE_SECONDS", 0.0)
    inputs, bus, snapshots = _of_two_tenants(_story()), TestBus(), Noting()
    session = _session(bus, snapshots)
    _one_by_one(bus, session, inputs[:8])
    session._begin_snapshot()

    def spoiling(state: TenantState, *_rest: object) -> Outputs:
        state.timers["spoilt"] = 1
        raise KeyError("a fault of ours")

    monkeypatch.setattr(partition_module, "decide", spoiling)
    bus.put(inputs[8][1], inputs[8][0], inputs[8][1].tenant_id)
    session.step(0)
    monkeypatch.setattr(partition_module, "decide", decide)
    for _ in range(6):
        session.step(0)
        session.settle()
        gevent.sleep(0)
    session.snapshot()
    assert kept
    assert not [data for data in kept if b"spoilt" in data]


def test_what_is_not_acknowledged_is_not_committed_and_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)

    def late(_receipt: object, _timeout_seconds: float) -> None:
        raise NotDelivered("not acknowledged in time")

    with monkeypatch.context() as broker:
        broker.setattr(MemoryBatchReceipt, "wait", late)
        with pytest.raises(NotDelivered):
            _run(_session(bus, snapshots))
    assert (GROUP, INPUTS, 0) not in bus.memory.offsets
    _run(_session(bus, snapshots))
    assert tuple(_without_repeats(ids) for ids in _ids(bus)) == _expected(log)


def test_nothing_is_held_back_any_more_when_an_input_counts_as_sent() -> None:
    """What a hand-over waits for has gone before it, and a kill behind the commit finds both with the broker."""
    bus = TestBus()
    session = _session(bus, MemorySnapshots())
    hand_over = Command(node="fs1", hand_over_leg=HandOverLeg(to_domain="north"))
    outputs = Outputs([hand_over], [], [], [], [], [Note("north", PassedOn())])
    session._outbox.put(Record(INPUTS, 0, 0, START_MS, TENANT, b""), outputs, 1, START_MS)
    session._send()
    assert len(bus.memory.records(COMMANDS)) == len(bus.memory.records(INPUTS)) == 1


def test_a_commit_that_meets_a_rebalance_is_made_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.router.shell.COMMIT_SECONDS", 0.0)
    log, bus = _story(), TestBus()
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    _refuse_next_commit(session)
    session.step(0)
    session.step(0)
    assert (GROUP, INPUTS, 0) not in bus.memory.offsets
    session.step(0)
    assert bus.memory.offsets[GROUP, INPUTS, 0] == len(log.inputs)


def test_a_router_that_comes_copies_what_others_decide_before_it_joins_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.router.standby.POLL_SECONDS", 0.001)
    monkeypatch.setattr("services.router.shell.LOOK_SECONDS", 0.001)
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs)
    copying = Session(bus, snapshots, bus.hands.clock(), Pace(3600, 10**9, has_standby=True))
    copying._reader.others = lambda: frozenset({0})  # type: ignore[method-assign]
    copying.warm_up(Flag())
    copy = copying._standby.take(0, snapshots.places([0])[0])
    assert copy is not None
    assert copy.next_offset == len(log.inputs)
    copying.close()
    bus.memory.offsets[GROUP, INPUTS, 0] += 1  # what nobody brings
    stopping, stopped = Flag(), Flag()
    stopped.set()
    for flag, seconds in ((stopped, 3600.0), (stopping, 0.0)):
        monkeypatch.setattr("services.router.shell.WARM_UP_SECONDS", seconds)
        waiting = Session(bus, snapshots, bus.hands.clock(), Pace(3600, 10**9, has_standby=True))
        waiting._reader.others = lambda: frozenset({0})  # type: ignore[method-assign]
        waiting.warm_up(flag)
        waiting.close()


def test_nobody_is_followed_before_the_group_has_said_what_is_ours() -> None:
    bus = TestBus()
    session = Session(bus, MemorySnapshots(), bus.hands.clock(), Pace(3600, 10**9, has_standby=True))
    session._reader.others = lambda: frozenset({0})  # type: ignore[method-assign]
    session._reader.generation = lambda: -1  # type: ignore[method-assign]
    session.step(0)
    assert session._standby._wanted == frozenset()


def test_a_session_that_can_not_read_leaves_no_sender_behind() -> None:
    class Half(TestBus):
        __test__ = False
        closed = 0

        def sender(self) -> ClosingSender:
            sender = super().sender()
            sender.close = self._close  # type: ignore[method-assign]
            return sender

        def _close(self) -> None:
            self.closed += 1

        def reader(self, on_revoked: OnTaken, on_lost: OnTaken) -> ClosingReader:
            raise BusUnavailable("no broker")

    bus = Half()
    with pytest.raises(BusUnavailable):
        _session(bus, MemorySnapshots())
    assert bus.closed == 1


class _Leaving(TestBus):
    """Notes how its readers left the group."""

    __test__ = False

    def reader(self, on_revoked: OnTaken, on_lost: OnTaken) -> ClosingReader:
        reader = super().reader(on_revoked, on_lost)
        self.left: list[bool] = []
        reader.close = lambda *, hands_over=False: self.left.append(hands_over)  # type: ignore[method-assign]
        return reader


def test_who_ends_gives_its_tenants_away_at_once() -> None:
    log, bus = _story(), _Leaving()
    _put_all(bus, log)
    stopping = _StopAfter(lambda: len(bus.sent(CALLS, Event)) == len(log.events()))
    Shell(bus, MemorySnapshots(), bus.hands.clock(), SELDOM, stopping).run()
    assert bus.left[0] is True


def test_a_snapshot_of_a_newer_version_is_left_to_who_can_read_it() -> None:
    bus, snapshots = _Leaving(), MemorySnapshots()
    snapshots.save_tenants(0, [TenantSnapshot(TENANT, 4, b'{"format": 999}')])
    stopping = _StopAfter(lambda: bool(stopping.troubles))
    stopping.shell = shell = Shell(bus, snapshots, bus.hands.clock(), SELDOM, stopping)
    shell.run()
    assert bus.left[0] is True
    assert "999" in stopping.troubles[0]
    assert TENANT in stopping.troubles[0]


def test_a_document_store_that_is_away_delays_only_the_snapshot() -> None:
    class Away(MemorySnapshots):
        def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
            raise SnapshotsUnavailable("away")

    log, bus = _story(), TestBus()
    _put_all(bus, log)
    session = _session(bus, Away())
    _run(session)
    session.snapshot()
    bus.put(log.inputs[-1][1], log.now_ms)
    _run(session)
    assert bus.memory.offsets[GROUP, INPUTS, 0] == len(log.inputs) + 1


class _AwayAtFirst(TestBus):
    """A broker that refuses the first session."""

    __test__ = False
    refusals = 0

    def sender(self) -> ClosingSender:
        if not self.refusals:
            self.refusals += 1
            raise BusUnavailable("no broker")
        return super().sender()


class _StopAfter:
    """Is set once all that is wanted was sent; keeps what the shell said while it waited."""

    def __init__(self, is_done: Callable[[], bool]) -> None:
        self.is_set = is_done
        self.shell: Shell | None = None
        self.troubles: list[str] = []

    def wait(self, _seconds: float) -> None:
        assert self.shell is not None
        self.troubles.append(self.shell.trouble)


def test_the_shell_takes_the_log_up_again_when_the_broker_was_away() -> None:
    log, bus = _story(), _AwayAtFirst()
    _put_all(bus, log)
    stopping = _StopAfter(lambda: len(bus.sent(CALLS, Event)) == len(log.events()))
    shell = Shell(bus, MemorySnapshots(), bus.hands.clock(), SELDOM, stopping)
    stopping.shell = shell
    shell.run()
    assert stopping.troubles == ["no broker"]
    assert _ids(bus) == _expected(log)
    assert shell.trouble == ""


def test_a_graceful_stop_leaves_a_snapshot_of_everything() -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    session = _session(bus, snapshots)
    _run(session)
    session.hand_over()
    assert snapshots.load(0).next_offset == len(log.inputs)
    assert [tenant.next_offset for tenant in snapshots.load(0).tenants] == [len(log.inputs)]


def _without_its_partition(bus: TestBus, session: Session, take: OnTaken) -> None:
    """Take the partition from a session, while a record for it has come already."""
    bus.put(Input(tenant_id=TENANT, request=rq.Request(request_id="late")), START_MS)
    session._reader.assignment = list  # type: ignore[method-assign]
    take([(INPUTS, 0)])
    session.step(0)


def test_what_a_router_gives_up_is_kept_as_it_is_before_another_one_has_it() -> None:
    """The other one may be of another version, which must not decide anew what this one has decided."""
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    session = _session(bus, snapshots)
    session.step(0)
    session.step(0)
    _without_its_partition(bus, session, bus.revoke)
    assert session.partitions == {}
    assert snapshots.places([0])[0] == Place(len(log.inputs), core_identity())
    assert bus.memory.offsets[GROUP, INPUTS, 0] == len(log.inputs)
    assert "late" not in _ids(bus)[2]


def test_of_what_is_another_routers_already_nothing_is_kept_or_committed() -> None:
    log, bus, snapshots = _story(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    session = _session(bus, snapshots)
    session.step(0)
    session.step(0)
    _without_its_partition(bus, session, bus.lose)
    session.hand_over()
    assert session.partitions == {}
    assert snapshots.load(0) == PartitionSnapshot(0, [], frozenset())
    assert (GROUP, INPUTS, 0) not in bus.memory.offsets


class _Asker:
    """Notes what it is asked, and what the log had been sent by then."""

    def __init__(self, bus: TestBus) -> None:
        self.bus = bus
        self.asked: list[str] = []
        self.told_before: list[int] = []

    def ask(self, lookups: Iterable[Lookup]) -> None:
        for lookup in lookups:
            self.asked.append(lookup.lookup_id)
            self.told_before.append(len(self.bus.sent(CALLS, Event)))


def _asking() -> Log:
    tenant = document()
    del tenant.flows[0].steps[:]
    look = tn.LookupStep(url="https://crm.example/")
    tenant.flows[0].start = "look"
    tenant.flows[0].steps.add(step_id="look", lookup=look, exits={"next": "return", "failed": "return"})
    log = Log(tenant)
    log.arrive("c1")
    return log


def test_a_lookup_is_asked_when_its_outputs_are_safe_and_a_replay_asks_for_the_pending_only() -> None:
    log, bus, snapshots = _asking(), TestBus(), MemorySnapshots()
    _put_all(bus, log)
    asker, lookup_id = _Asker(bus), log.state.calls["c1"].step_phase
    _run(Session(bus, snapshots, bus.hands.clock(), SELDOM, asker))
    assert asker.asked == [lookup_id]
    assert asker.told_before == [len(log.events())]
    again = _Asker(bus)
    _run(Session(bus, snapshots, bus.hands.clock(), SELDOM, again))
    assert again.asked == [lookup_id]
    found = rq.TakeLookup(call_id="c1", lookup_id=lookup_id, status=200)
    bus.put(Input(tenant_id=TENANT, request=rq.Request(actor="system", take_lookup=found)), log.now_ms)
    _run(Session(bus, snapshots, bus.hands.clock(), SELDOM, _Asker(bus)))
    nobody = _Asker(bus)
    _run(Session(bus, snapshots, bus.hands.clock(), SELDOM, nobody))
    assert nobody.asked == []
