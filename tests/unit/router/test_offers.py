from typing import Any

import pytest

from services.router.domain.errors import IllegalTransition, UnsupportedStrategy
from services.router.domain.lifecycle import AgentState, CallStage, check_agent, check_call
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import START_MS, TENANT, Log, document


@pytest.fixture
def log() -> Log:
    return Log(document())


def _rung(log: Log) -> list[str]:
    phones = [command.originate_leg.phone for command in log.commands("originate_leg")]
    return [phone.removeprefix("phone-").removesuffix("@acme.example") for phone in phones]


def _state(log: Log, agent_id: str) -> AgentState:
    return log.state.agents[agent_id].state


@pytest.mark.parametrize("cause", ["USER_BUSY", "CALL_REJECTED"])
def test_an_agent_whose_phone_refuses_has_rejected_and_the_next_one_is_asked(log: Log, cause: str) -> None:
    log.ready("olena", "taras")
    log.queue("c1")
    log.hangs_up(log.rings("c1").leg_id, cause)
    assert log.events("offer_rejected")[0].offer_rejected.cause == cause
    assert _rung(log) == ["olena", "taras"]
    assert _state(log, "olena") is AgentState.IDLE


def test_a_caller_whom_everybody_rejected_is_offered_again_after_a_pause(log: Log) -> None:
    log.ready("olena", "taras")
    log.queue("c1")
    for _ in range(2):
        log.hangs_up(log.rings("c1").leg_id, "USER_BUSY")
    log.wait(4)
    assert _rung(log) == ["olena", "taras"]
    log.wait(2)
    assert len(_rung(log)) == 3


def test_an_offer_that_rings_out_is_missed_and_the_leg_is_hung_up(log: Log) -> None:
    log.ready("olena", "taras")
    log.queue("c1")
    leg_id = log.rings("c1").leg_id
    log.wait(15)
    missed = log.events("offer_missed")[0].offer_missed
    assert (missed.agent_id, missed.misses_in_row, missed.ring_ms) == ("olena", 1, 15_000)
    hang_up = log.last_command("hang_up_leg")
    assert (hang_up.leg_id, hang_up.hang_up_leg.cause) == (leg_id, "NO_ANSWER")
    assert _rung(log) == ["olena", "taras"]


def test_an_agent_who_misses_again_and_again_becomes_away(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    for _ in range(2):
        log.hangs_up(log.rings("c1").leg_id, "NO_ANSWER")
        log.wait(16)
    changed = log.events("agent_status_changed")[-1].agent_status_changed
    assert (changed.status, changed.reason, changed.actor) == (rq.AGENT_STATUS_AWAY, "missed", "system")
    assert _state(log, "olena") is AgentState.AWAY


def test_an_agent_who_missed_is_not_tried_again_for_this_caller_for_some_seconds(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.hangs_up(log.rings("c1").leg_id, "NO_ANSWER")
    log.wait(9)
    assert _rung(log) == ["olena"]
    log.wait(2)
    assert _rung(log) == ["olena", "olena"]


def test_a_phone_that_can_not_be_rung_fails_the_offer_and_rests(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.refused(log.last_command("originate_leg"), "NORMAL_TEMPORARY_FAILURE")
    assert log.events("offer_failed")[0].offer_failed.cause == "NORMAL_TEMPORARY_FAILURE"
    assert _state(log, "olena") is AgentState.UNREACHABLE
    log.wait(11)
    assert _rung(log) == ["olena", "olena"]


def test_a_result_that_was_fenced_or_is_unknown_decides_nothing(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    for outcome in (cm.COMMAND_OUTCOME_FENCED, cm.COMMAND_OUTCOME_UNKNOWN):
        assert not log.result(log.last_command("originate_leg"), outcome).events
    assert log.state.calls["c1"].offers


def test_the_end_of_a_leg_and_the_result_of_its_command_end_the_offer_once(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    originate = log.rings("c1")
    log.hangs_up(originate.leg_id, "USER_BUSY")
    log.refused(originate, "USER_BUSY")
    assert len(log.events("offer_rejected")) == 1


def test_an_originate_that_fails_after_the_answer_ends_nothing(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    originate = log.rings("c1")
    log.fact(originate.leg_id, "c1", leg_answered=sw.LegAnswered())
    log.refused(originate, "ORIGINATOR_CANCEL")
    log.fact("c1", leg_bridged=sw.LegBridged(other_leg_id=originate.leg_id))
    assert _state(log, "olena") is AgentState.TALKING
    assert len(log.events("call_answered")) == 1


def test_an_answer_after_the_offer_ended_bridges_nobody(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    originate = log.rings("c1")
    log.wait(15)
    log.fact(originate.leg_id, "c1", leg_answered=sw.LegAnswered())
    assert log.commands("bridge_legs") == []


def test_a_leg_whose_end_is_not_told_is_hung_up_again_and_its_agent_waits_for_it(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.rings("c1").leg_id
    log.hangs_up("c1")
    log.queue("c2")
    log.wait(25)
    hang_ups = [command for command in log.commands("hang_up_leg") if command.leg_id == leg_id]
    assert len(hang_ups) == len({command.command_id for command in hang_ups}) == 3
    assert _rung(log) == ["olena"]
    log.hangs_up(leg_id)
    assert _rung(log) == ["olena", "olena"]


@pytest.mark.parametrize("outcome", [cm.COMMAND_OUTCOME_FAILED, cm.COMMAND_OUTCOME_EXPIRED])
def test_an_agent_is_free_when_the_switch_says_that_the_leg_is_not_there(
    log: Log, outcome: "cm.CommandOutcome.ValueType"
) -> None:
    log.ready("olena")
    log.queue("c1")
    log.rings("c1")
    log.hangs_up("c1")
    is_there = outcome == cm.COMMAND_OUTCOME_EXPIRED
    log.result(log.last_command("hang_up_leg"), outcome, "too late" if is_there else "NO_SUCH_LEG")
    assert _state(log, "olena") is (AgentState.RINGING if is_there else AgentState.IDLE)


def test_an_agent_is_not_out_of_reach_for_ever_when_a_leg_never_ends(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.rings("c1")
    log.hangs_up("c1")
    log.wait(59)
    assert _state(log, "olena") is AgentState.RINGING
    log.wait(2)
    assert _state(log, "olena") is AgentState.IDLE
    assert log.state.legs == {}


def test_the_last_order_to_end_a_leg_is_good_for_as_long_as_its_listener_may_be_away(log: Log) -> None:
    log.is_switch_there = False
    log.ready("olena")
    log.queue("c1")
    log.wait(15 + 60)
    orders = [each for each in log.commands("hang_up_leg") if each.leg_id == log.last_command("originate_leg").leg_id]
    ordered_ms = [START_MS + 10 + (15 + 10 * number) * 1_000 for number in range(6)]
    lasts = [order.deadline_ms - at_ms for order, at_ms in zip(orders, ordered_ms, strict=True)]
    assert lasts == [60_000] * 5 + [3_600_000]
    assert log.state.agents["olena"].leg_id == ""


def test_ring_all_rings_the_whole_level_and_the_losers_missed_nothing() -> None:
    log = Log(document(strategy=tn.STRATEGY_RING_ALL))
    log.ready("olena", "taras", "ivan")
    log.queue("c1")
    assert sorted(_rung(log)) == ["olena", "taras"]
    first, second = log.commands("originate_leg")
    for command in (first, second):
        log.fact(command.leg_id, "c1", leg_progressed=sw.LegProgressed())
    log.fact(second.leg_id, "c1", leg_answered=sw.LegAnswered())
    log.fact(first.leg_id, "c1", leg_answered=sw.LegAnswered())
    assert [command.bridge_legs.other_leg_id for command in log.commands("bridge_legs")] == [second.leg_id]
    lost = log.events("offer_lost_race")[0].offer_lost_race
    assert (lost.agent_id, lost.winner_agent_id) == ("olena", "taras")
    assert log.last_command("hang_up_leg").leg_id == first.leg_id
    assert log.events("offer_missed") == []
    assert log.state.agents["olena"].misses_in_row == 0


def test_ring_all_rings_also_who_becomes_ready_while_the_level_rings_but_no_higher_level() -> None:
    made = document(strategy=tn.STRATEGY_RING_ALL)
    made.queues[0].level_seconds = 60
    log = Log(made)
    log.ready("olena")
    log.queue("c1")
    log.rings("c1")
    log.ready("ivan")
    assert _rung(log) == ["olena"]
    log.ready("taras")
    assert _rung(log) == ["olena", "taras"]
    log.hangs_up(log.rings("c1").leg_id, "USER_BUSY")
    log.wait(8)
    log.request("away", set_agent_status=rq.SetAgentStatus(agent_id="taras", status=rq.AGENT_STATUS_AWAY))
    log.ready("taras")
    assert _rung(log) == ["olena", "taras"]  # has refused this caller
    log.wait(14)
    assert _rung(log)[:3] == ["olena", "taras", "taras"]  # olena has missed it, everybody was tried


def test_who_becomes_ready_takes_a_caller_for_whom_nobody_rings_before_it_rings_along() -> None:
    made = document(strategy=tn.STRATEGY_RING_ALL)
    log = Log(made)
    log.ready("olena")
    log.queue("c1")
    log.queue("c2")
    log.ready("taras")
    assert [event.call_id for event in log.events("offer_created")] == ["c1", "c2"]
    log.ready("ivan")
    assert len(log.events("offer_created")) == 2


def test_who_becomes_ready_rings_along_for_a_caller_behind_one_who_waits_for_a_last_agent() -> None:
    made = document(strategy=tn.STRATEGY_RING_ALL)
    made.queues[0].sticky.agent_seconds = 60
    made.queues[0].tiers[2].level = 1
    log = Log(made)
    log.ready("olena")
    log.talk_over("before")
    log.queue("again")
    log.ready("taras")
    log.queue("other", "+380509999999")
    log.ready("ivan")
    assert [(event.call_id, event.offer_created.agent_id) for event in log.events("offer_created")] == [
        ("before", "olena"),
        ("again", "olena"),
        ("other", "taras"),
        ("other", "ivan"),
    ]


def test_ring_along_reaches_a_caller_of_whose_skills_the_queue_of_a_new_document_has_not_heard() -> None:
    made = document()
    made.agents[0].skills["en"] = made.agents[1].skills["en"] = 90
    wait = next(step for step in made.flows[0].steps if step.step_id == "wait")
    wait.queue.required_skills.add(skill="en", min_proficiency=80)
    log = Log(made)
    log.ready("olena")
    log.queue("c1")
    wait.queue.ClearField("required_skills")
    made.version, made.queues[0].strategy = 2, tn.STRATEGY_RING_ALL
    log.feed(Input(tenant_id=TENANT, document=made))
    log.ready("taras")
    assert _rung(log) == ["olena", "taras"]


def test_ring_all_rings_who_becomes_able_when_the_skills_are_relaxed() -> None:
    made = document(strategy=tn.STRATEGY_RING_ALL)
    made.agents[0].skills["en"] = 90
    queue = made.queues[0]
    queue.required_skills.add(skill="en", min_proficiency=80)
    queue.rings.add(after_seconds=5)
    log = Log(made)
    log.ready("olena", "taras", "ivan")
    log.queue("c1")
    assert _rung(log) == ["olena"]
    log.wait(5)
    assert _rung(log) == ["olena", "taras"]


def test_round_robin_goes_on_after_the_agent_last_offered_and_wraps() -> None:
    log = Log(document(strategy=tn.STRATEGY_ROUND_ROBIN))
    log.ready("olena", "taras")
    for number in range(4):
        log.queue(f"c{number}")
        log.hangs_up(f"c{number}")
        log.hangs_up(log.last_command("originate_leg").leg_id, "ORIGINATOR_CANCEL")
    assert _rung(log) == ["olena", "taras", "olena", "taras"]


def test_longest_idle_takes_who_has_waited_longest_since_the_last_call(log: Log) -> None:
    log.ready("olena", "taras")
    log.queue("c1")
    leg_id = log.talk("c1").leg_id
    log.now_ms += 1_000
    log.hangs_up(leg_id)
    log.hangs_up("c1")
    log.wait(20)
    log.queue("c2")
    log.queue("c3")
    assert _rung(log) == ["olena", "taras", "olena"]


def test_a_lower_level_comes_first_whatever_the_strategy(log: Log) -> None:
    log.ready("ivan", "taras")
    log.queue("c1")
    log.queue("c2")
    assert _rung(log) == ["taras", "ivan"]


def test_a_freed_agent_gets_the_caller_with_the_higher_priority_then_the_earlier_one() -> None:
    tenant = document()
    step = tn.Step(step_id="vip", queue=tn.QueueStep(queue_id="sales", priority=5))
    tenant.flows[0].steps.append(step)
    tenant.flows[0].steps[0].exits["9"] = "vip"
    log = Log(tenant)
    log.request("away", set_agent_status=rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_AWAY))
    log.queue("c1")
    log.queue("c2")
    log.arrive("c3")
    log.press("c3", "9")
    assert [event.queue_joined.position for event in log.events("queue_joined")] == [1, 2, 1]
    log.ready("olena")
    log.ready("taras")
    assert [command.call_id for command in log.commands("originate_leg")] == ["c3", "c1"]


def test_an_offer_says_who_could_have_had_it_and_who_could_not_and_why(log: Log) -> None:
    log.ready("olena", "ivan")
    log.now_ms += 1_000
    log.queue("c1")
    created = log.events("offer_created")[0].offer_created
    assert [(one.agent_id, one.level, dict(one.order)) for one in created.candidates] == [
        ("olena", 1, {"position": 1, "idle_ms": 1_010})
    ]
    assert {one.agent_id: one.reason for one in created.filtered} == {"taras": "offline", "ivan": "other_level"}
    assert created.strategy == "longest_idle"


def test_a_phone_that_is_not_registered_is_not_rung_until_it_registers(log: Log) -> None:
    log.ready("olena")
    log.fact("", phone_unregistered=sw.PhoneUnregistered(address="phone-olena@acme.example"))
    assert _state(log, "olena") is AgentState.UNREACHABLE
    log.queue("c1")
    assert _rung(log) == []
    log.fact("", phone_registered=sw.PhoneRegistered(address="phone-olena@acme.example"))
    assert _rung(log) == ["olena"]
    log.fact("", phone_registered=sw.PhoneRegistered(address="phone-olena@other.example"))
    assert [event.agent_unregistered.agent_id for event in log.events("agent_unregistered")] == ["olena"]
    assert [event.agent_registered.agent_id for event in log.events("agent_registered")] == ["olena"]


def test_hold_is_ordered_for_the_customers_leg_and_told_when_it_happened(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    assert log.request("h1", hold_call=rq.HoldCall(call_id="c1", held=True)).accepted
    assert log.last_command("hold_leg").leg_id == "c1"
    assert log.events("call_held") == []
    log.fact("c1", leg_held=sw.LegHeld())
    log.now_ms += 7_000
    log.fact("c1", leg_resumed=sw.LegResumed())
    assert log.events("call_resumed")[0].call_resumed.held_ms == 7_000
    assert _state(log, "olena") is AgentState.TALKING


def test_a_mask_is_told_when_the_switch_has_done_it(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    ask = rq.ControlRecording(call_id="c1", control=rq.RECORDING_CONTROL_MASK)
    log.request("m1", control_recording=ask)
    assert log.events("recording_masked") == []
    log.result(log.last_command("mask_recording"), cm.COMMAND_OUTCOME_DONE)
    assert log.events("recording_masked")[0].recording_masked.actor == "olena"


def test_the_same_request_twice_has_one_effect_and_the_same_reply(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    offer_id = log.events("offer_created")[0].offer_created.offer_id
    ask = rq.RejectOffer(agent_id="olena", offer_id=offer_id)
    assert log.request("r1", reject_offer=ask) == log.request("r1", reject_offer=ask)
    assert len(log.events("offer_rejected")) == 1
    assert log.request("r2", reject_offer=ask).problem == "not-ringing"


def test_a_wrap_up_is_extended_and_ended_on_request(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.hangs_up(log.talk("c1").leg_id)
    log.hangs_up("c1")
    log.request("x1", extend_wrap_up=rq.ExtendWrapUp(agent_id="olena", seconds=20))
    log.wait(25)
    assert _state(log, "olena") is AgentState.WRAP_UP
    log.request("e1", end_wrap_up=rq.EndWrapUp(agent_id="olena"))
    assert _state(log, "olena") is AgentState.IDLE
    assert log.events("agent_wrapup_ended")[0].agent_wrapup_ended.duration_ms == 25_000
    assert log.request("e2", end_wrap_up=rq.EndWrapUp(agent_id="olena")).problem == "not-in-wrap-up"


def test_an_outcome_may_be_chosen_in_wrap_up_and_only_from_the_tenants(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.hangs_up(log.talk("c1").leg_id)
    log.hangs_up("c1")
    wrong = log.request("d0", set_disposition=rq.SetDisposition(call_id="c1", disposition="nonsense"))
    assert wrong.problem == "unknown-disposition"
    log.request("d1", set_disposition=rq.SetDisposition(call_id="c1", disposition="sold", notes="two boxes"))
    assert dict(log.events("form_answered")[0].form_answered.answers) == {"disposition": "sold", "notes": "two boxes"}


def test_a_request_for_somebody_who_is_not_there_is_refused_with_a_reason(log: Log) -> None:
    ask = rq.SetAgentStatus(agent_id="nobody", status=rq.AGENT_STATUS_READY)
    assert log.request("s1", set_agent_status=ask).problem == "agent-not-found"
    assert log.request("s2", hang_up_call=rq.HangUpCall(call_id="c9")).problem == "call-not-found"
    assert log.request("s3").problem == "unknown-request"


def test_a_strategy_that_is_not_served_is_refused_and_the_former_document_stays(log: Log) -> None:
    newer = document(version=2, strategy=tn.STRATEGY_UNSPECIFIED)
    with pytest.raises(UnsupportedStrategy):
        log.feed(Input(tenant_id="acme", document=newer))
    assert log.state.version == 1


def test_an_illegal_step_of_a_life_cycle_is_named() -> None:
    with pytest.raises(IllegalTransition, match="olena can't go from OFFLINE to TALKING"):
        check_agent("olena", AgentState.OFFLINE, AgentState.TALKING)
    with pytest.raises(IllegalTransition, match="ending"):
        check_call("c1", CallStage.ENDING, CallStage.WAITING)


def test_the_states_of_agents_have_the_contracts_numbers() -> None:
    assert {state.name: state.value for state in AgentState} == {
        name.removeprefix("AGENT_STATE_"): number for name, number in ev.AgentState.items() if number
    }


def test_a_phone_that_went_to_another_switch_stays_reachable_when_the_first_forgets_it() -> None:
    """Its registration there is refreshed without a word: nobody would tell again that it can be rung."""
    log = Log(document())
    address = "phone-olena@acme.example"
    log.ready("olena")

    def at(node: str, **body: Any) -> list[str | None]:
        out = log.feed(Input(tenant_id=TENANT, fact=sw.SwitchFact(node=node, core_uuid=node, **body)))
        return [event.WhichOneof("body") for event in out.events]

    at("fs1", phone_registered=sw.PhoneRegistered(address=address))
    at("fs2", phone_registered=sw.PhoneRegistered(address=address))
    assert at("fs1", phone_unregistered=sw.PhoneUnregistered(address=address, expired=True)) == []
    assert log.state.agents["olena"].is_reachable
    assert "agent_unregistered" in at("fs2", phone_unregistered=sw.PhoneUnregistered(address=address))
    assert not log.state.agents["olena"].is_reachable
