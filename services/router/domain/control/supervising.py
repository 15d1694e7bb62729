"""Supervisors: listen, whisper, speak with both, take over (SPEC 3.8). The listening phone is an agent's of the tenant.

Who listens is out of reach for calls: ready becomes unreachable, away and offline stay. The leg belongs to the call
and ends with its agent's leg.
"""

from services.router.domain import agents, calls, offers
from services.router.domain.control import handover, lending
from services.router.domain.control.asking import ACCEPTED, NOT_TALKING, Answer, heard_call, talking_call
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Agent, Call, Leg, LegRole, Transfer
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq

RING_MS = 30_000
_NOT_LISTENING: Answer = ("not-listening", "This phone does not listen to this call.")
_MODES: dict[int, "cm.EavesdropMode.ValueType"] = {
    rq.SUPERVISION_MODE_LISTEN: cm.EAVESDROP_MODE_LISTEN,
    rq.SUPERVISION_MODE_WHISPER: cm.EAVESDROP_MODE_WHISPER,
    rq.SUPERVISION_MODE_BARGE: cm.EAVESDROP_MODE_BARGE,
}


def supervise_call(turn: Turn, request: rq.Request) -> Answer:
    """Ring a phone and let it listen; asked again, change who hears it."""
    ask = request.supervise_call
    call = heard_call(turn, ask.call_id)
    if call is None:
        return NOT_TALKING
    if ask.mode not in _MODES:
        return "unknown-mode", "The mode must be listen, whisper or barge."
    if lending.is_elsewhere(turn, ask.agent_id):
        return lending.ask(turn, call, request)
    return _supervise(turn, call, ask)


def _supervise(turn: Turn, call: Call, ask: rq.SuperviseCall) -> Answer:
    agent = turn.state.agents.get(ask.agent_id)
    if agent is None or agent.is_removed:
        return "agent-not-found", f"There is no agent {ask.agent_id}."
    if agent.supervised_call_id == call.call_id:
        agent.supervision_mode = ask.mode
        if turn.state.legs[agent.leg_id].is_answered:
            _listen(turn, call, agent)
        return ACCEPTED
    if agent.leg_id or agent.state in agents.BUSY:
        return "agent-not-free", f"The phone of agent {agent.agent_id} is in use."
    agent.supervision_mode = ask.mode
    _ring(turn, call, agent)
    return ACCEPTED


def stop_supervision(turn: Turn, request: rq.Request) -> Answer:
    """Hang up the listening phone."""
    agent = turn.state.agents.get(request.stop_supervision.agent_id)
    if agent is None or not agent.supervised_call_id or agent.supervised_call_id != request.stop_supervision.call_id:
        return _NOT_LISTENING
    offers.release_leg(turn, agent.leg_id, "NORMAL_CLEARING")
    return ACCEPTED


def take_over_call(turn: Turn, request: rq.Request) -> Answer:
    """Connect the customer with the phone that listens; the agent is free as soon as they hear each other."""
    call = talking_call(turn, request.take_over_call.call_id)
    if call is None:
        return NOT_TALKING
    agent = turn.state.agents.get(request.take_over_call.agent_id)
    if agent is None or agent.supervised_call_id != call.call_id:
        return _NOT_LISTENING
    leg = turn.state.legs[agent.leg_id]
    if not leg.is_answered or leg.release_tries:
        return _NOT_LISTENING
    leg.role = LegRole.AGENT
    agents.stop_listening(turn, agent)
    agent.call_id, agent.queue_id = call.call_id, call.queue_id
    agents.move(turn, agent, AgentState.RESERVED)
    agents.move(turn, agent, AgentState.TALKING)
    turn.cancel_timer("unbridged", call.call_id)
    calls.to_stage(call, CallStage.TRANSFERRING)
    transfer = Transfer(call.call_id, request.actor, call.agent_id, leg.leg_id, agent.agent_id, is_attended=True)
    turn.state.transfers[call.call_id] = transfer
    handover.join(turn, call, transfer)
    return ACCEPTED


def parked(turn: Turn, leg: Leg) -> None:
    """Let a supervisor who answered listen."""
    agent, call = turn.state.agents.get(leg.agent_id), turn.state.calls.get(leg.call_id)
    if agent is None or leg.release_tries or agent.supervised_call_id != leg.call_id:
        return
    if call is None or not call.other_leg_id:
        offers.release_leg(turn, leg.leg_id, "NORMAL_CLEARING")
    else:
        _listen(turn, call, agent)


def _ring(turn: Turn, call: Call, agent: Agent) -> None:
    leg_id = turn.new_leg_id()
    command = turn.command(call, leg_id, RING_MS)
    configuration = turn.state.configuration
    command.originate_leg.phone = configuration.phone_of(agent.agent_id) if configuration else ""
    command.originate_leg.ring_timeout_ms = RING_MS
    command.originate_leg.caller_number = call.caller_number
    leg = Leg(leg_id, call.call_id, LegRole.SUPERVISOR, call.node, agent.agent_id, command_id=command.command_id)
    turn.state.legs[leg_id] = leg
    agent.leg_id, agent.supervised_call_id = leg_id, call.call_id
    call.supervisors.append(agent.agent_id)
    agents.move(turn, agent, agents.rest_state(agent))


def _listen(turn: Turn, call: Call, agent: Agent) -> None:
    action = turn.command(call, agent.leg_id).eavesdrop_leg
    action.target_leg_id = call.other_leg_id
    action.mode = _MODES[agent.supervision_mode]
