"""What agents ask for: to send a call on, to speak with somebody first, to speak as three (SPEC 3.8)."""

import re
from dataclasses import replace

from services.router.domain import calls, offers, outbound, talking, waiting
from services.router.domain.control import handover, lending, letting_go
from services.router.domain.control.asking import ACCEPTED, NOT_TALKING, Answer, talking_call
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Agent, Call, Leg, LegRole, Transfer, TransferPhase
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.destinations import ALLOWED

RING_SECONDS = 30
BY_TRANSFER = "transfer"
_NUMBER = re.compile(r"\+[1-9][0-9]{3,14}")
_NO_CONSULTATION: Answer = ("not-consulting", "The agent speaks with nobody else on this call.")
_ACQUAINTED = frozenset({TransferPhase.CONSULTING, TransferPhase.SWAPPED})


def transfer_call(turn: Turn, request: rq.Request) -> Answer:
    """Send a call on without asking; the agent who has it is free at once."""
    ask = request.transfer_call
    call = talking_call(turn, ask.call_id)
    if call is None:
        return NOT_TALKING
    kind = ask.WhichOneof("target")
    if kind == "queue_id":
        return _to_queue(turn, call, ask.queue_id, request.actor)
    if kind == "agent_id" and lending.is_elsewhere(turn, ask.agent_id):
        return lending.ask(turn, call, request)
    refusal = _refusal(turn, call, ask)
    if refusal is not None:
        return refusal
    _part(turn, call)
    calls.stop_talk(turn, call)
    letting_go.let_agent_go(turn, call)
    _ring(turn, call, ask, request.actor)
    return ACCEPTED


def start_consultation(turn: Turn, request: rq.Request) -> Answer:
    """Let the customer hear music and ring somebody to speak with."""
    ask = request.start_consultation
    call = talking_call(turn, ask.call_id)
    if call is None:
        return NOT_TALKING
    if lending.is_queue_elsewhere(turn, ask.queue_id) or lending.is_elsewhere(turn, ask.agent_id):
        return lending.ask(turn, call, request)
    if ask.WhichOneof("target") == "queue_id":
        found = lending.free_of_queue(turn, replace(call), ask.queue_id)
        if isinstance(found, tuple):
            return found
        ask = rq.StartConsultation(call_id=ask.call_id, agent_id=found.agent_id)
    refusal = _refusal(turn, call, ask)
    if refusal is not None:
        return refusal
    _part(turn, call)
    talking.held(turn, call)
    _ring(turn, call, ask, request.actor).is_attended = True
    return ACCEPTED


def swap_consultation(turn: Turn, request: rq.Request) -> Answer:
    """Change over between the customer and the one who was asked."""
    call, transfer = _consulting(turn, request.swap_consultation.call_id)
    if call is None or transfer is None or transfer.pair:
        return _NO_CONSULTATION
    if transfer.phase is TransferPhase.CONSULTING:
        handover.swap_back(turn, call, transfer)
    elif transfer.phase is TransferPhase.SWAPPED:
        handover.consult(turn, call, transfer)
    else:
        return _NO_CONSULTATION
    return ACCEPTED


def complete_consultation(turn: Turn, request: rq.Request) -> Answer:
    """Hand the customer over; to one whose phone still rings without having spoken."""
    call, transfer = _consulting(turn, request.complete_consultation.call_id)
    if call is None or transfer is None:
        return _NO_CONSULTATION
    if transfer.phase is TransferPhase.RINGING and call.other_leg_id:
        calls.stop_talk(turn, call)
        letting_go.let_agent_go(turn, call)
        transfer.is_attended = False
    elif transfer.phase in _ACQUAINTED or transfer.phase is TransferPhase.TOGETHER:
        handover.join(turn, call, transfer)
    else:
        return _NO_CONSULTATION
    return ACCEPTED


def cancel_consultation(turn: Turn, request: rq.Request) -> Answer:
    """Go back to the customer alone."""
    call, transfer = _consulting(turn, request.cancel_consultation.call_id)
    if call is None or transfer is None or not call.other_leg_id:
        return _NO_CONSULTATION
    if transfer.phase in (TransferPhase.JOINING, TransferPhase.RETURNING):
        return _NO_CONSULTATION
    handover.go_back(turn, call, transfer)
    return ACCEPTED


def join_consultation(turn: Turn, request: rq.Request) -> Answer:
    """Let all three hear each other."""
    call, transfer = _consulting(turn, request.join_consultation.call_id)
    if call is None or transfer is None or transfer.phase not in _ACQUAINTED or transfer.pair:
        return _NO_CONSULTATION
    handover.bring_together(turn, call, transfer)
    return ACCEPTED


def dial_refusal(turn: Turn, number: str) -> outbound.Refusal | None:
    """Return why the tenant may not call a number now, None when it may."""
    configuration = turn.state.configuration
    if configuration is None or not _NUMBER.fullmatch(number):
        return outbound.Refusal(ALLOWED)
    return outbound.refusal(turn, configuration.limits, number)


def _consulting(turn: Turn, call_id: str) -> tuple[Call | None, Transfer | None]:
    return turn.state.calls.get(call_id), handover.of(turn, call_id)


def _refusal(turn: Turn, call: Call, ask: rq.TransferCall | rq.StartConsultation) -> Answer | None:
    """Return why the target can't be called, None when it can."""
    if ask.WhichOneof("target") == "number":
        refused = dial_refusal(turn, ask.number)
        if refused is None:
            return None
        refused.tell(turn.call_event(call))
        return "number-not-allowed", "This number may not be dialled."
    agent = turn.state.agents.get(ask.agent_id)
    if agent is None or agent.is_removed:
        return "agent-not-found", f"There is no agent {ask.agent_id}."
    if agent.state is not AgentState.IDLE:
        return "agent-not-free", f"Agent {agent.agent_id} is {agent.state.name.lower()}."
    return None


def _to_queue(turn: Turn, call: Call, queue_id: str, actor: str) -> Answer:
    queue = waiting.queue_of(turn.state, queue_id)
    if queue is None:
        return "queue-not-found", f"There is no queue {queue_id}."
    is_served = not waiting.is_here(turn.state, queue_id) or waiting.is_served(turn.state, queue_id)
    if not call.step_id or not is_served:  # who serves a queue that is elsewhere is found out there
        return "queue-closed", f"Nobody serves queue {queue_id} for this call."
    _part(turn, call)
    letting_go.let_agent_go(turn, call)
    handover.tell(turn, call, Transfer(call.call_id, actor, call.agent_id, ""), queue_id)
    handover.into_queue(turn, call, queue)
    return ACCEPTED


def _part(turn: Turn, call: Call) -> None:
    """Part the customer from the agent; FreeSWITCH parks both."""
    turn.cancel_timer("unbridged", call.call_id)
    calls.to_stage(call, CallStage.TRANSFERRING)
    turn.command(call, call.call_id).part_legs.other_leg_id = call.other_leg_id
    calls.lease(turn, call)


def _ring(turn: Turn, call: Call, ask: rq.TransferCall | rq.StartConsultation, actor: str) -> Transfer:
    """Ring the target."""
    transfer = turn.state.transfers[call.call_id] = Transfer(call.call_id, actor, call.agent_id, "")
    if ask.WhichOneof("target") == "number":
        _ring_number(turn, call, transfer, ask.number)
    else:
        _ring_agent(turn, call, transfer, turn.state.agents[ask.agent_id])
    turn.set_timer("transfer", call.call_id, RING_SECONDS * 1000 + handover.BRIDGE_MS)
    return transfer


def _ring_number(turn: Turn, call: Call, transfer: Transfer, number: str) -> None:
    leg_id = turn.new_leg_id()
    command = turn.command(call, leg_id, RING_SECONDS * 1000)
    command.originate_leg.number = number
    command.originate_leg.ring_timeout_ms = RING_SECONDS * 1000
    command.originate_leg.caller_number = call.line
    turn.state.legs[leg_id] = Leg(leg_id, call.call_id, LegRole.OUTSIDE, call.node, command_id=command.command_id)
    outbound.dialled(turn, leg_id, number)
    transfer.leg_id, transfer.to_number = leg_id, number


def _ring_agent(turn: Turn, call: Call, transfer: Transfer, agent: Agent) -> None:
    body = offers.make(turn, call, agent, tn.Queue(queue_id=call.queue_id, ring_timeout_seconds=RING_SECONDS))
    body.strategy = BY_TRANSFER
    body.candidates.add(agent_id=agent.agent_id)
    body.candidates_total = 1
    offer = turn.state.offers[body.offer_id]
    offer.is_transfer = True
    transfer.leg_id, transfer.to_agent_id = offer.leg_id, agent.agent_id
