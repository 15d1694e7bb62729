"""Steps that lead to people: queue, agent, forward (SPEC 2.1)."""

from services.router.domain import calls, offers, outbound, queueing, waiting
from services.router.domain.flow.kinds import FlowFault, Kind, Left, configuration_of
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Call, Leg, LegRole
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.destinations import SIP_HOSTS, may_reach

DEFAULT_FORWARD_SECONDS = 30
AFTER_TALK = "answered"
"""The exit of queue and agent steps that a caller takes when the agent has left."""
BY_NAME = "named_agent"


def is_served(turn: Turn, queue: tn.Queue) -> bool:
    """Whether anybody of a queue is at work."""
    return waiting.is_served(turn.state, queue.queue_id)


def _queue(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    queue = waiting.queue_of(turn.state, step.queue.queue_id)
    if queue is None:
        raise FlowFault(f"there is no queue {step.queue.queue_id}")
    call.goes_on = AFTER_TALK in step.exits
    return queueing.enter(turn, call, queue, step.queue)


def _agent(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    """Hold the call out to one agent, without a queue: who is not free now is not waited for."""
    agent, configuration = turn.state.agents.get(step.agent.agent_id), turn.state.configuration
    if agent is None and configuration is not None and step.agent.agent_id in configuration.domain_of_agent:
        return "unavailable", "the agent has yet to come here from another routing domain"
    if agent is None or agent.is_removed:
        raise FlowFault(f"there is no agent {step.agent.agent_id}")
    if agent.state is not AgentState.IDLE:
        return "unavailable", f"agent {agent.agent_id} is {agent.state.name.lower()}"
    calls.answer(turn, call)
    calls.to_stage(call, CallStage.WAITING)
    turn.command(call, call.call_id).start_music.stream = step.agent.music
    call.queue_id = ""
    call.goes_on = AFTER_TALK in step.exits
    # A place in a queue that was left before is kept for the way back (Call.places).
    call.entered_ms = call.joined_ms = turn.now_ms
    body = offers.make(turn, call, agent, tn.Queue(ring_timeout_seconds=step.agent.ring_timeout_seconds))
    body.strategy = BY_NAME
    body.candidates.add(agent_id=agent.agent_id)
    body.candidates_total = 1
    return None


def _forward(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    forward = step.forward
    refused = _forbidden(turn, call, forward)
    if refused is not None:
        refused.tell(turn.call_event(call))
        return "failed", f"the {'SIP address' if forward.sip else 'number'} may not be dialled"
    calls.answer(turn, call)
    calls.to_stage(call, CallStage.FORWARDING)
    turn.command(call, call.call_id).start_music.SetInParent()
    ring_ms = (forward.ring_timeout_seconds or DEFAULT_FORWARD_SECONDS) * 1000
    leg_id = turn.new_leg_id()
    command = turn.command(call, leg_id, ring_ms)
    if forward.sip:
        command.originate_leg.sip = forward.sip
    else:
        command.originate_leg.number = forward.number
    command.originate_leg.ring_timeout_ms = ring_ms
    command.originate_leg.caller_number = call.line
    call.other_leg_id = leg_id
    call.goes_on = False
    turn.state.legs[leg_id] = Leg(leg_id, call.call_id, LegRole.OUTSIDE, call.node, command_id=command.command_id)
    if forward.number:
        outbound.dialled(turn, leg_id, forward.number)
    turn.set_timer("step", call.call_id, ring_ms)
    return None


def _forbidden(turn: Turn, call: Call, forward: tn.ForwardStep) -> outbound.Refusal | None:
    """Return why a caller may not be sent there; a SIP address costs nothing, so no day's spend is asked."""
    limits = configuration_of(turn, call).limits
    if forward.sip:
        return None if may_reach(limits, forward.sip) else outbound.Refusal(SIP_HOSTS)
    return outbound.refusal(turn, limits, forward.number)


KINDS: dict[str, Kind] = {"queue": Kind(_queue), "agent": Kind(_agent), "forward": Kind(_forward)}
