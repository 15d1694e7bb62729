"""Click-to-call: an agent's own phone rings first, then the customer's (SPEC 3.8)."""

from services.router.domain import calls, offers, outbound
from services.router.domain.configuration import Configuration
from services.router.domain.control.asking import ACCEPTED, Answer
from services.router.domain.control.transferring import dial_refusal
from services.router.domain.flow.variables import DIALLED_IN
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Call, Leg, LegRole, Offer
from services.router.domain.splitting import telling
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

AGENT_SECONDS = 30
CUSTOMER_MS = 45_000
GUARD_MS = 15_000
"""A dial whose end was not told so long after its ring time-out is given up."""
BY_AGENT = "dialled"


def dial_number(turn: Turn, request: rq.Request) -> Answer:
    """Begin a call to a customer by ringing the agent's phone."""
    ask = request.dial_number
    state, agent = turn.state, turn.state.agents.get(ask.agent_id)
    if agent is None or agent.is_removed or state.configuration is None:
        return "agent-not-found", f"There is no agent {ask.agent_id}."
    if agent.state not in (AgentState.IDLE, AgentState.AWAY) or agent.leg_id or not agent.is_reachable:
        return "agent-not-free", f"Agent {agent.agent_id} is {agent.state.name.lower()}."
    refused = dial_refusal(turn, ask.number)
    if refused is not None:
        refused.tell(turn.subject_event("tenant"))
        return "number-not-allowed", "This number may not be dialled."
    line = ask.line or next(iter(state.configuration.lines), "")
    unknown = _unknown(state.configuration, line, ask.language)
    if unknown is not None:
        return unknown
    limits = state.configuration.limits
    is_full = 0 < limits.concurrent_calls <= calls.live_calls(state)
    if not state.node or is_full or outbound.too_fast(turn, limits) is not None:
        return "no-capacity", "No call can be made now."
    outbound.note_begun(turn, limits)
    call = Call(turn.new_leg_id(), state.node, line, ask.number, "", state.version, "", turn.now_ms)
    call.dialled_by, call.stage = agent.agent_id, CallStage.WAITING
    call.entered_ms = call.joined_ms = turn.now_ms
    if ask.language:
        call.variables[DIALLED_IN] = ask.language
    calls.open_call(turn, call)
    telling.call_begun(turn, call)
    body = offers.make(turn, call, agent, tn.Queue(ring_timeout_seconds=AGENT_SECONDS))
    body.strategy = BY_AGENT
    body.candidates.add(agent_id=agent.agent_id)
    body.candidates_total = 1
    return ACCEPTED


def _unknown(configuration: Configuration, line: str, language: str) -> Answer | None:
    """Say which of what was named is none of the company's."""
    if line not in configuration.lines:
        return "line-not-found", "This line is not the tenant's."
    if language and language not in configuration.document.languages:
        return "language-not-known", "This language is none of the company's."
    return None


def agent_answered(turn: Turn, offer: Offer) -> None:
    """Dial the customer; the agent hears that it rings."""
    call = turn.state.calls[offer.call_id]
    calls.to_stage(call, CallStage.CALLING)
    offers.accept(turn, offer)
    call.agent_id, call.other_leg_id = offer.agent_id, offer.leg_id
    turn.command(call, offer.leg_id).start_music.ringing = True
    call.dialled_ms = turn.now_ms
    command = turn.command(call, call.call_id, CUSTOMER_MS)
    command.originate_leg.number = call.caller_number
    command.originate_leg.ring_timeout_ms = CUSTOMER_MS
    command.originate_leg.caller_number = call.line
    leg = Leg(call.call_id, call.call_id, LegRole.CUSTOMER, call.node, command_id=command.command_id)
    turn.state.legs[leg.leg_id] = leg
    outbound.dialled(turn, leg.leg_id, call.caller_number)
    turn.set_timer("dial", call.call_id, CUSTOMER_MS + GUARD_MS)


def not_taken(turn: Turn, call: Call) -> None:
    """End a call whose agent did not take it, or could not be connected."""
    if call.dialled_by and call.stage is CallStage.WAITING and not call.is_waiting and not call.offers:
        is_reached = call.is_leg_answered
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR if is_reached else ev.CALL_EXIT_NOT_REACHED)
