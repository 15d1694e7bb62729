"""What is done to a call without changing who is in it: mute, digits, a message, another queue (SPEC 3.8)."""

from services.router.domain import offers, queueing, waiting
from services.router.domain.control import handover
from services.router.domain.control.asking import (
    ACCEPTED,
    NO_CALL,
    NOT_TALKING,
    ON_ITS_WAY,
    Answer,
    heard_call,
    is_on_its_way,
)
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call, EndedCall, TransferPhase
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.mail_address import is_address

MOST_DIGITS = 32
MOST_TEXT, MOST_WORD = 1_000, 64
BY_MAIL = "email"
"""The word for a channel that needs a mail address; what other words need, the company's rules know."""
_DIGITS = frozenset("0123456789*#ABCD")


def mute_agent(turn: Turn, request: rq.Request) -> Answer:
    """Mute or unmute the call's agent."""
    call = heard_call(turn, request.mute_agent.call_id)
    if call is None:
        return NOT_TALKING
    turn.command(call, call.other_leg_id).mute_leg.muted = request.mute_agent.muted
    return ACCEPTED


def send_digits(turn: Turn, request: rq.Request) -> Answer:
    """Send digits to whomever the agent speaks with; nothing keeps or tells them."""
    ask = request.send_call_digits
    call = heard_call(turn, ask.call_id)
    if call is None:
        return NOT_TALKING
    if not 0 < len(ask.digits) <= MOST_DIGITS or not set(ask.digits) <= _DIGITS:
        return "bad-digits", f"Digits are 1 to {MOST_DIGITS} of 0-9, *, #, A-D."
    transfer = handover.of(turn, call.call_id)
    is_consulting = transfer is not None and transfer.phase is TransferPhase.CONSULTING
    leg_id = transfer.leg_id if transfer is not None and is_consulting else call.call_id
    turn.command(call, leg_id).send_digits.digits = ask.digits
    return ACCEPTED


def write_to_caller(turn: Turn, request: rq.Request) -> Answer:
    """Tell that something is to be written to a caller, of a call that goes on or ended not long ago."""
    ask = request.write_to_caller
    call = turn.state.calls.get(ask.call_id) or turn.state.ended.get(ask.call_id)
    if call is None or not call.sequence:  # nobody was told of a callback that had no turn yet
        return NO_CALL
    return ON_ITS_WAY if is_on_its_way(call) else _write(turn, call, request)


def _write(turn: Turn, call: Call | EndedCall, request: rq.Request) -> Answer:
    ask = request.write_to_caller
    if not ask.text.strip() or len(ask.text) > MOST_TEXT or len(ask.channel) > MOST_WORD:
        return "bad-message", f"A message has 1 to {MOST_TEXT} characters."
    if ask.email and not is_address(ask.email):
        return "bad-address", "The mail address is not one address like olena@example.com."
    email = ask.email or _known_address(turn, call)
    if ask.channel == BY_MAIL and not email:
        return "address-unknown", "The caller's mail address is not known: ask for it, and send it along as email."
    if not call.caller_number and not email:
        return "number-withheld", "The caller's number is not known."
    body = turn.call_event(call).message_requested
    body.agent_id, body.line = call.agent_id, call.line
    body.caller.number, body.caller.name = call.caller_number, call.caller_name
    body.channel, body.text, body.actor = ask.channel, ask.text, request.actor
    body.email = email
    return ACCEPTED


def _known_address(turn: Turn, call: Call | EndedCall) -> str:
    if isinstance(call, EndedCall):
        return call.email
    return turn.state.configurations[call.version].scripts.mail_address(call.variables)


def move_waiting_call(turn: Turn, request: rq.Request) -> Answer:
    """Move a waiting call to another queue; it keeps its time of entry, and leaves the former one by overflow."""
    ask = request.move_waiting_call
    call = turn.state.calls.get(ask.call_id)
    if call is None or not call.is_waiting or call.is_absent or call.stage is not CallStage.WAITING:
        return "not-waiting", "This call does not wait in a queue."
    queue = waiting.queue_of(turn.state, ask.queue_id)
    if queue is None:
        return "queue-not-found", f"There is no queue {ask.queue_id}."
    if queue.queue_id == call.queue_id:
        return "same-queue", "The call waits in this queue already."
    if not waiting.is_here(turn.state, queue.queue_id):
        offers.cancel_all(turn, call, "moved")
        waiting.leave(turn, call, ev.QUEUE_EXIT_OVERFLOW, next_queue_id=queue.queue_id)
        handover.into_queue(turn, call, queue)
        return ACCEPTED
    if not waiting.is_served(turn.state, queue.queue_id):
        return "queue-closed", f"Nobody serves queue {queue.queue_id}."
    offers.cancel_all(turn, call, "moved")
    queueing.move(turn, call, queue)
    return ACCEPTED
