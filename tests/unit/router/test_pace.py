"""When a session commits, keeps snapshots and lets others work; and what it measures of that."""

from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from prometheus_client import REGISTRY

from services.router import partition as partition_module
from services.router import shell as shell_module
from services.router.adapters.bus import GROUP
from services.router.adapters.snapshots import MemorySnapshots, TenantSnapshot
from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.router.shell import COMMIT_SECONDS, Pace, Session
from services.shared.bus.topics import DEAD_LETTERS, INPUTS
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PersonForgotten, TimerFired
from tests.unit.router.test_shell import TestBus, _of_two_tenants, _one_by_one, _put_all, _run, _session, _story
from tests.unit.router.world import START_MS, TENANT, Log, document


class Watch:
    """Monotonic time that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    shells = SimpleNamespace(monotonic=watch.monotonic, perf_counter=lambda: 0.0)
    monkeypatch.setattr(shell_module, "time", shells)
    return watch


class Counting(MemorySnapshots):
    """Counts rounds."""

    rounds = 0

    def save_place(self, partition: int, next_offset: int, core: str = "", log: str = "") -> None:
        self.rounds += 1
        super().save_place(partition, next_offset, core, log)


def _step(session: Session) -> None:
    """Step, and let what is captured be written."""
    session.step(0)
    gevent.sleep(0)


def _paced(bus: TestBus, snapshots: MemorySnapshots, seconds: float = 3600.0, inputs: int = 10**9) -> Session:
    return Session(bus, snapshots, bus.hands.clock(), Pace(seconds, inputs))


def _measured(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_an_offset_is_committed_a_little_later_and_not_with_every_batch(watch: Watch) -> None:
    bus, log = TestBus(), _story()
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    commits: list[Any] = []
    reader: Any = session._reader
    reader.commit = lambda *what: commits.append(what[0])
    session.step(0)
    session.step(0)
    assert commits == []
    watch.now += COMMIT_SECONDS
    session.step(0)
    assert commits == [{(INPUTS, 0): len(log.inputs)}]
    bus.put(log.inputs[-1][1], log.now_ms)
    session.step(0)
    assert len(commits) == 1
    watch.now += COMMIT_SECONDS
    session.step(0)
    assert len(commits) == 2


def test_an_offset_is_committed_at_once_after_very_many_inputs(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    del watch  # its time stands still
    monkeypatch.setattr("services.router.shell.MOST_UNCOMMITTED", 4)
    bus, log = TestBus(), _story()
    session = _session(bus, MemorySnapshots())
    committed = []
    for time_ms, given in log.inputs[:9]:
        bus.put(given, time_ms)
        session.step(0)
        committed.append(bus.memory.offsets.get((GROUP, INPUTS, 0), 0))
    assert committed == [0, 0, 0, 4, 4, 4, 4, 8, 8]


def test_a_snapshot_is_begun_with_so_many_inputs(watch: Watch) -> None:
    bus, log, snapshots = TestBus(), _story(), Counting()
    session = _paced(bus, snapshots, inputs=5)
    for number, (time_ms, given) in enumerate(log.inputs[:14]):
        bus.put(given, time_ms)
        watch.now += COMMIT_SECONDS
        _step(session)
        _step(session)
        assert snapshots.rounds == number // 5 + (1 if number % 5 == 4 else 0), number


def test_no_snapshot_is_begun_before_all_is_known_again(watch: Watch) -> None:
    bus, log, snapshots = TestBus(), _story(), Counting()
    _put_all(bus, log)
    bus.memory.offsets[GROUP, INPUTS, 0] = len(log.inputs) + 1
    session = _paced(bus, snapshots, inputs=5)
    began: list[bool] = []
    session._begin_snapshot = lambda: began.append(True)  # type: ignore[method-assign]
    for _ in range(3):
        watch.now += COMMIT_SECONDS
        _step(session)
    assert not session.partitions[0].is_caught_up
    assert session.partitions[0].inputs_since_snapshot >= 5
    assert began == []


def test_a_snapshot_is_begun_after_so_long_and_the_next_one_as_much_later(watch: Watch) -> None:
    bus, log, snapshots = TestBus(), _story(), Counting()
    session = _paced(bus, snapshots, seconds=20.0)
    rounds = []
    for time_ms, given in log.inputs[:9]:
        bus.put(given, time_ms)
        watch.now += 5.0
        _step(session)
        _step(session)
        rounds.append(snapshots.rounds)
    assert rounds == [0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_no_round_is_begun_while_one_is_under_way(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.router.rounds.CAPTURE_SECONDS", 0.0)
    bus, snapshots = TestBus(), Counting()
    session = _session(bus, snapshots)
    inputs = _of_two_tenants(_story())
    _one_by_one(bus, session, inputs[:10])
    session._begin_snapshot()
    session._pace = Pace(0.0, 1)
    assert session._rounds.are_under_way
    bus.put(inputs[10][1], inputs[10][0], inputs[10][1].tenant_id)
    watch.now += COMMIT_SECONDS
    session.step(0)
    assert len(session._rounds._rounds) == 1


def test_live_calls_and_waiting_callers_are_measured_with_each_snapshot() -> None:
    bus, log = TestBus(), Log(document())
    log.ready("olena")
    log.queue("c1")
    log.queue("c2")
    log.arrive("c3")
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    _run(session)
    session._begin_snapshot()
    assert _measured("ringmaster_router_live_calls") == 3
    assert _measured("ringmaster_router_waiting_callers") == 2


def test_a_long_batch_is_sent_in_parts_and_others_work_in_between(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, log = TestBus(), _story()
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    session.step(0)
    sent: list[int] = []
    idle: list[bool] = []
    monkeypatch.setattr(gevent, "idle", lambda: idle.append(True))
    session._send_out = lambda: sent.append(1)  # type: ignore[method-assign]
    monkeypatch.setattr(session._clocks, "look", lambda *_: setattr(watch, "now", watch.now + 0.003))
    session._decide_all(bus.memory.records(INPUTS))
    assert len(idle) == len(log.inputs) // 2
    assert len(sent) == len(idle) + 1


def test_what_was_refused_is_put_aside_once_and_what_is_read_again_is_counted() -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    log = _story()
    _put_all(bus, log)
    bus.memory.producer().send(INPUTS, TENANT, b"\xff\xff\xff", timestamp_ms=START_MS)
    before = _measured("ringmaster_router_dead_letters_total", reason="refused")
    _run(_session(bus, snapshots))
    replayed = _measured("ringmaster_router_replayed_inputs_total")
    _run(_session(bus, snapshots))
    assert len(bus.memory.records(DEAD_LETTERS)) == 1
    assert _measured("ringmaster_router_dead_letters_total", reason="refused") - before == 1
    assert _measured("ringmaster_router_replayed_inputs_total") - replayed == len(log.inputs) + 1


def _with_a_timer_of_a_domain(bus: TestBus) -> Session:
    session = _session(bus, MemorySnapshots())
    session.step(0)
    partition = session.partitions[0]
    partition.states["acme/north"] = TenantState("acme", "north", timers={"lease:c1": START_MS})
    partition.take_over(0, START_MS)
    return session


def test_a_timer_of_a_routing_domain_goes_into_its_log_at_once_and_is_counted() -> None:
    bus = TestBus()
    session = _with_a_timer_of_a_domain(bus)
    before = _measured("ringmaster_router_timers_fired_total")
    session.step(0)
    (record,) = bus.memory.records(INPUTS)
    given = Input.FromString(record.value)
    assert (record.key, given.tenant_id, given.domain) == ("acme/north", "acme", "north")
    assert given.timer == TimerFired(timer_id="lease:c1", due_ms=START_MS)
    assert _measured("ringmaster_router_timers_fired_total") - before == 1


def test_whom_a_routing_domain_has_forgotten_its_own_log_is_told() -> None:
    bus = TestBus()
    session = _session(bus, MemorySnapshots())
    session._rounds._forgotten = [("acme/north", PersonForgotten(erasure_id="e1"))]
    session.step(0)
    session.step(0)
    (record,) = bus.memory.records(INPUTS)
    given = Input.FromString(record.value)
    assert (record.key, given.tenant_id, given.domain) == ("acme/north", "acme", "north")
    assert given.person_forgotten.erasure_id == "e1"


def test_an_input_that_was_left_out_counts_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its reader would be one behind for ever where nothing comes after it."""
    log, bus = _story(), TestBus()
    _put_all(bus, log)
    last = len(log.inputs) - 1
    before = _measured("ringmaster_router_dead_letters_total", reason="failed")

    def failing(state: TenantState, position: Position, time_ms: int, given: Input) -> Outputs:
        if position.offset == last:
            raise KeyError("a fault of ours")
        return decide(state, position, time_ms, given)

    monkeypatch.setattr(partition_module, "decide", failing)
    session = _session(bus, MemorySnapshots())
    session.step(0)
    session.step(0)
    assert bus.memory.offsets[GROUP, INPUTS, 0] == last + 1
    assert _measured("ringmaster_router_dead_letters_total", reason="failed") - before == 1


def test_what_was_captured_is_of_the_tenant_as_it_was_then() -> None:
    bus, snapshots = TestBus(), MemorySnapshots()
    _put_all(bus, _story())
    session = _session(bus, snapshots)
    _run(session)
    session.snapshot()
    state = session.partitions[0].capture(TENANT)
    assert snapshots.load(0).tenants == [TenantSnapshot(TENANT, state.next_offset, state.data)]
