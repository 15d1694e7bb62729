"""Why an offer went to whom it went: written into the offer itself, bounded in size (SPEC 3.5)."""

from collections import Counter
from heapq import merge
from itertools import islice

from services.router.domain import waiting, widening
from services.router.domain.lifecycle import AgentState
from services.router.domain.model import Call
from services.router.domain.ordering import QueueIndex, by_rank
from services.router.domain.plan import INELIGIBLE
from services.router.domain.state import TenantState
from services.router.domain.strategies import AgentKey, is_refused
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev

NAMED = 10
"""So many candidates, and so many who could not be asked, are named; the rest is counted."""
LOOKED_AT = 50
"""At most so many of a queue's agents are looked at for those to name: a queue of thousands costs no more."""
_AGO = {"idle_since": "idle_ms", "offered_at": "since_offer_ms"}


def reasons(state: TenantState, index: QueueIndex, call: Call, chosen: list[AgentKey]) -> ev.OfferCreated:
    """Return the reasons of offers that are about to be made to `chosen`, who are still idle."""
    plan = index.plan
    body = ev.OfferCreated()
    body.strategy = plan.strategy.name
    body.waited_ms = state.now_ms - call.joined_ms
    body.priority_milli = waiting.effective_priority_milli(plan, call, state.now_ms)
    body.reserved_for = call.reserved_for
    body.max_level = call.max_level
    for skill, least in widening.requirement(index, call):
        body.required_skills[skill] = least
    level = index.level_of(chosen[0][2])
    _name_candidates(state, index, call, chosen, level, body)
    named = {candidate.agent_id for candidate in body.candidates}
    _name_filtered(state, index, call, level, named, body)
    return body


def _name_candidates(
    state: TenantState, index: QueueIndex, call: Call, chosen: list[AgentKey], level: int, body: ev.OfferCreated
) -> None:
    requirement = widening.requirement_id(index, call)
    pools = index.fitting(level, requirement, call.reserved_for)
    taken = {key[2] for key in chosen[:NAMED]}
    others = (key for alike in by_rank(pools, requirement) for key in merge(*alike) if key[2] not in taken)
    for key in [*chosen[:NAMED], *islice(others, max(0, NAMED - len(taken)))]:
        if not is_refused(call, key[2], state.now_ms):
            _name(state, index, key, level, body)
    refused = sum(
        index.level_of(agent_id) == level and is_refused(call, agent_id, state.now_ms)
        for agent_id in call.refused
        if _stands(state, index, agent_id)
    )
    unplaced = sum(key[2] not in state.idle for key in chosen)
    body.candidates_total = sum(len(pool.keys) for pool in pools) - refused + unplaced


def _name(state: TenantState, index: QueueIndex, key: AgentKey, level: int, body: ev.OfferCreated) -> None:
    candidate = body.candidates.add()
    candidate.agent_id = key[2]
    candidate.level = level
    order = candidate.order
    for word, value in zip(index.plan.strategy.words, key[:2], strict=True):
        if word in _AGO:
            order[_AGO[word]] = state.now_ms - value if value else 0
        elif word:
            order[word] = value
    order["position"] = index.plan.places[key[2]].position


def _name_filtered(
    state: TenantState, index: QueueIndex, call: Call, level: int, named: set[str], body: ev.OfferCreated
) -> None:
    for place in islice(index.plan.places, LOOKED_AT):
        if len(body.filtered) >= NAMED:
            break
        reason = "" if place in named else _why_not(state, index, call, place, level)
        if reason:
            body.filtered.add(agent_id=place, reason=reason)
    for reason, count in _count(state, index, call, level, body.candidates_total).items():
        body.filtered_total[reason] = count


def _count(state: TenantState, index: QueueIndex, call: Call, level: int, candidates: int) -> Counter[str]:
    """Count everybody of the queue who could not be asked, without looking at each."""
    counts = Counter({reason.name.lower(): index.states[reason] for reason in AgentState if index.states[reason]})
    idle = counts.pop(AgentState.IDLE.name.lower(), 0)
    requirement = widening.requirement_id(index, call)
    able = {other: index.able_count(other, requirement) for other in index.plan.levels}
    able[level] += idle - index.placed_count()
    counts["skills"] = idle - sum(able.values())
    counts["other_level"] = sum(able.values()) - able[level]
    counts["refused"] = sum(
        _stands(state, index, agent_id) and is_refused(call, agent_id, state.now_ms) for agent_id in call.refused
    )
    counts["reserved"] = able[level] - candidates - counts["refused"]
    return +counts


def _why_not(state: TenantState, index: QueueIndex, call: Call, agent_id: str, level: int) -> str:
    agent = state.agents.get(agent_id)
    if agent is None:
        return "unknown"
    if agent.state is not AgentState.IDLE:
        return agent.state.name.lower()
    if is_refused(call, agent_id, state.now_ms):
        return "refused"
    pool = state.idle.pool_of(agent_id, index.plan.queue.queue_id)
    if pool.ranks[widening.requirement_id(index, call)] == INELIGIBLE:
        return "skills"
    if index.level_of(agent_id) != level:
        return "other_level"
    return "reserved" if call.reserved_for else ""


def _stands(state: TenantState, index: QueueIndex, agent_id: str) -> bool:
    return agent_id in state.idle and agent_id in index.plan.places
