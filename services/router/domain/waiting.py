"""Callers in queues: joining, being open for offers, leaving (SPEC 3.3, 3.7)."""

from dataclasses import dataclass

from services.router.domain import estimating, remembering, widening
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.ordering import CallEntry, QueueIndex
from services.router.domain.plan import QueuePlan
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

TIMERS = ("wait", "retry", "widen", "progress", "announce", "overflow")
"""Of a caller who waits; they end with the wait."""


_WAITING = CallStage.WAITING
"""An enum's member costs as much to look up as a dict's."""
MICRO = 1_000_000
Turns = tuple[int, int, int]
"""What orders callers of several queues: minus effective priority, time of entry, count of entries."""
NEVER = 0
DEFAULT_FIRST_SECONDS = 30
"""An announcement that says nothing of it is heard first after so long."""
LATER_MS = 5_000
"""What could not be done is tried again after so long."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the order that a caller brings along from another queue."""

    entered_ms: int
    entered_order: int
    former_queue_id: str


def queue_of(state: TenantState, queue_id: str) -> tn.Queue | None:
    """Return a queue of the document in force."""
    configuration = state.configuration
    return configuration.queues.get(queue_id) if configuration else None


def is_here(state: TenantState, queue_id: str) -> bool:
    """Whether a queue, if there is one of this id, is decided in this log of the tenant."""
    configuration = state.configuration
    return configuration is None or configuration.is_here(queue_id)


def is_served(state: TenantState, queue_id: str) -> bool:
    """Whether anybody of a queue that is decided here is at work, or has yet to come here from another log."""
    index = state.indexes[queue_id]
    if any(index.logged_in.values()):
        return True
    is_parted = bool(state.domain or state.domains)
    return is_parted and any(agent_id not in state.agents for agent_id in index.plan.places)


def entry_of(plan: QueuePlan, call: Call) -> CallEntry:
    """Return a caller's key in the order of waiting (SPEC 3.3): without ageing what orders it over all queues too.

    With ageing all callers of a queue gain at the same rate, so their order is that of the moments at which their
    priorities would have been nought: it never changes while they wait.
    """
    entered_ms = call.entered_ms
    if plan.ageing_seconds:
        first = entered_ms - call.priority * plan.ageing_seconds * 1000
    else:
        first = -(call.priority + plan.priority) * MICRO
    return (first, entered_ms, call.entered_order, call.call_id)


def turn_of(plan: QueuePlan, entry: CallEntry, now_ms: int) -> Turns:
    """Return what orders callers over all queues, lower first (SPEC 3.3): effective priority, then time of entry.

    The priority is the queue's points, the caller's own and those for waiting, in millionths with a minus.
    """
    first, entered_ms, entered_order, _ = entry
    if not plan.ageing_seconds:
        return first, entered_ms, entered_order
    aged = (now_ms - first) * (MICRO // 1000) // plan.ageing_seconds  # `first` is when the caller had no points
    return -plan.priority * MICRO - aged, entered_ms, entered_order


def effective_priority_milli(plan: QueuePlan, call: Call, now_ms: int) -> int:
    """Return a caller's points at a moment, in thousandths."""
    return -turn_of(plan, entry_of(plan, call), now_ms)[0] // 1000


def index_call(state: TenantState, call: Call) -> None:
    """Put a waiting caller into the queue's order, and open it for offers when nobody is offered it.

    The queue knows from here on what the caller requires, also of one who is offered somebody: what a queue learns
    parts its agents anew, and who is just being matched would be looked for in a pool that is gone.
    """
    index = state.indexes.get(call.queue_id)
    if index is None:
        return
    entry = entry_of(index.plan, call)
    lane = widening.lane_of(index, call)
    if call.keeps_place:
        index.waiting.add(entry)
    if call.node in state.mute:
        return
    if index.ringing is not None:
        (index.ringing.add if call.offers else index.ringing.discard)(entry)
    if not call.offers and call.stage is _WAITING:
        if call.refused:
            index.refusing.add(call.call_id)
        index.open(lane, entry)


def unindex_call(index: QueueIndex, call: Call) -> None:
    """Take a caller out of a queue's orders."""
    entry = entry_of(index.plan, call)
    _withhold(index, call, entry)
    index.waiting.discard(entry)


def withhold(index: QueueIndex, call: Call) -> None:
    """Take a caller out of the orders of those who may be offered; the place among those who wait is kept."""
    _withhold(index, call, entry_of(index.plan, call))


def _withhold(index: QueueIndex, call: Call, entry: CallEntry) -> None:
    index.close(widening.lane_of(index, call), entry)
    if index.ringing is not None:
        index.ringing.discard(entry)


def position(index: QueueIndex, call: Call) -> int:
    """Return a caller's place among all who wait in the queue, from 1."""
    return index.waiting.position(entry_of(index.plan, call))


def widen(turn: Turn, call: Call) -> None:
    """Decide anew, as of now, who may serve a waiting caller."""
    index = turn.state.indexes.get(call.queue_id)
    if index is None or not call.is_waiting:
        return
    index.close(widening.lane_of(index, call), entry_of(index.plan, call))
    widening.widen(turn, call, index)
    index_call(turn.state, call)
    turn.callers.append(call.call_id)


def join(turn: Turn, call: Call, queue: tn.Queue, priority: int, entry: Entry | None = None) -> None:
    """Let a caller begin to wait and tell it. The place in the order is new, or brought along, or one given up before.

    Whoever calls this has seen to the music, and to it that somebody serves the queue.
    """
    state = turn.state
    state.entries += 1
    resumed = [] if entry else remembering.take_place(state, call, queue)
    call.queue_id = queue.queue_id
    call.priority = priority
    call.joined_ms = turn.now_ms
    call.entered_ms, call.entered_order = turn.now_ms, state.entries
    if entry is not None:
        call.entered_ms, call.entered_order = entry.entered_ms, entry.entered_order
    elif resumed:
        call.entered_ms, call.entered_order = resumed
    call.last_agent_id = remembering.last_agent(state, call, queue)
    call.is_waiting = True
    call.refused.clear()
    call.last_refused.clear()
    index = state.indexes[queue.queue_id]
    widening.widen(turn, call, index)
    index_call(state, call)
    body = turn.call_event(call).queue_joined
    body.queue_id = queue.queue_id
    body.caller.number = call.caller_number
    body.caller.name = call.caller_name
    body.line = call.line
    body.priority = priority
    body.position = position(index, call)
    body.waiting = len(index.waiting)
    call.told_position = body.position
    call.estimated_wait_ms = estimating.estimated_wait_ms(state, index, body.position)
    body.estimated_wait_ms = call.estimated_wait_ms
    body.resumed = bool(resumed)
    body.former_queue_id = entry.former_queue_id if entry else ""
    body.entered_ms = call.entered_ms
    if queue.max_wait_seconds:
        turn.set_timer("wait", call.call_id, queue.max_wait_seconds * 1000)
    call.announce_at = [
        turn.now_ms + (said.first_seconds or DEFAULT_FIRST_SECONDS) * 1000 for said in queue.announcements
    ]
    await_announcement(turn, call)
    if queue.overflow.after_seconds:
        turn.set_timer("overflow", call.call_id, queue.overflow.after_seconds * 1000)
    turn.callers.append(call.call_id)


def await_announcement(turn: Turn, call: Call) -> None:
    """Come back when the next of a caller's announcements is due."""
    due = [due_ms for due_ms in call.announce_at if due_ms > turn.now_ms]
    if due:
        turn.set_timer("announce", call.call_id, min(due) - turn.now_ms)


def reopen(turn: Turn, call: Call) -> None:
    """Open a caller for offers again when the last one ended, with the entry time it had."""
    if not call.is_waiting or call.stage is not CallStage.WAITING or call.offers:
        return
    widen(turn, call)
    queue = queue_of(turn.state, call.queue_id)
    if queue is None:
        turn.deserted.append(call.queue_id)
    elif not is_here(turn.state, call.queue_id):
        turn.state.strays.add(call.call_id)
    elif queue.max_wait_seconds and not call.is_absent and f"wait:{call.call_id}" not in turn.state.timers:
        # The longest wait passed while the caller was being connected.
        turn.set_timer("wait", call.call_id, max(1, call.joined_ms + queue.max_wait_seconds * 1000 - turn.now_ms))


def close(turn: Turn, call: Call) -> None:
    """Close a caller for offers: it is about to have one."""
    index = turn.state.indexes.get(call.queue_id)
    if index is not None:
        entry = entry_of(index.plan, call)
        index.close(widening.lane_of(index, call), entry)
        if index.ringing is not None:
            index.ringing.add(entry)


def leave(
    turn: Turn, call: Call, queue_exit: "ev.QueueExit.ValueType", agent_id: str = "", *, next_queue_id: str = ""
) -> None:
    """Let a caller stop waiting and tell how; of a callback whose customer is not on the line nothing is told."""
    waiting = 0
    index = turn.state.indexes.get(call.queue_id)
    if index is not None:
        unindex_call(index, call)
        waiting = len(index.waiting)
    call.is_waiting = False
    for kind in TIMERS:
        turn.cancel_timer(kind, call.call_id)
    if call.is_absent:
        return
    call.queue_exit = queue_exit
    call.places[call.queue_id] = [call.entered_ms, call.entered_order]
    call.wait_ms = turn.now_ms - call.joined_ms
    queue = queue_of(turn.state, call.queue_id)
    body = turn.call_event(call).queue_left
    body.queue_id = call.queue_id
    body.exit = queue_exit
    body.wait_ms = call.wait_ms
    body.agent_id = agent_id
    body.waiting = waiting
    body.within_service_level = queue is not None and call.wait_ms <= queue.service_level_seconds * 1000
    body.estimated_wait_ms = call.estimated_wait_ms
    body.next_queue_id = next_queue_id
    if queue_exit == ev.QUEUE_EXIT_ANSWERED:
        body.estimate_error_ms = call.wait_ms - call.estimated_wait_ms
    if queue is not None:
        _remember(turn.state, call, queue, queue_exit, agent_id)


def _remember(
    state: TenantState, call: Call, queue: tn.Queue, queue_exit: "ev.QueueExit.ValueType", agent_id: str
) -> None:
    if queue_exit == ev.QUEUE_EXIT_ANSWERED:
        remembering.talked(state, call, queue, agent_id)
    elif queue_exit in (ev.QUEUE_EXIT_ABANDONED, ev.QUEUE_EXIT_SHORT_ABANDONED):
        waited_in = [call.queue_id] if call.answered_ms else call.places
        known = (queue_of(state, queue_id) for queue_id in waited_in)
        remembering.abandoned(state, call, filter(None, known))


def abandon_exit(turn: Turn, call: Call) -> "ev.QueueExit.ValueType":
    """Return how a caller who hangs up now leaves the queue."""
    queue = queue_of(turn.state, call.queue_id)
    if queue is not None and turn.now_ms - call.joined_ms < queue.short_abandon_seconds * 1000:
        return ev.QUEUE_EXIT_SHORT_ABANDONED
    return ev.QUEUE_EXIT_ABANDONED
