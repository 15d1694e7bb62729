"""Idle agents in as few orders as their queues need, and a choice that does not depend on how they are parted."""

import random
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain import idle
from services.router.domain.configuration import Configuration
from services.router.domain.idle import IdleAgents, floor_of
from services.router.domain.lifecycle import AgentState
from services.router.domain.model import Agent
from services.router.domain.ordering import QueueIndex
from services.router.domain.plan import INELIGIBLE, requirement_of
from services.router.domain.strategies import STRATEGIES, AgentKey
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

NOW_MS = 1_700_000_000_000
SKILLS = ("billing", "english")
SAME = (tn.STRATEGY_LONGEST_IDLE, tn.STRATEGY_BEST_SKILL, tn.STRATEGY_SLA_AWARE)


def drawn(lot: random.Random, agents: int, strategies: tuple[int, ...]) -> tn.TenantDocument:
    """Return a tenant of some queues, each with its requirement, levels and positions drawn by lot."""
    made = tn.TenantDocument(tenant_id="acme", version=1, domain="acme.example")
    for number in range(lot.randint(1, 5)):
        queue = made.queues.add(queue_id=f"q{number}", strategy=tn.Strategy.ValueType(lot.choice(strategies)))
        queue.window_seconds = lot.choice([0, 120])
        for skill in SKILLS:
            if lot.random() < 0.4:
                queue.required_skills.add(skill=skill, min_proficiency=lot.choice([0, 50]))
    for number in range(agents):
        agent = made.agents.add(agent_id=f"a{number}", phone=f"p{number}")
        agent.skills.update({skill: lot.choice([30, 70]) for skill in SKILLS if lot.random() < 0.7})
        for queue in made.queues:
            if lot.random() < 0.6:
                queue.tiers.add(agent_id=agent.agent_id, level=lot.randint(1, 2), position=lot.randint(1, 9))
    return made


def resting(lot: random.Random, configuration: Configuration) -> list[Agent]:
    """Return the agents, each idle since some moment; several since the same one."""
    found = []
    for agent_id in configuration.agents:
        agent = Agent(agent_id, state=AgentState.IDLE, since_ms=NOW_MS, shift=[lot.randint(0, 3), 900, 900, 100])
        agent.last_call_ended_ms = NOW_MS - lot.randint(1, 4)
        found.append(agent)
    return found


def least(index: QueueIndex, there: list[Agent], level: int) -> AgentKey | None:
    """Return by looking at everybody who is first of a level for the queue's own requirement."""
    plan, requirement = index.plan, requirement_of(index.plan.rings[0][1])
    found = []
    for agent in there:
        place = plan.places.get(agent.agent_id)
        rank = plan.rank(agent.agent_id, requirement) if place else INELIGIBLE
        if place is not None and place.level == level and rank != INELIGIBLE:
            found.append((rank, plan.strategy.key(agent, place.compared, plan.window_ms, NOW_MS)))
    return min(found)[1] if found else None


@given(st.integers(), st.integers(1, 30), st.sampled_from([SAME, tuple(STRATEGIES)]), st.sampled_from([1, 24]))
def test_the_head_of_a_level_is_who_would_be_found_by_looking_at_everybody(
    seed: int, agents: int, strategies: tuple[int, ...], most_pools: int
) -> None:
    lot = random.Random(seed)
    configuration = Configuration(drawn(lot, agents, strategies))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idle, "MOST_POOLS", most_pools)
        indexes, there = floor_of(configuration)
    present: dict[str, Agent] = {}
    for agent in lot.choices(resting(lot, configuration), k=3 * agents):
        if agent.agent_id in present:
            del present[agent.agent_id]
            there.discard(agent.agent_id)
        else:
            present[agent.agent_id] = agent
            there.add(agent, NOW_MS)
        if lot.random() < 0.1:  # a requirement that nobody had before: all are parted anew
            lot.choice(list(indexes.values())).requirement_id(requirement_of({lot.choice(SKILLS): lot.randint(1, 99)}))
        for index in indexes.values():
            for level in index.plan.levels:
                assert index.head(level, index.ring_ids[0]) == least(index, list(present.values()), level)
    _nothing_is_left(there, indexes, present)


def _nothing_is_left(there: IdleAgents, indexes: dict[str, QueueIndex], present: dict[str, Agent]) -> None:
    for index in indexes.values():
        assert sorted(index.idle_ids()) == sorted(present.keys() & index.plan.places.keys())
    for agent_id in present:
        assert agent_id in there
        there.discard(agent_id)
    assert (len(there), there.entries()) == (0, 0)


def test_an_agent_has_one_entry_where_its_queues_compare_the_same() -> None:
    lot = random.Random(1)
    made = drawn(lot, 20, SAME)
    configuration = Configuration(made)
    _, there = floor_of(configuration)
    for agent in resting(lot, configuration):
        there.add(agent, NOW_MS)
    served = {tier.agent_id for queue in made.queues for tier in queue.tiers}
    assert sum(len(queue.tiers) for queue in made.queues) > len(served) == there.entries()


def test_a_queue_that_would_be_cut_into_too_many_pools_keeps_its_own_order() -> None:
    made = tn.TenantDocument(tenant_id="acme", version=1, domain="acme.example")
    everybody = made.queues.add(queue_id="everybody", strategy=tn.STRATEGY_LONGEST_IDLE)
    pairs = count()
    for number in range(2 * (idle.MOST_POOLS + 1)):
        made.agents.add(agent_id=f"a{number}")
        everybody.tiers.add(agent_id=f"a{number}", level=1, position=1)
        if number % 2 == 0:
            made.queues.add(queue_id=f"pair{next(pairs)}", strategy=tn.STRATEGY_LONGEST_IDLE)
        made.queues[-1].tiers.add(agent_id=f"a{number}", level=1, position=1)
    indexes, there = floor_of(Configuration(made))
    for number in range(len(made.agents)):
        there.add(Agent(f"a{number}", state=AgentState.IDLE, last_call_ended_ms=NOW_MS), NOW_MS)
    assert len(indexes["everybody"].pools[1]) == 1
    assert there.entries() == 2 * len(made.agents)


def test_what_is_known_of_changing_keys_does_not_grow_with_the_days() -> None:
    made = tn.TenantDocument(tenant_id="acme", version=1, domain="acme.example")
    made.agents.add(agent_id="olena")
    queue = made.queues.add(queue_id="q", strategy=tn.STRATEGY_LEAST_OCCUPIED)
    queue.tiers.add(agent_id="olena", level=1, position=1)
    _, there = floor_of(Configuration(made))
    agent = Agent("olena", state=AgentState.IDLE, since_ms=NOW_MS, shift=[1, 900, 900, 100])
    for _ in range(1_000):
        there.add(agent, NOW_MS)
        there.discard("olena")
    assert there.moments() < 100
