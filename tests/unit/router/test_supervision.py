"""Supervisors who listen, whisper, speak with both and take over; agents who dial (SPEC 3.8)."""

import pytest

from services.router.domain.lifecycle import AGENT_TRANSITIONS, AgentState, CallStage
from services.router.domain.model import LegRole
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from tests.unit.router.test_transfers import ask, bridged, hears, is_let_go, state_of, talking
from tests.unit.router.world import Log, document

NUMBER = "+442071000001"


def listening(status: "rq.AgentStatus.ValueType" = rq.AGENT_STATUS_AWAY) -> tuple[Log, str, str]:
    """Return a log in which ivan listens to olena's call c1; also her leg and his."""
    log, originate = talking("olena")
    log.request("ivan", set_agent_status=rq.SetAgentStatus(agent_id="ivan", status=status))
    assert supervise(log, rq.SUPERVISION_MODE_LISTEN).accepted
    leg_id = log.last_command("originate_leg", "c1").leg_id
    log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    log.fact(leg_id, "c1", leg_parked=sw.LegParked())
    return log, originate.leg_id, leg_id


def supervise(log: Log, mode: "rq.SupervisionMode.ValueType") -> rq.Reply:
    return ask(log, supervise_call=rq.SuperviseCall(call_id="c1", agent_id="ivan", mode=mode))


def test_a_supervisor_listens_to_the_agents_leg_and_is_out_of_reach_for_calls() -> None:
    log, agent_leg, leg_id = listening(rq.AGENT_STATUS_READY)
    command = log.last_command("eavesdrop_leg")
    assert (command.leg_id, command.eavesdrop_leg.target_leg_id) == (leg_id, agent_leg)
    assert command.eavesdrop_leg.mode == cm.EAVESDROP_MODE_LISTEN
    assert state_of(log, "ivan") is AgentState.UNREACHABLE
    log.hangs_up(leg_id)
    assert state_of(log, "ivan") is AgentState.IDLE
    assert log.state.calls["c1"].stage is CallStage.TALKING


@pytest.mark.parametrize(
    ("asked", "ordered"),
    [
        (rq.SUPERVISION_MODE_WHISPER, cm.EAVESDROP_MODE_WHISPER),
        (rq.SUPERVISION_MODE_BARGE, cm.EAVESDROP_MODE_BARGE),
        (rq.SUPERVISION_MODE_LISTEN, cm.EAVESDROP_MODE_LISTEN),
    ],
)
def test_the_mode_changes_on_the_same_leg(
    asked: "rq.SupervisionMode.ValueType", ordered: "cm.EavesdropMode.ValueType"
) -> None:
    log, _, leg_id = listening()
    rung = len(log.commands("originate_leg"))
    assert supervise(log, asked).accepted
    command = log.last_command("eavesdrop_leg")
    assert (command.leg_id, command.eavesdrop_leg.mode) == (leg_id, ordered)
    assert len(log.commands("originate_leg")) == rung


def test_a_supervisor_who_takes_over_gets_the_customer_and_the_agent_is_free() -> None:
    log, agent_leg, leg_id = listening()
    assert ask(log, take_over_call=rq.TakeOverCall(call_id="c1", agent_id="ivan")).accepted
    assert bridged(log) == {"c1", leg_id}
    assert is_let_go(log, agent_leg)
    assert not is_let_go(log, leg_id)
    assert state_of(log, "olena") is AgentState.WRAP_UP
    assert state_of(log, "ivan") is AgentState.TALKING
    assert log.events("call_transferred")[-1].call_transferred.to_agent_id == "ivan"
    log.hangs_up("c1")
    log.hangs_up(leg_id)
    log.wait(20)
    assert state_of(log, "ivan") is AgentState.AWAY


@pytest.mark.parametrize("who", ["customer", "agent"])
def test_listening_ends_with_the_call(who: str) -> None:
    log, agent_leg, leg_id = listening()
    log.hangs_up("c1" if who == "customer" else agent_leg)
    assert is_let_go(log, leg_id)
    log.hangs_up(leg_id)
    log.hangs_up(agent_leg)
    log.hangs_up("c1")
    log.wait(120)
    assert not log.state.legs
    assert not log.state.agents["ivan"].supervised_call_id


def test_a_phone_that_does_not_answer_listens_to_nothing() -> None:
    log, _ = talking("olena")
    assert supervise(log, rq.SUPERVISION_MODE_LISTEN).accepted
    log.refused(log.last_command("originate_leg", "c1"), "USER_NOT_REGISTERED")
    assert not log.state.calls["c1"].supervisors
    assert not log.state.agents["ivan"].leg_id
    assert ask(log, take_over_call=rq.TakeOverCall(call_id="c1", agent_id="ivan")).problem == "not-listening"


def test_a_stopped_supervision_hangs_the_phone_up_and_nothing_else() -> None:
    log, agent_leg, leg_id = listening()
    assert ask(log, stop_supervision=rq.StopSupervision(call_id="c1", agent_id="ivan")).accepted
    assert is_let_go(log, leg_id)
    assert not is_let_go(log, agent_leg)
    assert supervise(log, rq.SUPERVISION_MODE_UNSPECIFIED).problem == "unknown-mode"


def test_who_talks_can_not_listen() -> None:
    log, _ = talking("olena", "taras")
    reply = ask(log, supervise_call=rq.SuperviseCall(call_id="c1", agent_id="olena", mode=rq.SUPERVISION_MODE_LISTEN))
    assert reply.problem == "agent-not-free"


def dialling() -> Log:
    log = Log(document())
    log.fact("", switch_connected=sw.SwitchConnected())
    log.ready("olena")
    reply = ask(log, dial_number=rq.DialNumber(agent_id="olena", number=NUMBER))
    assert reply.accepted, reply.detail
    return log


def dialled(log: Log) -> tuple[str, str]:
    """Let the agent answer; returns the call and the agent's leg."""
    agent_leg = log.last_command("originate_leg").leg_id
    (call_id,) = log.state.calls
    log.fact(agent_leg, call_id, leg_progressed=sw.LegProgressed())
    log.fact(agent_leg, call_id, leg_answered=sw.LegAnswered())
    return call_id, agent_leg


def test_an_agent_who_dials_is_rung_first_and_hears_that_the_customer_is_rung() -> None:
    log = dialling()
    assert log.last_command("originate_leg").originate_leg.phone == "phone-olena@acme.example"
    [offer] = [event.offer_created for event in log.events("offer_created")]
    assert (offer.strategy, [one.agent_id for one in offer.candidates]) == ("dialled", ["olena"])
    call_id, agent_leg = dialled(log)
    assert hears(log, agent_leg) == "ringing"
    command = log.last_command("originate_leg")
    assert (command.leg_id, command.originate_leg.number) == (call_id, NUMBER)
    log.fact(call_id, call_id, leg_answered=sw.LegAnswered())
    log.fact(call_id, call_id, leg_bridged=sw.LegBridged(other_leg_id=agent_leg))
    assert state_of(log, "olena") is AgentState.TALKING
    log.wait(7)
    log.hangs_up(call_id)
    log.hangs_up(agent_leg)
    (ended,) = log.events("call_ended")
    assert (ended.call_ended.exit, ended.call_ended.talk_ms) == (ev.CALL_EXIT_ANSWERED, 7_000)
    assert ended.call_ended.direction == sw.DIRECTION_OUTBOUND


@pytest.mark.parametrize("what", ["agent refuses", "agent misses", "customer busy", "agent gives up", "nothing told"])
def test_a_dial_that_comes_to_nothing_ends_once_and_frees_the_agent(what: str) -> None:
    log = dialling()
    if what == "agent refuses":
        log.hangs_up(log.last_command("originate_leg").leg_id, "USER_BUSY")
    elif what == "agent misses":
        log.wait(35)
    elif what == "customer busy":
        call_id, _ = dialled(log)
        log.hangs_up(call_id, "USER_BUSY")
    elif what == "agent gives up":
        _, agent_leg = dialled(log)
        log.hangs_up(agent_leg)
    else:
        dialled(log)
        log.wait(100)
    for leg in list(log.state.legs.values()):
        log.hangs_up(leg.leg_id)
    log.wait(60)
    assert [event.call_ended.exit for event in log.events("call_ended")] == [ev.CALL_EXIT_NOT_REACHED]
    assert not log.state.calls
    assert not log.state.legs
    assert state_of(log, "olena") is AgentState.IDLE


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"agent_id": "olena", "number": "+15550001"}, "number-not-allowed"),
        ({"agent_id": "taras", "number": NUMBER}, "agent-not-free"),
        ({"agent_id": "nobody", "number": NUMBER}, "agent-not-found"),
        ({"agent_id": "olena", "number": NUMBER, "line": "+100"}, "line-not-found"),
        ({"agent_id": "olena", "number": NUMBER, "language": "de"}, "language-not-known"),
    ],
)
def test_a_dial_that_may_not_be_makes_no_call(body: dict[str, str], problem: str) -> None:
    log = Log(document())
    log.fact("", switch_connected=sw.SwitchConnected())
    log.ready("olena")
    assert ask(log, dial_number=rq.DialNumber(**body)).problem == problem
    assert not log.commands("originate_leg")


def test_nobody_gets_to_a_talk_but_through_a_reservation() -> None:
    for state, following in AGENT_TRANSITIONS.items():
        if AgentState.TALKING in following:
            assert state in {AgentState.RESERVED, AgentState.RINGING, AgentState.HOLDING}


def test_a_supervisor_leg_has_a_role_of_its_own() -> None:
    log, _, leg_id = listening()
    assert log.state.legs[leg_id].role is LegRole.SUPERVISOR
