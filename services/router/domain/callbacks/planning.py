"""From one attempt to the next, and the one end of a task (SPEC 4.2)."""

from services.router.domain import waiting
from services.router.domain.callbacks.task import Callback, Policy, policy_of
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

LATER_MS = 30_000
"""What could not be begun, for no fault of the customer's, is tried again after so long."""
POSTPONED_BY_EXPIRY_MS = 60_000
"""A task that comes to its end while the customer is being called is looked at again after so long."""
BUSY = frozenset({"USER_BUSY"})
HOPELESS = frozenset({"UNALLOCATED_NUMBER", "INVALID_NUMBER_FORMAT", "NUMBER_CHANGED", "OUTGOING_CALL_BARRED"})
"""Nobody will ever answer there (ITU-T Q.850: 1, 28, 22), or may be called (52)."""
REACHED, GIVEN_UP, ABANDONED, RESTS = "reached", "given_up", "abandoned", "rests"
"""What a campaign counts of its tasks: the first two are their ends."""
REASON_SUCCEEDED_BY_HIMSELF = "got_through"


def queue_of(turn: Turn, task: Callback) -> tn.Queue | None:
    """Return the task's queue in the document in force."""
    configuration = turn.state.configuration
    return configuration.queues.get(task.queue_id) if configuration else None


def policy_for(turn: Turn, task: Callback) -> Policy:
    """Return how a task's queue calls back; by the defaults while the queue is not in the document."""
    return policy_of(queue_of(turn, task) or tn.Queue())


def plan(turn: Turn, task: Callback, due_ms: int) -> None:
    """Come back to a task at a moment; while the customer is on the line it waits for the end of that."""
    task.due_ms = max(due_ms, turn.now_ms)
    if task.lines:
        turn.cancel_timer("callback", task.callback_id)
    else:
        turn.set_timer("callback", task.callback_id, task.due_ms - turn.now_ms)


def expire_at(turn: Turn, task: Callback, moment_ms: int) -> None:
    """Give a task up at a moment, unless it is done by then."""
    task.expires_ms = moment_ms
    turn.set_timer("callback_end", task.callback_id, max(0, moment_ms - turn.now_ms))


def succeeded(turn: Turn, task: Callback, agent_id: str) -> None:
    """End a task whose customer talks with an agent."""
    body = _event(turn, task, task.call_id).callback_succeeded
    body.callback_id, body.number, body.queue_id = task.callback_id, task.number, task.queue_id
    body.attempt, body.agent_id = task.attempts, agent_id
    _close(turn, task, REACHED)


def attempt_over(turn: Turn, call: Call, cause: str) -> None:
    """Take note that a call for a task ended without a talk: it is tried again, or not any more."""
    task = turn.state.callbacks.get(call.callback_id)
    if task is None or task.call_id != call.call_id:
        return
    task.call_id = ""
    if call.is_leg_answered:
        _count(turn, task, ABANDONED)
    if call.dialled_ms:
        failed(turn, task, cause, call.call_id)
    else:
        plan(turn, task, turn.now_ms + LATER_MS)


def failed(turn: Turn, task: Callback, cause: str, call_id: str = "", *, is_final: bool = False) -> None:
    """Tell a failure and plan the next attempt, when there may be one before the task expires."""
    policy = policy_for(turn, task)
    next_ms = turn.now_ms + (policy.busy_gap_ms if cause in BUSY else policy.gap_ms)
    is_final = is_final or cause in HOPELESS or task.attempts >= policy.attempts
    body = _event(turn, task, call_id).callback_failed
    body.callback_id, body.number, body.queue_id = task.callback_id, task.number, task.queue_id
    body.attempt, body.cause = task.attempts, cause
    body.final = is_final
    if is_final:
        _close(turn, task)
        return
    body.next_at.FromMilliseconds(next_ms)
    plan(turn, task, next_ms)
    _count(turn, task, RESTS)


def cancel(turn: Turn, task: Callback, reason: str) -> None:
    """Give a task up; a customer who is being called is not called any longer."""
    let_go(turn, task)
    body = _event(turn, task).callback_cancelled
    body.callback_id, body.number, body.queue_id = task.callback_id, task.number, task.queue_id
    body.reason = reason
    _close(turn, task)


def expire(turn: Turn, task: Callback) -> None:
    """Give a task up that took too long, but not while the customer's phone rings or the customer waits."""
    if is_dialling(turn, task):
        expire_at(turn, task, turn.now_ms + POSTPONED_BY_EXPIRY_MS)
        return
    let_go(turn, task)
    body = _event(turn, task).callback_expired
    body.callback_id, body.number, body.queue_id = task.callback_id, task.number, task.queue_id
    _close(turn, task)


def reschedule(turn: Turn, task: Callback, due_ms: int, actor: str) -> None:
    """Move a task to another moment; it then has its whole time again."""
    let_go(turn, task)
    plan(turn, task, due_ms)
    expire_at(turn, task, task.due_ms + policy_for(turn, task).expires_ms)
    body = _event(turn, task).callback_rescheduled
    body.callback_id, body.number, body.queue_id = task.callback_id, task.number, task.queue_id
    body.due_at.FromMilliseconds(task.due_ms)
    body.expires_at.FromMilliseconds(task.expires_ms)
    body.actor = actor


def is_dialling(turn: Turn, task: Callback) -> bool:
    """Whether the customer is being called, or was reached and waits."""
    call = turn.state.calls.get(task.call_id)
    return call is not None and bool(call.dialled_ms)


def postpone(turn: Turn, task: Callback, due_ms: int) -> None:
    """Take a task out of the queue until a moment."""
    let_go(turn, task)
    plan(turn, task, due_ms)
    if due_ms > turn.now_ms + LATER_MS:
        _count(turn, task, RESTS)


def tell_attempted(turn: Turn, task: Callback, agent_id: str) -> None:
    """Tell that the customer is dialled."""
    body = _event(turn, task, task.call_id).callback_attempted
    body.callback_id, body.number, body.queue_id = task.callback_id, task.number, task.queue_id
    body.attempt, body.agent_id = task.attempts, agent_id


def let_go(turn: Turn, task: Callback) -> None:
    """Have the task's call ended before this decision is over; one whose customer is on the line goes on by itself."""
    call = turn.state.calls.get(task.call_id)
    task.call_id = ""
    if call is None or call.is_leg_answered:
        return
    if call.is_waiting:
        waiting.leave(turn, call, ev.QUEUE_EXIT_UNSPECIFIED)
    turn.needless.append(call.call_id)


def _event(turn: Turn, task: Callback, call_id: str = "") -> Event:
    event = turn.subject_event(f"callback:{task.callback_id}")
    event.call_id = call_id
    return event


def _count(turn: Turn, task: Callback, what: str) -> None:
    """Have a task's campaign count what became of it."""
    if task.campaign_id:
        turn.campaigns.append((task.campaign_id, task.callback_id, what))


def _close(turn: Turn, task: Callback, what: str = GIVEN_UP) -> None:
    forget(turn, task)
    turn.state.sequences.pop(f"callback:{task.callback_id}", None)
    _count(turn, task, what)


def forget(turn: Turn, task: Callback) -> None:
    """Take a task out of the records, without a word of what became of it."""
    state = turn.state
    del state.callbacks[task.callback_id]
    same = state.callbacks_of[task.number]
    same.remove(task.callback_id)
    if not same:
        del state.callbacks_of[task.number]
    turn.cancel_timer("callback", task.callback_id)
    turn.cancel_timer("callback_end", task.callback_id)
