"""Agents of another routing domain, who come for a call that stays where it is, and go home again (docs/adr/0044)."""

from typing import Any

import orjson
import pytest

from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PassedOn
from tests.unit.router.split_world import NORTH, SOUTH, Split, document

READY, AWAY, OFFLINE = rq.AGENT_STATUS_READY, rq.AGENT_STATUS_AWAY, rq.AGENT_STATUS_OFFLINE


def talking(made: tn.TenantDocument | None = None) -> tuple[Split, str]:
    """Return a tenant in whose north olena talks on c1, and her leg; taras is south, ivan with the reception."""
    split = Split(made or document(1, north=["sales"], south=["repairs"]))
    split.ready("olena", "taras", "ivan")
    split.arrive("c1", "1")
    split.hand_over("c1")
    return split, split.talk("c1")


def ask(split: Split, **body: Any) -> rq.Reply:
    return split.request(f"ask-{len(split.events)}-{len(split.replies)}", **body)


def homes_of(split: Split, agent_id: str) -> list[str]:
    return [domain for domain, state in split.states.items() if agent_id in state.agents]


def rings(split: Split) -> str:
    """Return the leg of the phone that rings last for c1; its facts stand where the call is."""
    leg_id = split.last("originate_leg", "c1").leg_id
    split.log_of[leg_id] = split.state_of("c1")
    return leg_id


def answers(split: Split) -> str:
    """Let the phone that rings last for c1 be answered; returns its leg."""
    leg_id = rings(split)
    split.fact(leg_id, "c1", leg_progressed=sw.LegProgressed())
    split.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    return leg_id


def bridged(split: Split) -> set[str]:
    command = split.last("bridge_legs", "c1")
    split.fact(command.leg_id, "c1", leg_bridged=sw.LegBridged(other_leg_id=command.bridge_legs.other_leg_id))
    return {command.leg_id, command.bridge_legs.other_leg_id}


def is_at_home_and_idle(split: Split, agent_id: str, home: str) -> bool:
    return homes_of(split, agent_id) == [home] and split.state(home).agents[agent_id].state is AgentState.IDLE


@pytest.mark.parametrize(("agent_id", "home"), [("taras", SOUTH), ("ivan", "")])
def test_a_call_is_transferred_to_an_agent_of_another_domain_who_goes_home_after_it(agent_id: str, home: str) -> None:
    split, first = talking()
    assert ask(split, transfer_call=rq.TransferCall(call_id="c1", agent_id=agent_id)).accepted
    assert homes_of(split, agent_id) == [NORTH]
    assert split.last("originate_leg", "c1").originate_leg.phone == f"phone-{agent_id}@acme.example"
    split.hangs_up(first)
    target = answers(split)
    assert bridged(split) == {"c1", target}
    [moved] = [event.call_transferred for event in split.events if event.HasField("call_transferred")]
    assert (moved.from_agent_id, moved.to_agent_id, moved.attended) == ("olena", agent_id, False)
    split.hangs_up("c1")
    split.hangs_up(target)
    assert split.state(NORTH).agents[agent_id].state is AgentState.WRAP_UP
    split.wait(11)
    assert is_at_home_and_idle(split, agent_id, home)
    assert split.bodies("c1")[-1] == "call_ended"
    assert split.are_events_counted()
    assert not split.state().away


def test_the_reception_borrows_too() -> None:
    split = Split(document(1, north=["sales"]))
    split.ready("olena", "ivan")
    split.arrive("c1", "3")
    split.talk("c1")
    assert ask(split, transfer_call=rq.TransferCall(call_id="c1", agent_id="olena")).accepted
    assert homes_of(split, "olena") == [""]
    target = answers(split)
    assert bridged(split) == {"c1", target}
    split.hangs_up("c1")
    split.hangs_up(target)
    split.wait(11)
    assert is_at_home_and_idle(split, "olena", NORTH)
    assert split.are_events_counted()


@pytest.mark.parametrize("target", [{"agent_id": "taras"}, {"queue_id": "repairs"}])
def test_somebody_of_another_domain_is_asked_first_and_gets_the_customer(target: dict[str, str]) -> None:
    split, first = talking()
    assert ask(split, start_consultation=rq.StartConsultation(call_id="c1", **target)).accepted
    assert split.state(NORTH).agents["olena"].state is AgentState.HOLDING
    taras = answers(split)
    assert bridged(split) == {first, taras}
    assert ask(split, complete_consultation=rq.CompleteConsultation(call_id="c1")).accepted
    assert bridged(split) == {"c1", taras}
    split.hangs_up(first)
    split.hangs_up("c1")
    split.hangs_up(taras)
    split.wait(11)
    assert is_at_home_and_idle(split, "taras", SOUTH)
    assert split.are_events_counted()


def test_a_consultation_that_is_cancelled_sends_the_other_one_home_and_the_talk_goes_on() -> None:
    split, first = talking()
    ask(split, start_consultation=rq.StartConsultation(call_id="c1", agent_id="taras"))
    assert ask(split, cancel_consultation=rq.CancelConsultation(call_id="c1")).accepted
    split.hangs_up(rings(split))
    assert bridged(split) == {"c1", first}
    assert is_at_home_and_idle(split, "taras", SOUTH)
    assert split.state(NORTH).calls["c1"].stage is CallStage.TALKING


def test_a_supervisor_of_another_domain_listens_and_takes_over() -> None:
    split, _ = talking()
    split.request("away", set_agent_status=rq.SetAgentStatus(agent_id="taras", status=AWAY))
    listen = rq.SuperviseCall(call_id="c1", agent_id="taras", mode=rq.SUPERVISION_MODE_LISTEN)
    assert ask(split, supervise_call=listen).accepted
    leg_id = answers(split)
    split.fact(leg_id, "c1", leg_parked=sw.LegParked())
    assert split.last("eavesdrop_leg", "c1").leg_id == leg_id
    assert ask(split, take_over_call=rq.TakeOverCall(call_id="c1", agent_id="taras")).accepted
    assert bridged(split) == {"c1", leg_id}
    assert split.state(NORTH).calls["c1"].agent_id == "taras"
    split.hangs_up("c1")
    split.hangs_up(leg_id)
    split.wait(11)
    assert homes_of(split, "taras") == [SOUTH]
    assert split.state(SOUTH).agents["taras"].state is AgentState.AWAY


@pytest.mark.parametrize(
    ("status", "body", "problem", "detail"),
    [
        (AWAY, {"agent_id": "taras"}, "agent-not-free", "Agent taras is away."),
        (OFFLINE, {"agent_id": "taras"}, "agent-not-free", "Agent taras is offline."),
        (AWAY, {"queue_id": "repairs"}, "nobody-free", "Nobody of queue repairs is free now."),
    ],
)
def test_who_is_not_free_does_not_come_and_the_talk_goes_on(
    status: "rq.AgentStatus.ValueType", body: dict[str, str], problem: str, detail: str
) -> None:
    split, _ = talking()
    split.request("status", set_agent_status=rq.SetAgentStatus(agent_id="taras", status=status))
    reply = ask(split, start_consultation=rq.StartConsultation(call_id="c1", **body))
    assert (reply.problem, reply.detail) == (problem, detail)
    assert homes_of(split, "taras") == [SOUTH]
    assert split.state(NORTH).calls["c1"].stage is CallStage.TALKING


def test_who_talks_is_not_lent() -> None:
    split, _ = talking()
    split.arrive("c2", "2")
    split.hand_over("c2")
    split.talk("c2")
    reply = ask(split, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    assert (reply.problem, reply.detail) == ("agent-not-free", "Agent taras is talking.")


def test_a_caller_who_leaves_while_the_agent_is_on_the_way_sends_it_home_again() -> None:
    split, _ = talking()
    with split.paused():
        split.feed(Input(request=_transfer("late")))
    split.hangs_up("c1")
    split.bring()
    assert [(reply.request_id, reply.problem) for reply in split.replies[-1:]] == [("late", "not-talking")]
    assert is_at_home_and_idle(split, "taras", SOUTH)


def test_a_wish_that_is_told_twice_is_one_wish_with_one_reply_and_later_the_same_one() -> None:
    split, _ = talking()
    with split.paused():
        for _ in range(2):
            split.feed(Input(request=_transfer("once")))
    split.bring()
    assert [reply.accepted for reply in split.replies if reply.request_id == "once"] == [True]
    rung = len([one for _, one in split.commands if one.HasField("originate_leg")])
    assert split.request("once", transfer_call=_transfer("once").transfer_call).accepted
    assert len([one for _, one in split.commands if one.HasField("originate_leg")]) == rung


def _transfer(request_id: str) -> rq.Request:
    asked = rq.TransferCall(call_id="c1", agent_id="taras")
    return rq.Request(request_id=request_id, actor="olena", role="agent", transfer_call=asked)


def test_what_was_sent_to_an_agents_home_while_it_left_follows_it() -> None:
    split, _ = talking()
    ask(split, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    late = rq.SetAgentStatus(agent_id="taras", status=AWAY)
    _pass_on(split, 1, Input(request=rq.Request(request_id="late", set_agent_status=late)))
    assert [reply.accepted for reply in split.replies if reply.request_id == "late"] == [True]
    assert split.state(NORTH).agents["taras"].status == AWAY
    gone = sw.SwitchFact(node="fs1", phone_unregistered=sw.PhoneUnregistered(address="phone-taras@acme.example"))
    _pass_on(split, 2, Input(fact=gone))
    assert not split.state(NORTH).agents["taras"].is_reachable


def _pass_on(split: Split, ordinal: int, given: Input) -> None:
    """Bring an input south that the reception sent there before it knew better."""
    told = PassedOn(partition=0, offset=1_000, ordinal=ordinal, input=given)
    split.feed(Input(passed_on=told), SOUTH)


def two_levels() -> Split:
    """Return the same with maria behind taras, a minute later."""
    made = document(1, north=["sales"], south=["repairs"])
    repairs = next(queue for queue in made.queues if queue.queue_id == "repairs")
    repairs.level_seconds = 60
    made.agents.add(agent_id="maria", name="maria", phone="phone-maria")
    repairs.tiers.add(agent_id="maria", level=2, position=1)
    return talking(made)[0]


def test_a_queue_whose_only_agent_is_lent_is_not_closed_and_nobody_waits_for_the_level() -> None:
    split = two_levels()
    ask(split, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    split.arrive("c2", "2")
    split.hand_over("c2")
    assert split.state(SOUTH).calls["c2"].is_waiting
    split.ready("maria")
    assert [offer.agent_id for offer in split.state(SOUTH).offers.values()] == ["maria"]


def test_a_caller_who_waits_for_a_level_is_offered_to_the_next_one_when_its_agent_is_lent() -> None:
    split = two_levels()
    split.ready("maria")
    split.arrive("c2", "2")
    split.hand_over("c2")
    leg_id = split.last("originate_leg", "c2").leg_id
    split.log_of[leg_id] = SOUTH
    split.fact(leg_id, "c2", leg_hung_up=sw.LegHungUp(cause="USER_BUSY"))
    assert not split.state(SOUTH).offers
    ask(split, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    assert [offer.agent_id for offer in split.state(SOUTH).offers.values()] == ["maria"]


def test_snapshots_know_who_is_lent() -> None:
    split, first = talking()
    ask(split, start_consultation=rq.StartConsultation(call_id="c1", agent_id="taras"))
    for domain, state in list(split.states.items()):
        text = orjson.dumps(to_snapshot(state))
        split.states[domain] = from_snapshot(orjson.loads(text))
        assert orjson.dumps(to_snapshot(split.states[domain])) == text
    taras = answers(split)
    assert bridged(split) == {first, taras}
    split.hangs_up(taras)
    split.wait(11)
    assert is_at_home_and_idle(split, "taras", SOUTH)
