"""Into a queue, and out of it other than by an answer: black lists, capacity, overflow, exit keys (SPEC 3.2, 3.7)."""

from collections.abc import Collection, Iterable

from services.router.domain import calls, waiting
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.ordering import QueueIndex
from services.router.domain.plan import needs_of
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

Left = tuple[str, str]
"""The exit of the flow's step that was taken, and one sentence why."""


def enter(turn: Turn, call: Call, queue: tn.Queue, step: tn.QueueStep) -> Left | None:
    """Let a caller wait in a step's queue, or in one that it overflows to; a way out of the step when that can't be."""
    place = _kept_place(call, queue)
    call.queue_id = queue.queue_id
    call.skills = needs_of(step.required_skills)
    black_list = listed_in(turn, call, queue.black_lists)
    index = turn.state.indexes[queue.queue_id]
    if not black_list and queue.capacity and len(index.waiting) >= queue.capacity:
        return "full", f"{queue.capacity} callers wait already"
    calls.to_stage(call, CallStage.WAITING)
    call.list_priority = _list_priority(turn, call, queue, told=())
    waiting.join(turn, call, queue, step.priority + call.list_priority, place)
    if black_list:
        _tell_blacklisted(turn, call, black_list)
        waiting.leave(turn, call, ev.QUEUE_EXIT_BLACKLISTED)
        return "blacklisted", f"the caller is in list {black_list}"
    if not waiting.is_served(turn.state, queue.queue_id):
        waiting.leave(turn, call, ev.QUEUE_EXIT_NO_AGENT)
        return "no_agent", "nobody serves the queue"
    calls.answer(turn, call)
    turn.command(call, call.call_id).start_music.stream = queue.music
    overflow_at_once(turn, call)
    return None


def priority_in(turn: Turn, call: Call, queue: tn.Queue) -> int:
    """Return the points of a caller who comes from another queue: its own, and what this queue's lists add to them.

    What the former queue's lists added stays there. To be asked before `queue` is the call's.
    """
    former = waiting.queue_of(turn.state, call.queue_id)
    told = {entry.list_id for entry in former.list_priorities} if former is not None else set()
    own = call.priority - call.list_priority
    call.list_priority = _list_priority(turn, call, queue, told)
    return own + call.list_priority


def _kept_place(call: Call, queue: tn.Queue) -> waiting.Entry | None:
    """Return the place of a caller whom the flow leads back into a queue that was left without a talk (SPEC 3.3).

    It is kept whatever lay between: another queue, a named agent, an offered callback.
    """
    place = call.places.get(queue.queue_id)
    return None if place is None or call.answered_ms else waiting.Entry(place[0], place[1], "")


def overflow_at_once(turn: Turn, call: Call) -> None:
    """Send a caller on who has just joined, as long as the queue says so and somebody serves the next one."""
    for _ in turn.state.indexes:
        index = turn.state.indexes[call.queue_id]
        overflow = index.plan.queue.overflow
        is_full = 0 < overflow.waiting < len(index.waiting)
        estimate_ms = call.estimated_wait_ms
        is_slow = 0 < overflow.estimated_seconds * 1000 < estimate_ms
        if not (is_full or is_slow) or not _overflow(turn, call, index):
            return


def overflow_due(turn: Turn, call: Call) -> None:
    """Send a caller on who has waited as long as the queue allows; one whom an agent is offered waits for that."""
    index = turn.state.indexes.get(call.queue_id)
    if index is None or not call.is_waiting or call.stage is not CallStage.WAITING:
        return
    if call.offers or not _overflow(turn, call, index):
        turn.set_timer("overflow", call.call_id, index.plan.queue.ring_timeout_seconds * 1000 or waiting.LATER_MS)
    else:
        overflow_at_once(turn, call)


def may_leave_by(turn: Turn, call: Call, digit: str) -> bool:
    """Whether a waiting caller leaves by this digit: the queue must offer it, and the flow's step know the way."""
    queue = waiting.queue_of(turn.state, call.queue_id)
    if queue is None or not call.is_waiting or call.stage is not CallStage.WAITING:
        return False
    return bool(digit) and digit in queue.exit_keys and digit in _step_exits(turn, call)


def exit_of_key(turn: Turn, call: Call, digit: str) -> "ev.QueueExit.ValueType":
    """Return how a caller leaves the queue by a digit: to agree on a callback, or to go elsewhere."""
    configuration = turn.state.configurations[call.version]
    following = configuration.steps.get((call.flow_id, _step_exits(turn, call).get(digit, "")))
    kind: str = (following.WhichOneof("step") if following is not None else "") or ""
    return ev.QUEUE_EXIT_CALLBACK if kind == "callback" else ev.QUEUE_EXIT_EXIT_KEY


def listed_in(turn: Turn, call: Call, list_ids: Iterable[str]) -> str:
    """Return the first of some lists that holds the caller's number, empty when none does."""
    configuration = turn.state.configuration
    lists = configuration.lists if configuration else {}
    found = (each for each in list_ids if each in lists and lists[each].holds(call.caller_number))
    return next(found, "")


def refuse_blacklisted(turn: Turn, call: Call) -> bool:
    """Tell, before it is answered, of a call that the tenant's black lists turn away; return whether they do."""
    configuration = turn.state.configuration
    black_list = listed_in(turn, call, configuration.document.black_lists) if configuration else ""
    if black_list:
        _tell_blacklisted(turn, call, black_list)
    return bool(black_list)


def _overflow(turn: Turn, call: Call, index: QueueIndex) -> bool:
    """Move a caller, with its time of entry, to the next queue.

    False when that one is full, nobody serves it, or the caller may not wait there.
    """
    former = index.plan.queue
    target = waiting.queue_of(turn.state, former.overflow.queue_id)
    if target is None or not waiting.is_here(turn.state, target.queue_id):
        return False
    if not any(turn.state.indexes[target.queue_id].logged_in.values()):
        return False
    if 0 < target.capacity <= len(turn.state.indexes[target.queue_id].waiting):
        return False
    if listed_in(turn, call, target.black_lists):
        return False
    move(turn, call, target)
    return True


def move(turn: Turn, call: Call, target: tn.Queue) -> None:
    """Move a waiting caller, with its time of entry, to another queue."""
    former = waiting.queue_of(turn.state, call.queue_id)
    entry = waiting.Entry(call.entered_ms, call.entered_order, call.queue_id)
    waiting.leave(turn, call, ev.QUEUE_EXIT_OVERFLOW, next_queue_id=target.queue_id)
    waiting.join(turn, call, target, priority_in(turn, call, target), entry)
    if former is None or target.music != former.music:
        turn.command(call, call.call_id).start_music.stream = target.music


def _list_priority(turn: Turn, call: Call, queue: tn.Queue, told: Collection[str]) -> int:
    """Return what the queue's lists add to a caller's priority; a list that adds some is told as a VIP's, once."""
    added = 0
    for entry in queue.list_priorities:
        if not listed_in(turn, call, [entry.list_id]):
            continue
        added += entry.priority
        if entry.priority > 0 and entry.list_id not in told:
            body = turn.call_event(call).client_vip_called
            body.caller.number, body.caller.name = call.caller_number, call.caller_name
            body.list_id = entry.list_id
    return added


def _tell_blacklisted(turn: Turn, call: Call, list_id: str) -> None:
    body = turn.call_event(call).client_blacklisted
    body.caller.number, body.caller.name = call.caller_number, call.caller_name
    body.list_id = list_id


def _step_exits(turn: Turn, call: Call) -> dict[str, str]:
    step = turn.state.configurations[call.version].steps.get((call.flow_id, call.step_id))
    return dict(step.exits) if step is not None else {}
