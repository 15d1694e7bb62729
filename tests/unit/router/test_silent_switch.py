"""A machine that dies can't say so: whoever says nothing is asked, and its calls end when nobody answers."""

from typing import Any

import orjson
import pytest

from services.router.domain.decide import decide
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired
from tests.unit.router.world import LINE, NODE, TENANT, Log, document

HOUR = 3_600
LOST_AFTER = 180


@pytest.fixture
def log() -> Log:
    """Return a tenant in whose one call olena talks, told of by a switch that nobody hears from any more."""
    tenant = document()
    tenant.queues[0].max_wait_seconds = HOUR
    log = Log(tenant)
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    return log


def _questions(log: Log) -> list[Command]:
    """Return what was asked since the guard was taken off the talk."""
    return [each for each in log.commands("lease_leg") if each.lease_leg.seconds == 0][1:]


def test_a_talk_of_an_hour_goes_on_where_the_listener_answers(log: Log) -> None:
    log.wait(HOUR)
    assert log.events("call_ended") == []
    assert len(_questions(log)) == HOUR // 45
    assert {each.node for each in _questions(log)} == {NODE}


def test_the_calls_of_a_switch_that_never_answers_end_and_its_agents_are_free(log: Log) -> None:
    log.is_switch_there = False
    log.arrive("c2")
    log.press("c2", "1")  # waits: nobody else is ready
    log.now_ms += 1_000
    log.wait(LOST_AFTER - 2)
    assert log.events("call_ended") == []
    log.wait(2)
    ended = {event.call_id: event.call_ended for event in log.events("call_ended")}
    assert ended["c1"].exit == ev.CALL_EXIT_ANSWERED
    assert ended["c2"].exit != ev.CALL_EXIT_ABANDONED
    assert ended["c1"].hangup_cause == "NETWORK_OUT_OF_ORDER"
    (told,) = log.events("switch_disconnected")
    assert (told.switch_disconnected.node, told.subject) == (NODE, f"switch:{NODE}")
    assert "180 s" in told.switch_disconnected.reason
    assert (log.state.calls, log.state.legs, log.state.offers, log.state.heard) == ({}, {}, {}, {})
    log.wait(60)
    assert log.state.agents["olena"].leg_id == ""
    log.is_switch_there = True
    log.arrive("c3")
    log.press("c3", "1")
    assert log.last_command("originate_leg", "c3").originate_leg.phone.startswith("phone-olena@")


def test_a_caller_who_waits_is_leased_all_the_time_and_nobody_is_asked_twice(log: Log) -> None:
    log.is_switch_there = False
    log.arrive("c2")
    log.press("c2", "1")
    log.wait(100)
    assert _questions(log) == []


@pytest.mark.parametrize("outcome", [cm.COMMAND_OUTCOME_EXPIRED, cm.COMMAND_OUTCOME_UNKNOWN, cm.COMMAND_OUTCOME_FENCED])
def test_any_answer_is_a_sign_of_life(log: Log, outcome: "cm.CommandOutcome.ValueType") -> None:
    log.is_switch_there = False
    for _ in range(10):
        log.wait(140)
        log.result(_questions(log)[-1], outcome)
    assert log.events("call_ended") == []


def test_an_hour_without_the_log_is_no_hour_of_silence(log: Log) -> None:
    """Kafka was away: the router's first moment after it comes before anything that the listeners kept."""
    log.is_switch_there = False
    timer = f"switch:{NODE}"
    due_ms = log.state.timers[timer]
    log.now_ms += HOUR * 1_000
    log.feed(Input(tenant_id=TENANT, timer=TimerFired(timer_id=timer, due_ms=due_ms)))
    log.wait(44 + 45 + 45)
    assert log.events("call_ended") == []
    log.fact("c1", leg_held=sw.LegHeld())
    log.is_switch_there = True
    log.wait(HOUR)
    assert log.events("call_ended") == []


def test_a_switch_without_calls_is_asked_nothing_and_is_not_lost() -> None:
    log = Log(document())
    log.arrive("c1")
    log.hangs_up("c1")
    log.is_switch_there = False
    log.wait(HOUR)
    assert (_questions(log), log.events("switch_disconnected"), log.state.heard) == ([], [], {})


def test_another_switch_loses_nothing(log: Log) -> None:
    log.is_switch_there = False
    log.ready("taras")
    created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=LINE, caller_number="+380501112244")
    for _ in range(9):
        log.wait(40)
        _at_other(log, "c9", leg_created=created)
    assert [event.call_id for event in log.events("call_ended")] == ["c1"]
    assert "c9" in log.state.calls
    assert log.state.node == "fs2"


def test_what_comes_too_late_of_a_lost_switch_changes_nothing(log: Log) -> None:
    log.is_switch_there = False
    log.wait(LOST_AFTER + 1)
    told = len(log.events())
    log.hangs_up("c1", "SYSTEM_SHUTDOWN", reconciled=True)
    assert len(log.events()) == told


def test_silence_is_counted_on_by_who_takes_the_tenant_over(log: Log) -> None:
    log.is_switch_there = False
    log.wait(100)
    log.state = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(log.state))))
    log.wait(LOST_AFTER - 100 + 1)
    assert [event.call_id for event in log.events("call_ended")] == ["c1"]


def _at_other(log: Log, leg_id: str, **body: Any) -> None:
    """Let another switch tell a fact."""
    log.feed(Input(tenant_id=TENANT, fact=sw.SwitchFact(node="fs2", core_uuid="core-2", leg_id=leg_id, **body)))


def _queue_at_other(log: Log, call_id: str) -> None:
    created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=LINE, caller_number="+380501112244")
    _at_other(log, call_id, leg_created=created)
    _at_other(log, call_id, leg_parked=sw.LegParked(line=LINE))
    asked = log.last_command("collect_digits", call_id)
    digits = sw.DigitsCollected(command_id=asked.command_id, digits="1", outcome=sw.COLLECT_OUTCOME_MATCHED)
    _at_other(log, call_id, digits_collected=digits)


def _offered(log: Log) -> list[tuple[str, str]]:
    return [(event.call_id, event.offer_created.agent_id) for event in log.events("offer_created")]


@pytest.fixture
def unrung() -> Log:
    """Return a tenant whose switch is silent since the moment at which olena's phone was to ring for c1; c2 waits."""
    log = Log(document())
    log.ready("olena")
    log.queue("c1")
    log.queue("c2", "+380501112255")
    log.is_switch_there = False
    log.wait(16)
    return log


def test_after_an_offer_of_which_nothing_was_heard_agents_are_for_callers_of_other_switches(unrung: Log) -> None:
    unrung.ready("taras")
    assert _offered(unrung) == [("c1", "olena")]
    _queue_at_other(unrung, "c9")
    assert _offered(unrung) == [("c1", "olena"), ("c9", "taras")]


def test_who_waited_on_a_silent_switch_is_served_in_turn_as_soon_as_it_is_heard(unrung: Log) -> None:
    unrung.state = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(unrung.state))))
    unrung.ready("taras", "ivan")
    assert len(_offered(unrung)) == 1
    unrung.fact("c2", digit_pressed=sw.DigitPressed(digit="#"))
    assert _offered(unrung)[1:] == [("c1", "taras"), ("c2", "ivan")]


def test_a_phone_that_rang_when_its_switch_fell_silent_missed_nothing_and_nobody_else_is_rung() -> None:
    log = Log(document())
    log.ready("olena", "taras")
    log.queue("c1")
    log.rings("c1")
    log.is_switch_there = False
    log.wait(16)
    [failed] = log.events("offer_failed")
    assert failed.offer_failed.cause == "NETWORK_OUT_OF_ORDER"
    assert log.state.agents["olena"].misses_in_row == 0
    assert _offered(log) == [("c1", "olena")]
    log.result(log.last_command("lease_leg"), cm.COMMAND_OUTCOME_DONE)
    assert _offered(log) == [("c1", "olena"), ("c1", "taras")]


def test_a_colleague_who_lets_a_transfer_ring_out_missed_it_though_nothing_else_was_heard(log: Log) -> None:
    log.ready("taras")
    log.request("over", transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    log.rings("c1")
    log.wait(31)
    assert [event.offer_missed.agent_id for event in log.events("offer_missed")] == ["taras"]


def test_a_short_ring_that_runs_out_between_two_leases_is_missed() -> None:
    made = document()
    made.queues[0].ring_timeout_seconds = 5
    log = Log(made)
    log.ready("olena", "taras")
    log.queue("c1")
    log.rings("c1")
    log.wait(6)
    assert len(log.events("offer_missed")) == 1
    assert _offered(log) == [("c1", "olena"), ("c1", "taras")]


def test_an_offer_that_was_refused_by_a_switch_that_speaks_withholds_nobody() -> None:
    log = Log(document())
    log.ready("olena", "taras")
    log.queue("c1")
    log.refused(log.last_command("originate_leg"))
    assert _offered(log) == [("c1", "olena"), ("c1", "taras")]
    log.wait(16)
    assert log.state.mute == []


def test_a_phone_that_rings_on_without_a_word_of_it_withholds_nobody_where_the_switch_speaks() -> None:
    """An agent's leg of which no fact came, while leases of the caller are answered all the time."""
    log = Log(document())
    log.ready("olena")
    log.queue("c1")
    log.ready("taras")
    log.wait(16)
    assert _offered(log) == [("c1", "olena"), ("c1", "taras")]


def test_from_the_first_question_on_nobody_is_offered_until_it_is_answered(log: Log) -> None:
    log.is_switch_there = False
    log.queue("c2", "+380501112255")
    log.now_ms += 1_000
    log.wait(46)
    log.ready("taras")
    assert [call_id for call_id, _ in _offered(log)] == ["c1"]
    log.result(log.last_command("lease_leg"), cm.COMMAND_OUTCOME_DONE)
    assert _offered(log)[1:] == [("c2", "taras")]


def test_a_callback_that_waits_begins_on_a_switch_that_speaks() -> None:
    made = document()
    made.limits.allowed_prefixes.append("+380")
    log = Log(made)
    log.ready("olena", "taras")
    log.queue("c1")
    log.talk("c1")
    log.queue("c2", "+380501112255")
    log.request("back", ask_callback=rq.AskCallback(queue_id="sales", number="+380509990000"))
    _queue_at_other(log, "c9")
    log.queue("c3", "+380501112266")
    log.is_switch_there = False
    log.wait(16)
    assert log.state.mute == [NODE]
    waiting = [call for call in log.state.calls.values() if call.is_absent]
    assert [call.node for call in waiting] == ["fs2"]


@pytest.mark.parametrize(("speed", "lost_after"), [(0, LOST_AFTER), (20.0, LOST_AFTER * 20), (0.5, LOST_AFTER)])
def test_a_clock_that_runs_faster_does_not_make_listeners_slower(log: Log, speed: float, lost_after: int) -> None:
    log.is_switch_there = False
    log.clock_speed = speed
    log.wait(lost_after - 1)
    assert log.events("call_ended") == []
    log.wait(1)
    assert [event.call_id for event in log.events("call_ended")] == ["c1"]
    assert len(_questions(log)) == 3


def test_the_log_says_how_fast_the_clock_ran_not_who_reads_it(log: Log) -> None:
    log.is_switch_there = False
    log.clock_speed = 20.0
    log.wait(LOST_AFTER * 20)
    again = TenantState(TENANT)
    for offset, (time_ms, given) in enumerate(log.inputs):
        read = Input.FromString(given.SerializeToString())
        assert decide(again, Position(0, offset), time_ms, read) == log.outputs[offset]
