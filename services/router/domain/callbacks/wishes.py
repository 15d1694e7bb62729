"""What people and programs ask of callbacks over the API (SPEC 4)."""

from services.router.domain.callbacks import opening, planning
from services.router.domain.callbacks.task import Callback
from services.router.domain.configuration import Configuration
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.destinations import ban
from services.shared.phone_number import normalised

ID_PREFIX = "cb-"
"""Before the request's id: whoever asks knows the task's id before the answer."""
MOST_AHEAD_MS = 90 * 24 * 3_600_000
WITHDRAWN = "withdrawn"

Answer = tuple[str, str]
"""Problem and detail; both empty when it took effect."""
_ACCEPTED: Answer = ("", "")


def ask(turn: Turn, request: rq.Request) -> Answer:
    """Have a number called back. Refused: no such queue or line, no number, not allowed, one is open already."""
    wanted = request.ask_callback
    configuration = turn.state.configuration
    if configuration is None or wanted.queue_id not in configuration.queues:
        return "queue-not-found", f"There is no queue {wanted.queue_id}."
    line = wanted.line or next(iter(configuration.lines), "")
    if line not in configuration.lines:
        return "line-not-found", "The line is none of the tenant's."
    number = normalised(wanted.number, line)
    if wanted.due_ms > turn.now_ms + MOST_AHEAD_MS:
        return "too-late", "A callback can be planned 90 days ahead at most."
    return _fault_of(configuration, number) or _open(turn, request, line, number)


def _fault_of(configuration: Configuration, number: str) -> Answer | None:
    if not number:
        return "not-a-number", "This is not a telephone number; write it as E.164, with + and the country's code."
    if ban(configuration.limits, number):
        return "not-allowed", "The tenant's limits do not allow calls to this number."
    return None


def _open(turn: Turn, request: rq.Request, line: str, number: str) -> Answer:
    wanted = request.ask_callback
    known = opening.find(turn, number, wanted.queue_id)
    if known is not None:
        return "callback-exists", f"Callback {known.callback_id} to this number is open in this queue."
    wish = opening.Wish(
        wanted.queue_id, number, opening.ASKED, line, wanted.name, wanted.due_ms, ID_PREFIX + request.request_id
    )
    if opening.request(turn, wish) is None:
        return "too-many-callbacks", f"{opening.MOST_OPEN} callbacks are open; let some be done first."
    return _ACCEPTED


def cancel(turn: Turn, request: rq.Request) -> Answer:
    """Give a callback up; not one whose customer is on the line."""
    task = turn.state.callbacks.get(request.cancel_callback.callback_id)
    if task is None:
        return _no_callback()
    if _is_reached(turn, task):
        return "callback-in-progress", "The customer is on the line."
    planning.cancel(turn, task, request.cancel_callback.reason or WITHDRAWN)
    return _ACCEPTED


def reschedule(turn: Turn, request: rq.Request) -> Answer:
    """Move a callback; not one whose customer is being called."""
    moved = request.reschedule_callback
    task = turn.state.callbacks.get(moved.callback_id)
    if task is None:
        return _no_callback()
    if planning.is_dialling(turn, task):
        return "callback-in-progress", "The customer is being called."
    if not turn.now_ms <= moved.due_ms <= turn.now_ms + MOST_AHEAD_MS:
        return "not-a-moment", "The moment must lie in the future, 90 days ahead at most."
    planning.reschedule(turn, task, moved.due_ms, request.actor)
    return _ACCEPTED


def _is_reached(turn: Turn, task: Callback) -> bool:
    call = turn.state.calls.get(task.call_id)
    return call is not None and call.is_leg_answered


def _no_callback() -> Answer:
    return "callback-not-found", "There is no such callback, or it is done."
