"""Who may serve a waiting caller: fewer at first, more with time (SPEC 3.2).

Three things widen, each by the time since the caller joined the queue: the required skills (bullseye rings), the levels
(so many seconds for each), and whom the caller is reserved for (the last agent, then its groups, then anyone). Nobody
waits for a last agent who is not at work.
"""

from services.router.domain.model import Call
from services.router.domain.ordering import AGENT, ANYONE, GROUP, QueueIndex
from services.router.domain.plan import Requirement, both, requirement_of
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq

NEVER = 0


def requirement(index: QueueIndex, call: Call) -> Requirement:
    """Return the skills that a caller's agent must have now."""
    return requirement_of(both(index.plan.rings[call.ring][1], call.skills))


def requirement_id(index: QueueIndex, call: Call) -> int:
    """Return the index's number of the same."""
    return index.requirement_id(requirement(index, call)) if call.skills else index.ring_ids[call.ring]


def lane_of(index: QueueIndex, call: Call) -> tuple[str, int, int]:
    """Return the lane of a caller: reserved for whom, requirement, highest level."""
    if call.skills:
        return call.reserved_for, requirement_id(index, call), call.max_level
    return call.reserved_for, index.ring_ids[call.ring], call.max_level


def widen(turn: Turn, call: Call, index: QueueIndex) -> None:
    """Decide as of now who may serve a caller, who must not stand in a lane, and come back when that changes."""
    waited_ms = turn.now_ms - call.joined_ms
    changes = [_ring(index, call, waited_ms), _level(index, call, waited_ms), _reserve(turn.state, index, call)]
    due = [at_ms for at_ms in changes if at_ms > waited_ms]
    if due:
        turn.set_timer("widen", call.call_id, min(due) - waited_ms)
    else:
        turn.cancel_timer("widen", call.call_id)


def _ring(index: QueueIndex, call: Call, waited_ms: int) -> int:
    rings = index.plan.rings
    call.ring = max(number for number, (after_ms, _) in enumerate(rings) if after_ms <= waited_ms)
    return rings[call.ring + 1][0] if call.ring + 1 < len(rings) else NEVER


def _level(index: QueueIndex, call: Call, waited_ms: int) -> int:
    """Open a level when the caller has waited for each lower one in which somebody is logged in."""
    plan = index.plan
    opens_ms = 0
    for level in plan.levels:
        if opens_ms > waited_ms:
            return opens_ms
        call.max_level = level
        if index.logged_in[level] or plan.queue.waits_for_empty_levels:
            opens_ms += plan.level_seconds * 1000
    return NEVER


def _reserve(state: TenantState, index: QueueIndex, call: Call) -> int:
    call.reserved_for = ANYONE
    agent_ms = index.plan.queue.sticky.agent_seconds * 1000
    group_ms = agent_ms + index.plan.queue.sticky.group_seconds * 1000
    waited_ms = state.now_ms - call.joined_ms
    if call.last_agent_id not in index.plan.places or waited_ms >= group_ms:
        return NEVER
    last_agent = state.agents.get(call.last_agent_id)
    is_at_work = last_agent is not None and last_agent.status != rq.AGENT_STATUS_OFFLINE
    if waited_ms < agent_ms and is_at_work:
        call.reserved_for = AGENT + call.last_agent_id
        return agent_ms
    groups = index.plan.groups_of(call.last_agent_id)
    if groups:
        call.reserved_for = GROUP + ",".join(sorted(groups))
        return group_ms
    return NEVER
