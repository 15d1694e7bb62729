"""A switch's machine whose clock is ahead: its company's time is, too, but nobody's timers come late for that."""

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.router import clocks
from services.router.adapters.snapshots import MemorySnapshots
from services.router.shell import Session
from services.shared.bus.record import Record
from services.shared.bus.topics import COMMANDS, INPUTS
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired
from tests.unit.router.test_shell import TestBus, _put_all, _run, _session
from tests.unit.router.world import START_MS, TENANT, Log, document

RENEWED_MS, LEASE_MS = 10_000, 30_000
AHEAD_MS = 60_000


def _ahead(ahead_ms: int) -> tuple[TestBus, Session]:
    """Let a caller come, and then somebody call whose switch's clock is ahead."""
    log, bus = Log(document()), TestBus()
    log.arrive("c1")
    log.now_ms += ahead_ms
    log.arrive("c2")
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    _run(session)
    return bus, session


def _leases(bus: TestBus, leg_id: str) -> int:
    sent = bus.sent(COMMANDS, Command)
    return sum(1 for each in sent if each.WhichOneof("action") == "lease_leg" and each.leg_id == leg_id)


def _pass(bus: TestBus, session: Session, seconds: int) -> None:
    for _ in range(seconds):
        bus.hands.now_ms += 1_000
        session.step(0)


def test_leases_are_renewed_in_time_though_the_companys_time_is_ahead() -> None:
    bus, session = _ahead(3_600_000)
    before = _leases(bus, "c1"), _leases(bus, "c2")
    _pass(bus, session, 120)
    enough = 120_000 // LEASE_MS * 2
    assert _leases(bus, "c1") - before[0] >= enough
    assert _leases(bus, "c2") - before[1] >= enough


def test_a_router_that_takes_over_brings_timers_back_in_time_as_well() -> None:
    bus, session = _ahead(3_600_000)
    session.hand_over()
    session = _session(bus, MemorySnapshots())
    _run(session)
    before = _leases(bus, "c1")
    _pass(bus, session, 12)
    assert _leases(bus, "c1") - before == 1


def test_a_timer_is_never_in_the_log_before_it_is_due() -> None:
    """The core goes by it: what is to happen after ten seconds has them behind it."""
    bus, session = _ahead(AHEAD_MS)
    _pass(bus, session, 60)
    fired = [
        (record.timestamp_ms, given.timer.due_ms)
        for record in bus.memory.records(INPUTS)
        if (given := Input.FromString(record.value)).HasField("timer")
    ]
    assert len(fired) >= 8
    assert all(at_ms >= due_ms for at_ms, due_ms in fired)


def test_the_companys_time_comes_back_to_the_routers() -> None:
    bus, session = _ahead(AHEAD_MS)
    state = session.partitions[0].states[TENANT]
    ahead = [state.now_ms - bus.hands.now_ms]
    for _ in range(10):
        _pass(bus, session, 60)
        ahead.append(state.now_ms - bus.hands.now_ms)
    assert ahead[0] == AHEAD_MS
    assert ahead == sorted(ahead, reverse=True)
    assert ahead[-1] <= RENEWED_MS


def test_clocks_that_differ_by_moments_put_no_timer_off() -> None:
    bus, session = _ahead(5)
    due_ms = session.partitions[0].states[TENANT].timers["lease:c2"]
    bus.hands.now_ms = due_ms
    before = _leases(bus, "c2")
    _run(session)
    assert _leases(bus, "c2") == before + 1


def _counted() -> float:
    return REGISTRY.get_sample_value("ringmaster_router_inputs_ahead_total") or 0.0


def test_whose_clock_is_ahead_is_told_once_a_minute_and_all_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now, before = [100.0], _counted()
    monkeypatch.setattr(clocks, "monotonic", lambda: now[0])
    watch = clocks.ClockWatch()
    fact = Input(tenant_id=TENANT, fact=sw.SwitchFact(node="fs2")).SerializeToString()
    timer = Input(tenant_id=TENANT, timer=TimerFired(timer_id="lease:c1")).SerializeToString()
    with capture_logs() as told:
        for now[0], ahead_ms, value in (
            (100.0, 2_000, fact),
            (100.0, 9_000, timer),
            (100.0, 3_600, fact),
            (150.0, 4_000, fact),
            (161.0, 5_000, fact),
        ):
            watch.look(Record(INPUTS, 0, 1, START_MS + ahead_ms, TENANT, value), START_MS)
    assert [(each["writer"], each["seconds"]) for each in told] == [("fs2", 3.6), ("fs2", 5.0)]
    assert _counted() - before == 3


def test_a_router_looks_at_what_it_decides_and_not_at_what_it_reads_again() -> None:
    before = _counted()
    bus, _ = _ahead(AHEAD_MS)
    counted = _counted() - before
    assert counted > 0
    _run(_session(bus, MemorySnapshots()))
    assert _counted() - before == counted
