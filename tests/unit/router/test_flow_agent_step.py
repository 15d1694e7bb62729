"""A step that rings one agent by name, and the rating after the talk (SPEC 2.1)."""

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.flow_log import ends, entered, heard, left, log_of, played, step, told
from tests.unit.router.world import Log, document


def with_agent(**exits: str) -> Log:
    return log_of(
        step("taras", {"unavailable": "sorry", **exits}, agent=tn.AgentStep(agent_id="taras", ring_timeout_seconds=10)),
        told("sorry", "sorry"),
        step(
            "rate",
            {"next": "thanks", "skipped": "return"},
            survey=tn.SurveyStep(survey_id="nps", prompts=["rate"], lowest=1, highest=5),
        ),
        told("thanks", "thanks"),
    )


def test_agent_rings_the_one_who_is_named_and_nobody_else() -> None:
    log = with_agent()
    log.ready("olena", "taras")
    log.arrive("c1")
    offer = log.events("offer_created")[-1].offer_created
    assert (offer.agent_id, offer.queue_id, offer.strategy) == ("taras", "", "named_agent")
    originate = log.talk("c1")
    assert originate.originate_leg.phone == "phone-taras@acme.example"
    assert log.events("call_answered")[-1].call_answered.agent_id == "taras"
    assert not log.events("queue_left")
    log.hangs_up(originate.leg_id)
    assert ends(log) == ev.CALL_EXIT_ANSWERED


@pytest.mark.parametrize("how", ["is_offline", "rings_out", "refuses", "can_not_be_reached", "bridge_fails"])
def test_agent_who_does_not_take_the_call_lets_the_flow_go_on(how: str) -> None:
    log = with_agent()
    log.ready(*(["olena"] if how == "is_offline" else ["olena", "taras"]))
    log.arrive("c1")
    if how == "rings_out":
        log.rings("c1")
        log.wait(11)
    elif how == "refuses":
        log.hangs_up(log.rings("c1").leg_id, "CALL_REJECTED")
    elif how == "can_not_be_reached":
        log.refused(log.last_command("originate_leg", "c1"), "USER_NOT_REGISTERED")
    elif how == "bridge_fails":
        leg_id = log.rings("c1").leg_id
        log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
        log.refused(log.last_command("bridge_legs", "c1"))
    assert heard(log) == ["sorry"]
    assert left(log, "taras")[0] == "unavailable"
    assert [event.offer_created.agent_id for event in log.events("offer_created")] == ["taras"] * (how != "is_offline")


@pytest.mark.parametrize("between", ["named agent", "another queue", "full queue"])
def test_a_caller_who_comes_back_into_a_queue_has_the_time_of_entry_whatever_lay_between(between: str) -> None:
    """SPEC 3.3: who waited before goes before those who came later."""
    detour = {
        "named agent": step("detour", {"unavailable": "wait"}, agent=tn.AgentStep(agent_id="taras")),
        "another queue": step("detour", {"no_agent": "wait"}, queue=tn.QueueStep(queue_id="second")),
        "full queue": step("detour", {"full": "wait", "no_agent": "wait"}, queue=tn.QueueStep(queue_id="second")),
    }[between]
    made = document()
    del made.queues[0].tiers[1:]
    second = made.queues.add(queue_id="second", strategy=tn.STRATEGY_LONGEST_IDLE, ring_timeout_seconds=20)
    second.tiers.add(agent_id="taras", level=1, position=1)
    second.capacity = 1 if between == "full queue" else 0
    made.queues[0].exit_keys = "1"
    made.flows[0].steps.append(detour)
    next(each for each in made.flows[0].steps if each.step_id == "wait").exits["1"] = "detour"
    log = Log(made)
    log.ready("olena")
    log.queue("busy")
    log.talk("busy")
    log.queue("c1")
    entered = log.state.calls["c1"].entered_ms
    log.wait(5)
    log.queue("c2", "+380509999999")
    if between == "named agent":
        log.ready("taras")
    log.fact("c1", digit_pressed=sw.DigitPressed(digit="1"))
    if between == "named agent":
        assert log.events("offer_created")[-1].offer_created.strategy == "named_agent"
        log.hangs_up(log.rings("c1").leg_id, "CALL_REJECTED")
    joined = log.events("queue_joined")[-1].queue_joined
    assert (joined.queue_id, joined.entered_ms, joined.position) == ("sales", entered, 1)


def test_a_named_agents_caller_whose_later_transfer_is_missed_waits_in_the_queue_and_the_flow_stays() -> None:
    """The step of the named agent was served long ago: it must not take a missed transfer for its own refusal."""
    log = with_agent()
    log.ready("taras", "olena", "ivan")
    log.arrive("c1")
    first = log.talk("c1").leg_id
    log.request("to-queue", transfer_call=rq.TransferCall(call_id="c1", queue_id="sales"))
    log.hangs_up(first)
    log.fact("c1", leg_parked=sw.LegParked())
    second = log.talk("c1").leg_id
    log.request("to-ivan", transfer_call=rq.TransferCall(call_id="c1", agent_id="ivan"))
    log.hangs_up(second)
    log.fact("c1", leg_parked=sw.LegParked())
    log.rings("c1")
    log.wait(31)
    assert [event.offer_missed.agent_id for event in log.events("offer_missed")] == ["ivan"]
    call = log.state.calls["c1"]
    assert (call.is_waiting, call.queue_id, call.step_id) == (True, "sales", "taras")
    assert not log.events("flow_step_left")
    assert heard(log) == []


def test_a_caller_who_gives_up_while_a_named_agent_rings_frees_the_agent() -> None:
    log = with_agent()
    log.ready("taras")
    log.arrive("c1")
    leg_id = log.rings("c1").leg_id
    log.hangs_up("c1")
    log.hangs_up(leg_id, "ORIGINATOR_CANCEL")
    assert log.events("agent_state_changed")[-1].agent_state_changed.state == ev.AGENT_STATE_IDLE
    assert heard(log) == []


@pytest.mark.parametrize("parked_first", [True, False])
def test_after_the_talk_the_caller_stays_for_the_survey_and_the_rating_names_the_agent(*, parked_first: bool) -> None:
    log = with_agent(answered="rate")
    log.ready("taras")
    log.arrive("c1")
    leg_id = log.talk("c1").leg_id
    assert log.last_command("bridge_legs").bridge_legs.park_after
    log.wait(20)
    log.fact("c1", leg_unbridged=sw.LegUnbridged(other_leg_id=leg_id))
    if parked_first:
        log.fact("c1", leg_parked=sw.LegParked())
        log.hangs_up(leg_id)
    else:
        log.hangs_up(leg_id)
        log.fact("c1", leg_parked=sw.LegParked())
    assert log.last_command("lease_leg").lease_leg.seconds > 0
    assert list(log.last_command("collect_digits").collect_digits.valid) == ["1", "2", "3", "4", "5"]
    entered(log, "5")
    answered = log.events("form_answered")[-1].form_answered
    assert (answered.form_id, answered.agent_id, dict(answered.answers)) == ("nps", "taras", {"rating": "5"})
    played(log)
    assert not [command for command in log.commands("hang_up_leg") if command.leg_id == "c1"][:-1]
    log.wait(15)
    assert ends(log) == ev.CALL_EXIT_ANSWERED
    assert log.events("call_ended")[-1].call_ended.talk_ms == 20_000


def test_a_caller_whom_the_switch_does_not_give_back_after_the_talk_is_not_left_in_silence() -> None:
    log = with_agent(answered="rate")
    log.ready("taras")
    log.arrive("c1")
    log.hangs_up(log.talk("c1").leg_id)
    log.wait(6)
    assert log.last_command("hang_up_leg").leg_id == "c1"


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_caller_whom_the_switch_took_back_after_the_talk_was_answered(*, is_asked: bool) -> None:
    """Whom an agent served nobody lost, whatever befell the call afterwards; what befell it is told beside."""
    log = with_agent(answered="rate")
    log.ready("taras")
    log.arrive("c1")
    leg_id = log.talk("c1").leg_id
    log.wait(20)
    log.hangs_up(leg_id)
    if is_asked:
        log.fact("c1", leg_parked=sw.LegParked())
        assert log.commands("collect_digits")
    log.wait(2)
    log.fact("c1", leg_fell_back=sw.LegFellBack())
    told = log.events("call_ended")[-1].call_ended
    assert (told.exit, told.fell_back, told.talk_ms) == (ev.CALL_EXIT_ANSWERED, True, 20_000)
    assert told.agent_id == "taras"
    assert not log.events("call_lost")
    assert not log.state.calls


def test_a_step_that_fails_after_the_talk_takes_no_answer_back() -> None:
    log = log_of(
        step("taras", {"answered": "more"}, agent=tn.AgentStep(agent_id="taras", ring_timeout_seconds=10)),
        step("more", {"1": "return", "timeout": "return"}, menu=tn.MenuStep(prompts=["more"])),
    )
    log.ready("taras")
    log.arrive("c1")
    log.hangs_up(log.talk("c1").leg_id)
    log.fact("c1", leg_parked=sw.LegParked())
    log.refused(log.last_command("collect_digits", "c1"))
    log.wait(3)
    assert log.last_command("hang_up_leg").leg_id == "c1"
    assert ends(log) == ev.CALL_EXIT_ANSWERED


def test_a_caller_who_hangs_up_first_is_not_asked() -> None:
    log = with_agent(answered="rate")
    log.ready("taras")
    log.arrive("c1")
    leg_id = log.talk("c1").leg_id
    log.hangs_up("c1")
    log.hangs_up(leg_id)
    assert not log.commands("collect_digits")
    log.wait(15)
    assert log.state.timers == {}
