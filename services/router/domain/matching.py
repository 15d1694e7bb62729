"""Who gets which call. Nothing here looks through all callers or agents: the orders are kept at each change."""

from bisect import bisect_right

from services.router.domain import offers, waiting
from services.router.domain.lifecycle import AgentState
from services.router.domain.model import Agent, Call, TenantState
from services.router.domain.ordering import AgentKey, CallEntry, QueueIndex
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

EXPLAINED = 50
"""At most so many agents are named in an offer's reasons, candidates first."""
PAUSE_MS = 5_000
"""When everybody who is free has refused a caller, they are asked again after so long."""
_NAMES = {
    tn.STRATEGY_LONGEST_IDLE: "longest_idle",
    tn.STRATEGY_ROUND_ROBIN: "round_robin",
    tn.STRATEGY_RING_ALL: "ring_all",
}


def settle(turn: Turn) -> None:
    """Match everybody whom this decision made free or open, until nothing is left to match."""
    while turn.callers or turn.freed:
        if turn.callers:
            call = turn.state.calls.get(turn.callers.pop(0))
            if call is not None:
                match_call(turn, call)
        else:
            agent = turn.state.agents.get(turn.freed.pop(0))
            if agent is not None:
                match_agent(turn, agent)


def match_agent(turn: Turn, agent: Agent) -> None:
    """Find work for an agent: the caller whose turn it is over all queues of the agent (SPEC 3.3)."""
    while agent.state is AgentState.IDLE:
        call = _next_caller(turn, agent)
        if call is None or not match_call(turn, call):
            return


def match_call(turn: Turn, call: Call) -> bool:
    """Offer a caller to whom the strategy names, lowest level first; return whether anybody could be asked."""
    state = turn.state
    queue = waiting.queue_of(state, call.queue_id)
    if queue is None or not call.is_waiting or call.offers:
        return False
    index = state.indexes[queue.queue_id]
    for level in index.levels:
        keys = index.idle[level]
        if not keys:
            continue
        chosen = _choose(turn, call, queue, level, keys)
        if chosen:
            _offer(turn, call, queue, level, chosen)
            return True
    if call.refused:
        _ask_again_later(turn, call)
    return False


def ask_again(turn: Turn, call: Call) -> None:
    """Forget refusals after a pause in which nobody else was free."""
    call.refused = {agent_id: until for agent_id, until in call.refused.items() if until > turn.now_ms}
    match_call(turn, call)


def is_refused(call: Call, agent_id: str, now_ms: int) -> bool:
    """Whether an agent is not to be asked for this caller now."""
    until = call.refused.get(agent_id)
    return until is not None and (until == offers.UNTIL_ALL_TRIED or now_ms < until)


def _choose(turn: Turn, call: Call, queue: tn.Queue, level: int, keys: list[AgentKey]) -> list[AgentKey]:
    if queue.strategy == tn.STRATEGY_RING_ALL:
        return [key for key in keys if not is_refused(call, key[2], turn.now_ms)]
    start = _after_last_offered(turn.state, queue, level, keys) if queue.strategy == tn.STRATEGY_ROUND_ROBIN else 0
    for step in range(len(keys)):
        key = keys[(start + step) % len(keys)]
        if not is_refused(call, key[2], turn.now_ms):
            return [key]
    return []


def _after_last_offered(state: TenantState, queue: tn.Queue, level: int, keys: list[AgentKey]) -> int:
    last = state.queues[queue.queue_id].last_offered.get(str(level))
    return 0 if last is None else bisect_right(keys, (0, int(last[0]), str(last[1])))


def _offer(turn: Turn, call: Call, queue: tn.Queue, level: int, chosen: list[AgentKey]) -> None:
    index = turn.state.indexes[queue.queue_id]
    reasons = _explain(turn, call, queue, level, index)
    waiting.close(turn, call)
    turn.cancel_timer("retry", call.call_id)
    for _, position, agent_id in chosen:
        body = offers.make(turn, call, turn.state.agents[agent_id], queue)
        body.MergeFrom(reasons)
        turn.state.queues[queue.queue_id].last_offered[str(level)] = [position, agent_id]


def _explain(turn: Turn, call: Call, queue: tn.Queue, level: int, index: QueueIndex) -> ev.OfferCreated:
    """Write down who could have had the offer, who could not and why: at most EXPLAINED agents (SPEC 3.5)."""
    reasons = ev.OfferCreated(strategy=_NAMES[queue.strategy])
    for value, position, agent_id in index.idle[level][:EXPLAINED]:
        if is_refused(call, agent_id, turn.now_ms):
            continue
        candidate = reasons.candidates.add(agent_id=agent_id, level=level)
        candidate.order["position"] = position
        if queue.strategy == tn.STRATEGY_LONGEST_IDLE:
            candidate.order["idle_ms"] = turn.now_ms - value
    for tier in queue.tiers[: EXPLAINED - len(reasons.candidates)]:
        agent = turn.state.agents.get(tier.agent_id)
        reason = "unknown" if agent is None else _reason(turn, call, agent, tier, level)
        if reason:
            reasons.filtered.add(agent_id=tier.agent_id, reason=reason)
    return reasons


def _reason(turn: Turn, call: Call, agent: Agent, tier: tn.Tier, level: int) -> str:
    if agent.state is not AgentState.IDLE:
        return agent.state.name.lower()
    if is_refused(call, agent.agent_id, turn.now_ms):
        return "refused"
    return "" if tier.level == level else "other_level"


def _ask_again_later(turn: Turn, call: Call) -> None:
    if f"retry:{call.call_id}" not in turn.state.timers:
        turn.set_timer("retry", call.call_id, PAUSE_MS)


def _next_caller(turn: Turn, agent: Agent) -> Call | None:
    """Return the first caller over the agent's queues: by the queue's priority, the caller's, then time of entry."""
    state = turn.state
    configuration = state.configuration
    best: tuple[int, CallEntry] | None = None
    for place in configuration.places.get(agent.agent_id, ()) if configuration else ():
        entry = _first_open(turn, state.indexes[place.queue_id], agent)
        queue = waiting.queue_of(state, place.queue_id)
        if entry is None or queue is None:
            continue
        if best is None or (-queue.priority, entry) < best:
            best = (-queue.priority, entry)
    return state.calls[best[1][3]] if best else None


def _first_open(turn: Turn, index: QueueIndex, agent: Agent) -> CallEntry | None:
    for entry in index.unoffered:
        if not is_refused(turn.state.calls[entry[3]], agent.agent_id, turn.now_ms):
            return entry
    return None
