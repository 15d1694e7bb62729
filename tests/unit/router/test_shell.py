"""The shell on a bus in memory: what it sends is the same whatever happens to it in between."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest

from services.router import partition as partition_module
from services.router.adapters.bus import GROUP, ClosingReader, ClosingSender, Follower, Places
from services.router.adapters.snapshots import MemorySnapshots, SnapshotsUnavailable, TenantSnapshot
from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Lookup, Position
from services.router.shell import Pace, Session, Shell
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Outgoing
from services.shared.bus.topics import CALLS, COMMANDS, DEAD_LETTERS, INPUTS, REPLIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.request_pb2 import Reply
from services.shared.testing.memory_bus import MemoryBus
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

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.now_ms / 1000)


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

    def reader(self, on_revoked: Callable[[Places], None]) -> ClosingReader:
        return self.memory.consumer(GROUP, [INPUTS], on_revoked=on_revoked)

    def follower(self) -> Follower:
        return self.memory.consumer(GROUP, [INPUTS])

    def sender(self) -> ClosingSender:
        return _KillingSender(self.memory.producer(), self.hands)

    def put(self, given: Input, time_ms: int, key: str = TENANT) -> None:
        self.memory.producer().send(INPUTS, key, given.SerializeToString(), timestamp_ms=time_ms)

    def sent(self, topic: str, message: Any) -> list[Any]:
        return [message.FromString(record.value) for record in self.memory.records(topic)]


def _story() -> Log:
    log = Log(document())
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
    leases = [command for command in bus.sent(COMMANDS, Command) if command.WhichOneof("action") == "lease_leg"]
    assert len(leases) == 2
    bus.hands.now_ms += 10_000
    _run(_session(bus, snapshots))
    leases = [command for command in bus.sent(COMMANDS, Command) if command.WhichOneof("action") == "lease_leg"]
    assert len(leases) == 3


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
