"""Who gets which call. Nothing here looks through all callers or agents: the orders are kept at each change."""

from heapq import heapify, heappop, heappush

from services.router.domain import agents, explaining, offers, waiting, widening
from services.router.domain.callbacks import attempts
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Agent, Call, QueueMemory
from services.router.domain.ordering import AGENT, ANYONE, AgentPool, CallEntry, CallOrder, QueueIndex, by_rank
from services.router.domain.plan import INELIGIBLE
from services.router.domain.state import TenantState
from services.router.domain.strategies import AgentKey, Asked, is_refused
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

PAUSE_MS = 5_000
"""When everybody who is free has refused a caller, they are asked again after so long."""
DEFAULT_PROGRESS_SECONDS = 5


def settle(turn: Turn) -> None:
    """Match everybody whom this decision made free or open, until nothing is left to match.

    Agents first: each looks at all who wait, so a caller who became open in the same decision has no advantage.
    """
    while turn.callers or turn.freed or turn.levelled or turn.came_or_left:
        if turn.came_or_left:
            widen_familiar(turn, turn.came_or_left.pop(0))
        elif turn.levelled:
            widen_all(turn, turn.levelled.pop(0))
        elif turn.freed:
            _match_freed(turn)
        else:
            call = turn.state.calls.get(_next_open(turn))
            if call is not None:
                match_call(turn, call)


def _next_open(turn: Turn) -> str:
    """Take the first in the order of waiting of the callers who became open; mostly there is one."""
    callers = turn.callers
    if len(callers) == 1:
        return callers.pop()
    known = [
        call for call in map(turn.state.calls.get, callers) if call is not None and call.queue_id in turn.state.indexes
    ]
    if not known:
        return callers.pop()
    first = min(known, key=lambda call: _turn_of(turn.state, call)).call_id
    callers.remove(first)
    return first


def _turn_of(state: TenantState, call: Call) -> waiting.Turns:
    plan = state.indexes[call.queue_id].plan
    return waiting.turn_of(plan, waiting.entry_of(plan, call), state.now_ms)


def _match_freed(turn: Turn) -> None:
    """Find work for the agents who became free, each the caller whose turn it is over all its queues (SPEC 3.3).

    One agent alone to whom a caller comes at once needs no place in the orders: everybody else who is free could not
    serve that caller, or it would not have waited. Where somebody has refused, or several are free, strategies decide.
    """
    known = turn.state.agents
    freed = [known[agent_id] for agent_id in turn.freed if agent_id in known]
    turn.freed.clear()
    if len(freed) == 1 and freed[0].state is AgentState.IDLE:
        following = next_caller(turn.state, freed[0])
        call = following[1] if following is not None else None
        if call is not None and not call.refused and not call.is_absent:
            index = turn.state.indexes[call.queue_id]
            _offer(turn, call, index, [agents.key_in(index, freed[0], turn.now_ms)])
            return
    for agent in freed:
        agents.index_agent(turn.state, agent)
    _match_in_order(turn, freed)
    if turn.state.configuration is not None and turn.state.configuration.rings_all:
        for agent in freed:
            _ring_along(turn, agent)


def _match_in_order(turn: Turn, freed: list[Agent]) -> None:
    """Match several free agents, the first caller of all before the second, whoever may serve them.

    One agent after the other would not do: the strategy may give an agent's caller to another one, who would have had
    to take somebody else's turn first.
    """
    state = turn.state
    planned = [entry for agent in freed if (entry := _first_caller(state, agent)) is not None]
    heapify(planned)
    while planned:
        _, agent_id, call_id = heappop(planned)
        entry = _first_caller(state, state.agents[agent_id])
        is_taken = entry is not None and entry[2] != call_id
        if not is_taken and entry is not None and match_call(turn, state.calls[call_id]):
            entry = _first_caller(state, state.agents[agent_id])
        elif not is_taken:
            continue
        if entry is not None:
            heappush(planned, entry)


def _first_caller(state: TenantState, agent: Agent) -> tuple[waiting.Turns, str, str] | None:
    """Return an idle agent's next caller: its turn over all queues, the agent, the call."""
    following = next_caller(state, agent) if agent.state is AgentState.IDLE else None
    return None if following is None else (following[0], agent.agent_id, following[1].call_id)


def match_call(turn: Turn, call: Call) -> bool:
    """Offer a caller to whom the strategy names, lowest level first; return whether anybody could be asked."""
    index = turn.state.indexes.get(call.queue_id)
    if index is None or not call.is_waiting or call.stage is not CallStage.WAITING or call.node in turn.state.mute:
        return False
    if call.offers:
        while index.ringing is not None and call.is_waiting and _ring_more(turn, call, index):
            pass  # who may serve the caller was decided anew: of each level that rings, or is lower
        return False
    chosen = choose(turn.state, index, call)
    if chosen:
        _offer(turn, call, index, chosen)
        return True
    if call.refused:
        _ask_again_later(turn, call)
    return False


def _ring_along(turn: Turn, agent: Agent) -> None:
    """Let an agent for whom nobody waits ring along with those of ring_all, as all ready ones of the level do."""
    while agent.state is AgentState.IDLE:
        ringing = [
            (waiting.turn_of(index.plan, entry, turn.now_ms), entry[3], index)
            for index, pool in turn.state.idle.standing(agent.agent_id).stands
            if index.ringing and (entry := _first_ringing(turn.state, index, pool, agent.agent_id)) is not None
        ]
        if not ringing:
            return
        _, call_id, index = min(ringing, key=lambda one: one[:2])
        if not _ring_more(turn, turn.state.calls[call_id], index):
            return


def _first_ringing(state: TenantState, index: QueueIndex, pool: AgentPool, agent_id: str) -> CallEntry | None:
    """Return the first caller for whom phones ring and whom an agent may have."""
    for entry in index.ringing or ():
        call = state.calls[entry[3]]
        if call.stage is not CallStage.WAITING or not call.offers or is_refused(call, agent_id, state.now_ms):
            continue
        if pool.level > _ringing_level(state, index, call):
            continue
        if call.reserved_for.startswith(AGENT) and call.last_agent_id != agent_id:
            continue
        if pool in index.fitting(pool.level, widening.requirement_id(index, call), call.reserved_for):
            return entry
    return None


def _ring_more(turn: Turn, call: Call, index: QueueIndex) -> bool:
    """Ring all of the level that rings who are ready by now, or of a lower one; return whether there are any."""
    chosen = choose(turn.state, index, call, _ringing_level(turn.state, index, call))
    if chosen:
        _offer(turn, call, index, chosen)
    return bool(chosen)


def _ringing_level(state: TenantState, index: QueueIndex, call: Call) -> int:
    places = index.plan.places
    known = (places.get(state.offers[offer_id].agent_id) for offer_id in call.offers)
    return max((place.level for place in known if place is not None), default=0)


def ask_again(turn: Turn, call: Call) -> None:
    """Forget refusals after a pause in which nobody else was free; those agents look for the first caller of all."""
    turn.freed.extend(agent_id for agent_id, until in call.refused.items() if until <= turn.now_ms)
    call.refused = {agent_id: until for agent_id, until in call.refused.items() if until > turn.now_ms}
    turn.callers.append(call.call_id)


def progress(turn: Turn, call: Call) -> None:
    """Ring one agent more beside those who ring already; when nobody is free, look again after the same time."""
    index = turn.state.indexes.get(call.queue_id)
    if index is None or not call.is_waiting or not call.offers or call.stage is not CallStage.WAITING:
        return
    chosen = choose(turn.state, index, call) if call.node not in turn.state.mute else []
    if chosen:
        _offer(turn, call, index, chosen)
    else:
        _progress_later(turn, call, index.plan.queue)


def widen_all(turn: Turn, queue_id: str) -> None:
    """Decide anew who may serve the callers of a queue of which a level became empty, or is so no more."""
    index = turn.state.indexes.get(queue_id)
    if index is None or not index.plan.level_seconds:
        return
    for entry in index.everybody():
        waiting.widen(turn, turn.state.calls[entry[3]])


def widen_familiar(turn: Turn, agent_id: str) -> None:
    """Decide anew for callers who talked last with an agent who came to work, or left."""
    for queue_id, index in turn.state.indexes.items():
        if agent_id not in index.plan.places or not index.plan.queue.sticky.agent_seconds:
            continue
        for entry in index.everybody():
            call = turn.state.calls[entry[3]]
            if call.last_agent_id == agent_id and call.queue_id == queue_id:
                waiting.widen(turn, call)


def choose(state: TenantState, index: QueueIndex, call: Call, highest: int | None = None) -> list[AgentKey]:
    """Return whom to ask for a caller now: level first, then better fit, then the strategy; none when nobody is.

    Levels are those that the caller has waited for, or up to `highest`.
    """
    plan = index.plan
    if plan.strategy.is_windowed:
        state.idle.refresh(state.now_ms)
    requirement, reserved_for = widening.requirement_id(index, call), call.reserved_for
    if reserved_for.startswith(AGENT):
        return _last_agent(state, index, call, requirement)
    is_plain = plan.takes_first and not call.refused and reserved_for == ANYONE
    most = call.max_level if highest is None else highest
    for level in plan.levels:
        if level > most:
            break
        if is_plain:
            head = index.head(level, requirement)
            chosen = [] if head is None else [head]
        else:
            chosen = _choose_in(state, index, call, level, requirement)
        if chosen:
            return chosen
    return []


def next_caller(state: TenantState, agent: Agent) -> tuple[waiting.Turns, Call] | None:
    """Return the first caller over the agent's queues: by effective priority, then time of entry (SPEC 3.3).

    An agent of a queue that is `sla_aware` compares callers of one priority by the moment at which each queue's
    service level is missed, instead of by the time of entry: within one queue that is the same order.
    """
    agent_id, now_ms = agent.agent_id, state.now_ms
    stands, by_due, _ = state.idle.standing(agent_id)
    best: waiting.Turns | CallEntry | None = None
    best_id = ""
    for index, pool in stands:
        sole = index.sole
        if sole is not None and not index.refusing:  # nearly always
            requirement, highest, entries = sole
            if pool.level > highest or pool.ranks[requirement] == INELIGIBLE:
                continue
            entry: CallEntry | None = entries[0]
        elif index.lanes:
            entry = _first_open(state, index, pool, agent_id)
        else:
            continue
        if entry is None:
            continue
        turn: waiting.Turns | CallEntry = entry
        if by_due or index.plan.ageing_seconds:
            turn = _compared(index, entry, now_ms, by_due=by_due)
        if best is None or turn < best:
            best, best_id = turn, entry[3]
    return None if best is None else (best[:3], state.calls[best_id])


def _compared(index: QueueIndex, entry: CallEntry, now_ms: int, *, by_due: bool) -> waiting.Turns:
    """Return what a caller's turn is in the eyes of an agent, where it is not the entry itself."""
    priority, entered_ms, entered_order = waiting.turn_of(index.plan, entry, now_ms)
    return priority, entered_ms + index.plan.service_level_ms if by_due else entered_ms, entered_order


def _first_open(state: TenantState, index: QueueIndex, pool: AgentPool, agent_id: str) -> CallEntry | None:
    """Return the first caller of a queue whom an agent may serve and has not refused just now."""
    heads = [_first_of(state, order, agent_id) for order in index.open_to(agent_id, pool)]
    return min((head for head in heads if head is not None), default=None)


def _first_of(state: TenantState, order: CallOrder, agent_id: str) -> CallEntry | None:
    for entry in order.entries:
        call = state.calls[entry[3]]
        if not call.refused or not is_refused(call, agent_id, state.now_ms):
            return entry
    return None


def _choose_in(state: TenantState, index: QueueIndex, call: Call, level: int, requirement: int) -> list[AgentKey]:
    """Choose within a level among those whom the caller may have."""
    pools = index.fitting(level, requirement, call.reserved_for)
    if not pools:
        return []
    plan = index.plan
    strategy = plan.strategy
    memory = state.queues.get(plan.queue.queue_id) or QueueMemory()
    asked = Asked(call, memory, level, plan.queue.weighted_by_position, state.now_ms)
    if len(pools) == 1 or strategy.rings_many:
        return strategy.choose([pool.keys for pool in pools], asked)
    for alike in by_rank(pools, requirement):
        chosen = strategy.choose(alike, asked)
        if chosen:
            return chosen
    return []


def _last_agent(state: TenantState, index: QueueIndex, call: Call, requirement: int) -> list[AgentKey]:
    """Return the agent whom a caller is reserved for, when that one is free; the level does not matter then."""
    agent_id = call.last_agent_id
    if agent_id not in state.idle or is_refused(call, agent_id, state.now_ms):
        return []
    pool = state.idle.pool_of(agent_id, index.plan.queue.queue_id)
    if pool.ranks[requirement] == INELIGIBLE:
        return []
    return [agents.key_in(index, state.agents[agent_id], state.now_ms)]


def _offer(turn: Turn, call: Call, index: QueueIndex, chosen: list[AgentKey]) -> None:
    queue = index.plan.queue
    if call.is_absent and not attempts.may_be_offered(turn, call):
        return
    if attempts.is_customer_first(turn, call):
        _reserve(turn, call, index, chosen[:1])
        return
    reasons = explaining.reasons(turn.state, index, call, chosen)
    waiting.close(turn, call)
    turn.cancel_timer("retry", call.call_id)
    memory = turn.state.queues[queue.queue_id]
    for key in chosen:
        agent_id = key[2]
        place = index.plan.places[agent_id]
        call.offers_made += 1
        body = offers.make(turn, call, turn.state.agents[agent_id], queue)
        body.MergeFrom(reasons)
        memory.last_offered[str(place.level)] = [place.position, agent_id]
    if queue.strategy == tn.STRATEGY_RING_PROGRESSIVELY:
        _progress_later(turn, call, queue)


def _reserve(turn: Turn, call: Call, index: QueueIndex, chosen: list[AgentKey]) -> None:
    """Keep an agent free for a customer who is called first."""
    queue, agent_id = index.plan.queue, chosen[0][2]
    reasons = explaining.reasons(turn.state, index, call, chosen)
    waiting.close(turn, call)
    turn.cancel_timer("retry", call.call_id)
    call.offers_made += 1
    _, body = offers.reserve(turn, call, turn.state.agents[agent_id], queue)
    body.MergeFrom(reasons)
    place = index.plan.places[agent_id]
    turn.state.queues[queue.queue_id].last_offered[str(place.level)] = [place.position, agent_id]
    attempts.dial_with_reserved(turn, call, agent_id)


def _progress_later(turn: Turn, call: Call, queue: tn.Queue) -> None:
    turn.set_timer("progress", call.call_id, (queue.progress_seconds or DEFAULT_PROGRESS_SECONDS) * 1000)


def _ask_again_later(turn: Turn, call: Call) -> None:
    """Come back when the first refusal is over, or after a pause when it has no end."""
    dues = [until if until > turn.now_ms else turn.now_ms + PAUSE_MS for until in call.refused.values()]
    due_ms = min(dues)
    if turn.state.timers.get(f"retry:{call.call_id}", due_ms + 1) > due_ms:
        turn.set_timer("retry", call.call_id, due_ms - turn.now_ms)
