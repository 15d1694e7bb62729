"""Lost callers become tasks, and tasks become calls: by policy, in decent hours, once (SPEC 4.1-4.3)."""

from typing import Any

import pytest

from services.router.domain.lifecycle import AgentState
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.flow_log import played
from tests.unit.router.world import LINE, START_MS, TENANT, Log, document

CALLER = "+380501112233"
OTHER = "+380441000002"
ALL_DAYS = [1, 2, 3, 4, 5, 6, 7]
ALL_LOSSES = [tn.LOST_CALL_ABANDONED, tn.LOST_CALL_SHORT_ABANDONED, tn.LOST_CALL_TIMEOUT, tn.LOST_CALL_NO_AGENT]


def calling_back(**policy: Any) -> tn.TenantDocument:
    made = document()
    made.limits.allowed_prefixes.append("+380")
    made.queues[0].callbacks.CopyFrom(tn.CallbackPolicy(**({"after": ALL_LOSSES} | policy)))
    return made


def lose(log: Log, call_id: str = "c1", caller: str = CALLER, after: float = 10) -> None:
    log.queue(call_id, caller)
    log.wait(after)
    log.hangs_up(call_id)


def dials(log: Log) -> list[Command]:
    return [command for command in log.commands("originate_leg") if command.originate_leg.number]


def rung(log: Log) -> list[Command]:
    return [command for command in log.commands("originate_leg") if command.originate_leg.phone]


def agent_takes(log: Log) -> Command:
    ringing = rung(log)[-1]
    log.fact(ringing.leg_id, ringing.call_id, leg_progressed=sw.LegProgressed())
    log.fact(ringing.leg_id, ringing.call_id, leg_answered=sw.LegAnswered())
    return ringing


def customer_answers(log: Log) -> str:
    call_id = dials(log)[-1].leg_id
    log.fact(call_id, call_id, leg_answered=sw.LegAnswered())
    return call_id


def kinds(log: Log) -> list[str]:
    return [kind for event in log.all_events() if (kind := event.WhichOneof("body") or "").startswith("callback_")]


def lost_with_nobody_free(**policy: Any) -> Log:
    """Return a log with one lost caller, and Olena ready only after that."""
    log = Log(calling_back(**policy))
    log.ready("ivan")
    log.queue("c0", "+380509998877")
    agent_takes(log)
    log.fact("c0", leg_bridged=sw.LegBridged(other_leg_id=rung(log)[-1].leg_id))
    lose(log)
    return log


@pytest.mark.parametrize(("after", "reason"), [(10, "abandoned"), (2, "short_abandoned"), (130, "timeout")], ids=str)
def test_a_lost_caller_becomes_a_task(after: float, reason: str) -> None:
    log = Log(calling_back())
    log.ready("ivan")
    log.queue("c0", "+380509998877")
    lose(log, after=after)
    [event] = log.events("callback_requested")
    body = event.callback_requested
    assert (body.number, body.queue_id, body.reason, body.line) == (CALLER, "sales", reason, LINE)
    assert event.call_id == "c1"
    assert log.bodies("c1")[-1] == "call_ended"


def test_a_caller_whom_nobody_serves_becomes_a_task() -> None:
    log = Log(calling_back())
    log.queue("c1")
    log.hangs_up("c1")
    assert log.events("callback_requested")[0].callback_requested.reason == "no_agent"


def test_only_the_losses_that_the_policy_names_are_called_back() -> None:
    log = Log(calling_back(after=[tn.LOST_CALL_TIMEOUT]))
    log.ready("ivan")
    log.queue("c0", "+380509998877")
    lose(log)
    assert kinds(log) == []


def test_who_calls_outside_the_hours_is_called_back_where_the_document_wants_it() -> None:
    made = calling_back()
    made.closed_callbacks.add(line=LINE, queue_id="sales")
    made.flows[0].start = "hours"
    made.flows[0].steps.add(step_id="hours", schedule=tn.ScheduleStep(schedule_id="office")).exits["closed"] = "bye"
    log = Log(made)
    log.arrive("c1")
    log.hangs_up("c1")
    assert [one.callback_requested.reason for one in log.events("callback_requested")] == ["closed"]


def test_the_same_number_and_queue_is_one_task_however_it_is_written() -> None:
    log = lost_with_nobody_free()
    lose(log, "c2", "0501112233")
    lose(log, "c3", "+380501112233")
    assert len(log.events("callback_requested")) == 1
    assert len(log.state.callbacks) == 1


def test_a_withheld_number_is_said_and_makes_no_task() -> None:
    log = Log(calling_back())
    log.ready("ivan")
    log.queue("c0", "+380509998877")
    lose(log, caller="anonymous")
    [failed] = log.events("callback_failed")
    assert failed.callback_failed.final
    assert failed.callback_failed.cause == "INVALID_NUMBER_FORMAT"
    assert log.state.callbacks == {}


def test_the_agent_answers_first_and_then_the_customer_is_rung_and_connected() -> None:
    log = lost_with_nobody_free()
    assert dials(log) == []
    log.ready("olena")
    agent_leg = agent_takes(log).leg_id
    [dial] = dials(log)
    assert (dial.originate_leg.number, dial.originate_leg.caller_number) == (CALLER, LINE)
    call_id = customer_answers(log)
    bridge = log.last_command("bridge_legs", call_id)
    assert (bridge.leg_id, bridge.bridge_legs.other_leg_id) == (call_id, agent_leg)
    log.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=agent_leg))
    assert log.state.agents["olena"].state is AgentState.TALKING
    assert kinds(log) == ["callback_requested", "callback_attempted", "callback_succeeded"]
    log.hangs_up(call_id)
    [ended] = [one for one in log.events("call_ended") if one.call_id == call_id]
    assert ended.call_ended.exit == ev.CALL_EXIT_ANSWERED
    assert ended.call_ended.direction == sw.DIRECTION_OUTBOUND
    assert log.bodies(call_id)[0] == "call_started"
    assert "queue_joined" not in log.bodies(call_id)


def test_the_customer_is_rung_first_where_the_policy_says_so_and_the_agent_is_kept_free() -> None:
    log = lost_with_nobody_free(order=tn.CALLBACK_ORDER_CUSTOMER_FIRST)
    before = len(rung(log))
    log.ready("olena")
    assert len(dials(log)) == 1
    assert len(rung(log)) == before
    assert log.state.agents["olena"].state is AgentState.RESERVED
    call_id = customer_answers(log)
    agent_leg = agent_takes(log).leg_id
    log.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=agent_leg))
    offered = log.events("offer_created")[-1].offer_created
    assert [(one.agent_id, one.level) for one in offered.candidates] == [("olena", 1)]
    assert (offered.strategy, dict(offered.filtered_total)) == ("longest_idle", {"offline": 1, "talking": 1})
    assert kinds(log)[-1] == "callback_succeeded"
    assert log.bodies(call_id).count("queue_joined") == log.bodies(call_id).count("queue_left") == 1


def test_a_callback_for_which_an_agent_rings_is_not_turned_round_by_a_new_document() -> None:
    log = lost_with_nobody_free()
    log.ready("olena")
    before = len(rung(log))
    made = calling_back(order=tn.CALLBACK_ORDER_CUSTOMER_FIRST)
    made.version, made.queues[0].strategy = 2, tn.STRATEGY_RING_ALL
    log.feed(Input(tenant_id=TENANT, document=made))
    log.ready("taras")
    assert dials(log) == []
    agent_takes(log)
    call_id = customer_answers(log)
    assert log.last_command("bridge_legs", call_id).bridge_legs.other_leg_id == rung(log)[-1].leg_id
    assert [command.originate_leg.phone for command in rung(log)[before - 1 :]] == [
        "phone-olena@acme.example",
        "phone-taras@acme.example",
    ]


def test_a_customer_who_does_not_answer_is_tried_again_after_the_gap_and_no_oftener_than_allowed() -> None:
    log = lost_with_nobody_free(attempts=2, gap_seconds=600)
    log.ready("olena")
    agent_takes(log)
    log.hangs_up(dials(log)[-1].leg_id, "NO_ANSWER")
    log.hangs_up(rung(log)[-1].leg_id)
    assert log.state.agents["olena"].state is AgentState.IDLE
    log.wait(590)
    assert len(dials(log)) == 1
    log.wait(20)
    agent_takes(log)
    log.hangs_up(dials(log)[-1].leg_id, "NO_ANSWER")
    log.hangs_up(rung(log)[-1].leg_id)
    log.wait(90_000)
    assert len(dials(log)) == 2
    failures = [one.callback_failed for one in log.events("callback_failed")]
    assert [(one.attempt, one.cause, one.final) for one in failures] == [
        (1, "NO_ANSWER", False),
        (2, "NO_ANSWER", True),
    ]
    assert log.state.callbacks == {}


def test_a_busy_number_is_tried_again_sooner_and_a_dead_one_never() -> None:
    log = lost_with_nobody_free(gap_seconds=3_000, busy_gap_seconds=60)
    log.ready("olena")
    agent_takes(log)
    log.hangs_up(dials(log)[-1].leg_id, "USER_BUSY")
    log.hangs_up(rung(log)[-1].leg_id)
    log.wait(61)
    agent_takes(log)
    assert len(dials(log)) == 2
    log.hangs_up(dials(log)[-1].leg_id, "UNALLOCATED_NUMBER")
    assert log.events("callback_failed")[-1].callback_failed.final


def test_a_customer_who_gets_through_by_himself_is_not_called_back() -> None:
    log = lost_with_nobody_free(first_after_seconds=300)
    log.queue("c9", "0501112233")
    log.ready("olena")
    agent_leg = agent_takes(log).leg_id
    log.fact("c9", leg_bridged=sw.LegBridged(other_leg_id=agent_leg))
    [cancelled] = log.events("callback_cancelled")
    assert cancelled.callback_cancelled.reason == "got_through"
    log.wait(90_000)
    assert dials(log) == []


@pytest.mark.parametrize(
    ("line", "queue_id", "is_withdrawn"), [(OTHER, "sales", True), (LINE, "other", True), (OTHER, "other", False)]
)
def test_a_talk_withdraws_the_task_of_its_queue_and_those_of_its_line(
    line: str, queue_id: str, *, is_withdrawn: bool
) -> None:
    made = calling_back()
    made.queues.add(queue_id="other", strategy=tn.STRATEGY_LONGEST_IDLE, ring_timeout_seconds=15)
    made.queues[1].tiers.add(agent_id="taras", level=1, position=1)
    made.lines.add(number=OTHER, flow="other")
    made.flows.add(flow_id="other", start="wait").steps.add(step_id="wait", queue=tn.QueueStep(queue_id=queue_id))
    menu = next(step for step in made.flows[0].steps if step.step_id == "ask")
    menu.exits["9"] = "elsewhere"
    made.flows[0].steps.add(step_id="elsewhere", queue=tn.QueueStep(queue_id="other"))
    log = Log(made)
    asked = rq.AskCallback(number=CALLER, queue_id="sales", line=LINE, due_ms=START_MS + 3_600_000)
    assert log.request("asked", ask_callback=asked).accepted
    log.ready("taras")
    log.arrive("c9", CALLER, line)
    if line == LINE:
        log.press("c9", "9")
    log.talk("c9")
    assert [event.callback_cancelled.reason for event in log.events("callback_cancelled")] == (
        ["got_through"] if is_withdrawn else []
    )


@pytest.mark.parametrize("limit", ["calls", "money"])
def test_nobody_is_called_back_while_the_company_may_make_no_call_and_then_somebody_is(limit: str) -> None:
    made = calling_back()
    if limit == "calls":
        made.limits.concurrent_calls = 1
    else:
        made.limits.outbound_spend_per_day = 0.5
        made.limits.tariffs.add(prefix="+4", price_per_minute=1.0)
        made.limits.tariffs.add(prefix="+380", price_per_minute=1.0)
    log = Log(made)
    asked = rq.AskCallback(number=CALLER, queue_id="sales", line=LINE, due_ms=START_MS + 120_000)
    assert log.request("asked", ask_callback=asked).accepted
    log.arrive("c0", "+380509998877")
    log.press("c0", "2")
    abroad = log.last_command("originate_leg", "c0").leg_id
    log.fact(abroad, "c0", leg_answered=sw.LegAnswered())
    log.fact("c0", leg_bridged=sw.LegBridged(other_leg_id=abroad))
    log.ready("olena")
    log.wait(180)
    assert [dial.call_id for dial in dials(log)] == ["c0"]
    log.hangs_up("c0")
    log.hangs_up(abroad)
    if limit == "money":
        log.wait(85_600 - 181)
        assert not rung(log)  # it is a second to midnight in Kyiv
    log.wait(31)
    agent_takes(log)
    assert [dial.originate_leg.number for dial in dials(log)][1:] == [CALLER]


def test_nobody_is_called_back_who_is_on_the_line() -> None:
    log = lost_with_nobody_free()
    log.arrive("c9", CALLER)
    log.ready("olena")
    log.wait(5)
    assert rung(log)[-1].call_id == "c0"
    log.hangs_up("c9")
    log.wait(1)
    assert rung(log)[-1].call_id not in ("c0", "c9")


def test_a_number_of_a_black_list_is_not_dialled_although_it_was_not_there_when_the_task_was_made() -> None:
    log = lost_with_nobody_free()
    newer = calling_back()
    newer.version = 2
    newer.lists.add(list_id="black", numbers=["+38050*"])
    newer.queues[0].black_lists.append("black")
    log.feed(Input(tenant_id=TENANT, document=newer))
    log.ready("olena")
    assert dials(log) == []
    assert log.events("callback_failed")[-1].callback_failed.cause == "BLACKLISTED"


def test_a_number_that_the_limits_do_not_allow_is_not_dialled() -> None:
    made = calling_back()
    made.limits.allowed_prefixes[:] = ["+44"]
    log = Log(made)
    log.queue("c1")
    log.hangs_up("c1")
    log.ready("olena")
    log.wait(1)
    assert dials(log) == []
    assert log.events("callback_failed")[-1].callback_failed.cause == "NOT_ALLOWED"


def test_a_customer_is_called_in_the_hours_of_the_own_time_zone() -> None:
    """The log begins on Tuesday at 22:13 UTC, 00:13 in Kyiv: hours from nine begin 8 h 46 min 40 s later."""
    hours = tn.OpenHours(days=ALL_DAYS, until="18:00")
    setattr(hours, "from", "09:00")
    log = lost_with_nobody_free(hours=[hours])
    log.ready("olena")
    log.wait((START_MS - log.now_ms) / 1000 + 31_590)
    assert dials(log) == []
    log.wait(15)
    agent_takes(log)
    assert len(dials(log)) == 1


def test_an_agent_who_answers_after_the_hours_dials_nobody() -> None:
    hours = tn.OpenHours(days=ALL_DAYS, until="00:15")
    setattr(hours, "from", "00:00")
    log = lost_with_nobody_free(hours=[hours])
    log.wait((START_MS - log.now_ms) / 1000 + 95)
    log.ready("olena")
    log.wait(10)
    agent_takes(log)
    assert dials(log) == []
    assert kinds(log) == ["callback_requested"]
    assert len(log.state.callbacks) == 1


def test_a_task_that_takes_too_long_expires() -> None:
    log = lost_with_nobody_free(expires_seconds=3_600)
    log.wait(3_601)
    assert kinds(log) == ["callback_requested", "callback_expired"]
    assert log.state.callbacks == {}
    log.hangs_up("c0")
    assert log.state.calls == {}


def test_waiting_callers_go_before_callbacks_of_lower_priority() -> None:
    log = lost_with_nobody_free(priority=-10)
    log.wait(60)
    log.queue("c5", "+380507776655")
    log.ready("olena")
    assert rung(log)[-1].call_id == "c5"


def test_an_agent_who_hangs_up_while_the_customer_is_rung_ends_the_attempt() -> None:
    log = lost_with_nobody_free()
    log.ready("olena")
    agent_leg = agent_takes(log).leg_id
    log.hangs_up(agent_leg)
    customer = dials(log)[-1].leg_id
    assert log.last_command("hang_up_leg", customer).leg_id == customer
    log.hangs_up(customer, "ORIGINATOR_CANCEL")
    assert kinds(log)[-1] == "callback_failed"
    assert log.state.agents["olena"].state is AgentState.IDLE


def test_a_dial_of_which_nothing_is_told_ends() -> None:
    log = lost_with_nobody_free(ring_timeout_seconds=20)
    log.ready("olena")
    agent_takes(log)
    call_id = dials(log)[-1].leg_id
    log.wait(34)
    assert call_id not in [command.leg_id for command in log.commands("hang_up_leg")]
    log.wait(2)
    assert call_id in [command.leg_id for command in log.commands("hang_up_leg")]
    log.wait(90)
    assert kinds(log)[-1] == "callback_failed"


@pytest.mark.parametrize("way", ["a key", "a key and a prompt", "the longest wait"])
def test_a_caller_who_asked_keeps_the_place_in_the_queue(way: str) -> None:
    made = calling_back()
    made.queues[0].exit_keys = "9"
    made.queues[0].capacity = 0
    steps = made.flows[0].steps
    exits = next(step for step in steps if step.step_id == "wait").exits
    exits["9"], exits["timeout"] = ("say" if way == "a key and a prompt" else "offer"), "offer"
    steps.add(step_id="say", play=tn.PlayStep(prompts=["or-call"])).exits["next"] = "offer"
    offer = steps.add(step_id="offer", callback=tn.CallbackStep(queue_id="sales", prompts=["offer"]))
    offer.exits["requested"] = offer.exits["declined"] = "bye"
    log = Log(made)
    log.ready("ivan")
    log.queue("c0", "+380509998877")
    log.queue("c1", CALLER)
    log.wait(5)
    log.queue("c2", "+380507776655")
    if way == "the longest wait":
        log.wait(116)
    else:
        log.fact("c1", digit_pressed=sw.DigitPressed(digit="9"))
    if way == "a key and a prompt":
        played(log)
    log.press("c1", "1")
    requested = log.events("callback_requested")[0].callback_requested
    assert (requested.reason, requested.keeps_place) == ("asked", True)
    log.wait(1)
    assert [call for call in log.state.calls.values() if call.is_absent] == []  # while the caller is on the line
    log.hangs_up("c1")
    log.wait(1)
    log.ready("olena")
    assert agent_takes(log).call_id not in ("c0", "c1", "c2")
    assert dials(log)[-1].originate_leg.number == CALLER


def test_a_person_can_ask_move_and_cancel() -> None:
    log = Log(calling_back())
    asked = rq.AskCallback(queue_id="sales", number="050 111-22-33", due_ms=log.now_ms + 3_600_000)
    assert log.request("r1", ask_callback=asked).accepted
    assert log.events("callback_requested")[0].callback_requested.callback_id == "cb-r1"
    assert log.request("r2", ask_callback=asked).problem == "callback-exists"
    moved = rq.RescheduleCallback(callback_id="cb-r1", due_ms=log.now_ms + 60_000)
    assert log.request("r3", reschedule_callback=moved).accepted
    assert log.request("r4", cancel_callback=rq.CancelCallback(callback_id="cb-r1")).accepted
    assert log.request("r5", cancel_callback=rq.CancelCallback(callback_id="cb-r1")).problem == "callback-not-found"
    assert kinds(log) == ["callback_requested", "callback_rescheduled", "callback_cancelled"]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"queue_id": "nowhere", "number": CALLER}, "queue-not-found"),
        ({"queue_id": "sales", "number": "call me"}, "not-a-number"),
        ({"queue_id": "sales", "number": "+12025550123"}, "not-allowed"),
        ({"queue_id": "sales", "number": CALLER, "line": "+380440000000"}, "line-not-found"),
        ({"queue_id": "sales", "number": CALLER, "due_ms": START_MS + 10**11}, "too-late"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(asked: dict[str, Any], problem: str) -> None:
    log = Log(calling_back())
    assert log.request("r1", ask_callback=rq.AskCallback(**asked)).problem == problem
    assert log.state.callbacks == {}


def test_a_callback_that_had_no_turn_yet_takes_no_outcome() -> None:
    log = Log(document())
    log.arrive("c1")
    log.request("r1", ask_callback=rq.AskCallback(queue_id="sales", number="+442071000001"))
    log.wait(1)
    (absent,) = log.state.absent
    reply = log.request("r2", set_disposition=rq.SetDisposition(call_id=absent, disposition="sold"))
    assert reply.problem == "call-not-found"
    assert not [event for event in log.all_events() if event.call_id == absent]
