"""How tasks come to be, and how a customer's own calls bear on them (SPEC 4.1, 4.3)."""

from dataclasses import dataclass, field

from services.router.domain import remembering
from services.router.domain.callbacks import planning
from services.router.domain.callbacks.task import Callback, policy_of
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.phone_number import normalised

MOST_OPEN = 10_000
"""Open tasks of a tenant; who is lost beyond that is told as a limit, not called back."""
ASKED = "asked"
CLOSED = "closed"
LIMIT = "callbacks"
NO_NUMBER = "INVALID_NUMBER_FORMAT"
_REASONS: dict[int, tuple["tn.LostCall.ValueType", str]] = {
    ev.CALL_EXIT_ABANDONED: (tn.LOST_CALL_ABANDONED, "abandoned"),
    ev.CALL_EXIT_SHORT_ABANDONED: (tn.LOST_CALL_SHORT_ABANDONED, "short_abandoned"),
    ev.CALL_EXIT_TIMEOUT: (tn.LOST_CALL_TIMEOUT, "timeout"),
    ev.CALL_EXIT_NO_AGENT: (tn.LOST_CALL_NO_AGENT, "no_agent"),
}
_ENDED_BY_FLOW = frozenset({ev.CALL_EXIT_FLOW_ENDED, ev.CALL_EXIT_FLOW_ABANDONED})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new task shall be."""

    queue_id: str
    number: str
    reason: str
    line: str
    name: str = ""
    due_ms: int = 0
    callback_id: str = ""
    """Empty = a derived one."""
    priority: int = 0
    skills: dict[str, int] = field(default_factory=dict)
    campaign_id: str = ""


_WAITED = frozenset({ev.QUEUE_EXIT_CALLBACK, ev.QUEUE_EXIT_EXIT_KEY, ev.QUEUE_EXIT_TIMEOUT})
"""Ways out of a queue after which a callback is asked for instead of more waiting there."""


def ask(turn: Turn, call: Call, queue_id: str, number: str) -> str:
    """Have a caller called back who asked for it, when this call is over; returns the task's id.

    `number` is E.164. A caller who waited in the queue before keeps the place there, whatever the flow said in between
    (SPEC 4.3). The same number and queue is one task: asked for again it takes the new place and loses what it had to
    wait. Empty when the limit is reached.
    """
    wish = Wish(queue_id, number, ASKED, call.line, call.caller_name, 0, "", call.priority, dict(call.skills))
    known = find(turn, number, queue_id)
    if known is not None and planning.is_dialling(turn, known):
        return known.callback_id
    if known is not None:
        planning.postpone(turn, known, turn.now_ms)
    task = known or open_task(turn, wish, call)
    if task is None:
        return ""
    place = call.places.get(queue_id)
    if place is not None and call.queue_exit in _WAITED and not call.answered_ms:
        task.entered_ms, task.entered_order = place
        task.priority, task.skills = call.priority, dict(call.skills)
    call.asked_callback = task.callback_id
    if call.call_id not in task.lines:
        task.lines.append(call.call_id)
    planning.plan(turn, task, turn.now_ms)
    if known is None:
        _tell_requested(turn, task, call)
    return task.callback_id


def lost(turn: Turn, call: Call, call_exit: "ev.CallExit.ValueType") -> None:
    """Make a task for a call that ends without a talk, where the queue's or the document's policy wants it."""
    queue_id, reason = _wanted_for(turn, call, call_exit)
    if not queue_id:
        return
    number = normalised(call.caller_number, call.line)
    if not number:
        _tell_no_number(turn, call, queue_id)
        return
    if find(turn, number, queue_id) is not None:
        return
    due_ms = turn.now_ms + policy_of(_queue(turn, queue_id)).first_after_ms
    wish = Wish(queue_id, number, reason, call.line, call.caller_name, due_ms)
    if not _is_here(turn, queue_id):
        _wish_elsewhere(turn, wish)
        return
    task = open_task(turn, wish, call)
    if task is not None:
        planning.plan(turn, task, due_ms)
        _tell_requested(turn, task, call)


def open_task(turn: Turn, wish: Wish, call: Call | None) -> Callback | None:
    """Make a task and have it expire; None, and an event, when the tenant has as many as it may have.

    Whoever calls this has seen to it that there is no task of this number and queue, plans and tells the new one.
    """
    state = turn.state
    if len(state.callbacks) >= MOST_OPEN:
        event = turn.call_event(call) if call else turn.subject_event("tenant")
        body = event.limit_exceeded
        body.limit, body.value, body.allowed = LIMIT, len(state.callbacks) + 1, MOST_OPEN
        return None
    callback_id, due_ms = wish.callback_id or _new_id(turn), max(wish.due_ms, turn.now_ms)
    task = Callback(callback_id, wish.number, wish.queue_id, wish.reason, wish.line, wish.name, turn.now_ms, due_ms, 0)
    task.priority, task.skills, task.campaign_id = wish.priority, wish.skills, wish.campaign_id
    task.expires_ms = due_ms + policy_of(_queue(turn, wish.queue_id)).expires_ms
    put(turn, task)
    return task


def put(turn: Turn, task: Callback) -> None:
    """Take a task into the records, and have it expire at its moment."""
    state = turn.state
    state.callbacks[task.callback_id] = task
    state.callbacks_of.setdefault(task.number, []).append(task.callback_id)
    planning.expire_at(turn, task, task.expires_ms)


def wished(turn: Turn, wish: Wish) -> None:
    """Make a task for a caller whom another log of the tenant has lost; the reception sends the wish on."""
    if not _is_here(turn, wish.queue_id):
        _wish_elsewhere(turn, wish)
    elif find(turn, wish.number, wish.queue_id) is None:
        request(turn, wish)


def request(turn: Turn, wish: Wish) -> Callback | None:
    """Make a task that a person or a program asks for; None when the limit is reached."""
    task = open_task(turn, wish, None)
    if task is not None:
        planning.plan(turn, task, task.due_ms)
        _tell_requested(turn, task, None)
    return task


def find(turn: Turn, number: str, queue_id: str) -> Callback | None:
    """Return the one open task of a number and queue."""
    tasks = (turn.state.callbacks[callback_id] for callback_id in turn.state.callbacks_of.get(number, ()))
    return next((task for task in tasks if task.queue_id == queue_id), None)


def caller_came(turn: Turn, call: Call) -> None:
    """Let the tasks of a customer rest who calls by himself; who is being dialled at this moment is dialled on."""
    for task in _tasks_of(turn, call):
        task.lines.append(call.call_id)
        if not planning.is_dialling(turn, task):
            planning.postpone(turn, task, task.due_ms)


def caller_went(turn: Turn, call: Call) -> None:
    """Go on with the tasks that rested during a call."""
    for task in _tasks_of(turn, call, asked_in_it=True):
        if call.call_id in task.lines:
            task.lines.remove(call.call_id)
            if not task.call_id:
                planning.plan(turn, task, task.due_ms)


def got_through(turn: Turn, call: Call, agent_id: str) -> None:
    """End the task that a talk is for, or those of a customer who got through by himself, on this line or queue."""
    own = turn.state.callbacks.get(call.callback_id)
    if own is not None:
        remembering.talked(turn.state, call, _queue(turn, call.queue_id), agent_id)
        planning.succeeded(turn, own, agent_id)
        return
    for task in [] if call.callback_id else _tasks_of(turn, call):
        if task.queue_id == call.queue_id or task.line == call.line:
            planning.cancel(turn, task, planning.REASON_SUCCEEDED_BY_HIMSELF)


def follow_document(turn: Turn) -> None:
    """Give up the tasks of queues that a new document does not have."""
    configuration = turn.state.configuration
    known = configuration.queues if configuration else {}
    for task in [task for task in turn.state.callbacks.values() if task.queue_id not in known]:
        planning.cancel(turn, task, "queue_removed")


def _tasks_of(turn: Turn, call: Call, *, asked_in_it: bool = False) -> list[Callback]:
    """Return the tasks of a caller's number, and those asked for in this call at another number."""
    state = turn.state
    if not state.callbacks:
        return []
    found = list(state.callbacks_of.get(normalised(call.caller_number, call.line), ()))
    if asked_in_it and call.asked_callback and call.asked_callback in state.callbacks:
        found = list(dict.fromkeys([*found, call.asked_callback]))
    return [state.callbacks[callback_id] for callback_id in found]


def _wanted_for(turn: Turn, call: Call, call_exit: "ev.CallExit.ValueType") -> tuple[str, str]:
    """Return the queue whose agents call a lost caller back, and the reason; both empty when nobody does."""
    configuration = turn.state.configuration
    if configuration is None or call.asked_callback:
        return "", ""
    kind = _REASONS.get(call_exit)
    queue = configuration.queues.get(call.queue_id)
    if kind is not None and queue is not None and kind[0] in queue.callbacks.after:
        return queue.queue_id, kind[1]
    if call.was_closed and call_exit in _ENDED_BY_FLOW and not call.callback_id:
        queue_id = configuration.closed_callbacks.get(call.line, "")
        return (queue_id, CLOSED) if queue_id in configuration.queues else ("", "")
    return "", ""


def _queue(turn: Turn, queue_id: str) -> tn.Queue:
    configuration = turn.state.configuration
    queue = configuration.queues.get(queue_id) if configuration else None
    return queue or tn.Queue()


def _new_id(turn: Turn) -> str:
    """Return a task's id: in a domain it says whose it is."""
    domain = turn.state.domain
    return f"{domain}.{turn.new_id()}" if domain else turn.new_id()


def _is_here(turn: Turn, queue_id: str) -> bool:
    configuration = turn.state.configuration
    return configuration is None or configuration.is_here(queue_id)


def _wish_elsewhere(turn: Turn, wish: Wish) -> None:
    configuration = turn.state.configuration
    home = configuration.way_to(configuration.domain_of_queue.get(wish.queue_id, "")) if configuration else ""
    told = turn.pass_on(home).callback_wished
    told.queue_id, told.number, told.reason, told.line = wish.queue_id, wish.number, wish.reason, wish.line
    told.name, told.due_ms = wish.name, wish.due_ms


def _tell_requested(turn: Turn, task: Callback, call: Call | None) -> None:
    event = turn.call_event(call) if call else turn.subject_event(f"callback:{task.callback_id}")
    body = event.callback_requested
    body.callback_id, body.number, body.queue_id = task.callback_id, task.number, task.queue_id
    body.reason, body.line, body.name = task.reason, task.line, task.name
    body.due_at.FromMilliseconds(task.due_ms)
    body.expires_at.FromMilliseconds(task.expires_ms)
    body.keeps_place = bool(task.entered_ms)


def _tell_no_number(turn: Turn, call: Call, queue_id: str) -> None:
    body = turn.call_event(call).callback_failed
    body.callback_id, body.number, body.queue_id = turn.new_id(), call.caller_number, queue_id
    body.cause, body.final = NO_NUMBER, True
