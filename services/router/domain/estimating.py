"""The estimated wait by Genesys Engage's formula, EWT = AHT * CIQU / (AA * EP) (SPEC 3.6).

As the Stat Server's deployment guide publishes it: AHT is the average handling time (talk, hold, wrap-up) of the queue,
here of the last hour, 90 s while nothing was handled; CIQU are the callers up to this one whom nobody is offered, less
the agents who are ready; AA the agents who are logged in; EP their effective portion: their handling time for this
queue / for all queues.
"""

from services.router.domain.lifecycle import AgentState
from services.router.domain.model import QueueMemory
from services.router.domain.ordering import QueueIndex
from services.router.domain.state import TenantState

DEFAULT_HANDLING_MS = 90_000
SLICE_MS = 300_000
SLICES = 12
FEWEST_AGENTS = 0.0001
LONGEST_MS = 24 * 3_600_000
_CALLS, _OWN_MS, _ALL_MS = range(3)


def handled(state: TenantState, queue_id: str, of_agent: list[str], lasted_ms: int) -> None:
    """Count a call that an agent of these queues has handled for one of them, wrap-up included."""
    for each in of_agent:
        memory = state.queues.get(each)
        if memory is None:
            continue
        number = str(state.now_ms // SLICE_MS)
        counted = memory.handled.setdefault(number, [0, 0, 0])
        counted[_ALL_MS] += lasted_ms
        if each == queue_id:
            counted[_CALLS] += 1
            counted[_OWN_MS] += lasted_ms
        while int(oldest := next(iter(memory.handled))) <= int(number) - SLICES:
            del memory.handled[oldest]


def handling_ms(state: TenantState, queue_id: str) -> float:
    """Return the average handling time of a queue, of the last hour."""
    calls, own_ms, _ = _last_hour(state.queues.get(queue_id), state.now_ms)
    return max(1.0, own_ms / calls) if calls else float(DEFAULT_HANDLING_MS)


def estimated_wait_ms(state: TenantState, index: QueueIndex, position: int) -> int:
    """Return the estimated wait of a caller at a position, from now on; at most LONGEST_MS."""
    calls, own_ms, all_ms = _last_hour(state.queues.get(index.plan.queue.queue_id), state.now_ms)
    handling_ms = own_ms / calls if calls else DEFAULT_HANDLING_MS
    portion = own_ms / all_ms if own_ms else 1.0
    offered = len(index.waiting) - index.open_count()
    unassigned = max(0, position - offered - index.states[AgentState.IDLE])
    agents = max(FEWEST_AGENTS, sum(index.logged_in.values()))
    return min(LONGEST_MS, int(handling_ms * unassigned / (agents * portion)))


def _last_hour(memory: QueueMemory | None, now_ms: int) -> list[int]:
    oldest = now_ms // SLICE_MS - SLICES
    kept = [values for number, values in memory.handled.items() if int(number) > oldest] if memory else []
    return [sum(column) for column in zip(*kept, strict=True)] if kept else [0, 0, 0]
