"""The idle agents of a tenant, each in as few orders as its queues need: in one, where they all compare the same.

What longest_idle, best_skill and sla_aware compare, and the windowed strategies of one window, is the same of an agent
in each queue. So agents who stand alike in all queues of such a family (levels, ranks, groups) share one sorted array
of keys, and each of the queues has a pool around it. A queue whose strategy goes by its own positions has its own
arrays; so has one that would be cut into too many pools: a match looks at the head of each.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from services.router.domain import work
from services.router.domain.configuration import Configuration
from services.router.domain.model import Agent
from services.router.domain.ordering import AgentPool, QueueIndex
from services.router.domain.plan import Place, both, needs_of, requirement_of
from services.router.domain.strategies import AgentKey, KeyOf
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

MOST_POOLS = 24
"""A queue that shared orders would cut into more keeps its own: to look at so many heads takes some 3 µs."""
_FEW_STALE = 64
_Family = tuple[str, int]
"""What is compared, and over which window: or a queue's own."""
_Stand = tuple[str, int, tuple[int, ...], frozenset[str]]
"""An agent in a queue: queue, level, ranks, groups."""
_Signature = tuple[_Family, tuple[_Stand, ...]]


class _Seat(NamedTuple):
    """One order that an agent stands in while it is idle, and how its key comes to be."""

    keys: list[AgentKey]
    key: KeyOf
    position: int
    window_ms: int
    is_windowed: bool


class _Order(NamedTuple):
    """One sorted array of keys, and the pool around it of each queue that shares it."""

    keys: list[AgentKey]
    pools: dict[str, AgentPool]


class Standing(NamedTuple):
    """How agents stand who stand alike everywhere: their queues in the document's order, each with their pool in it.

    It is shared: ten thousand agents stand in some hundred ways, which stay in the processor's cache.
    """

    stands: list[tuple[QueueIndex, AgentPool]]
    by_due: bool
    """Whether one of the queues is sla_aware: these agents compare callers by when their service level is missed."""
    pools: dict[str, AgentPool]
    """By queue."""


class _Home(NamedTuple):
    """Where an agent belongs: its orders, and how it stands."""

    seats: list[_Seat]
    standing: Standing


class IdleAgents:
    """Keeps who is idle in order. Built with the indexes of a document's queues, to which it gives their pools."""

    def __init__(self, places: Mapping[str, Sequence[Place]], indexes: Mapping[str, QueueIndex]) -> None:
        self._places = places
        self._indexes = indexes
        self._homes: dict[str, _Home] = {}
        self._standings: dict[tuple[tuple[_Signature, ...], tuple[str, ...]], Standing] = {}
        """By an agent's signatures, and its queues in their order."""
        self._orders: dict[_Signature, _Order] = {}
        self._placed: dict[str, tuple[Agent, list[tuple[list[AgentKey], AgentKey]]]] = {}
        self._changing: list[tuple[int, str]] = []
        self._families = {queue_id: _family_of(index) for queue_id, index in indexes.items()}
        self._part_crowded()
        for index in indexes.values():
            index.part_anew = partial(self._part_anew, index)

    def __contains__(self, agent_id: str) -> bool:
        """Whether an agent stands in the orders."""
        return agent_id in self._placed

    def __len__(self) -> int:
        """Return how many agents stand in the orders."""
        return len(self._placed)

    def entries(self) -> int:
        """Return how many entries all orders have together."""
        return sum(len(order.keys) for order in self._orders.values())

    def moments(self) -> int:
        """Return how many moments are known at which a key may change."""
        return len(self._changing)

    def standing(self, agent_id: str) -> Standing:
        """Return how an agent stands in its queues."""
        return (self._homes.get(agent_id) or self._home_of(agent_id)).standing

    def pool_of(self, agent_id: str, queue_id: str) -> AgentPool:
        """Return the pool that an agent belongs to in a queue that it serves."""
        return (self._homes.get(agent_id) or self._home_of(agent_id)).standing.pools[queue_id]

    def add(self, agent: Agent, now_ms: int) -> None:
        """Put an idle agent in its places; what its keys were before is forgotten."""
        agent_id = agent.agent_id
        if agent_id in self._placed:
            self.discard(agent_id)
        placed = []
        changes_at = work.NEVER
        for keys, key_of, position, window_ms, is_windowed in (self._homes.get(agent_id) or self._home_of(agent_id))[0]:
            key = key_of(agent, position, window_ms, now_ms)
            if not keys or keys[-1] < key:
                keys.append(key)
            else:
                insort(keys, key)
            placed.append((keys, key))
            if is_windowed:
                at_ms = work.changes_at(agent, window_ms, now_ms)
                changes_at = min(changes_at or at_ms, at_ms or changes_at)
        self._placed[agent_id] = agent, placed
        if changes_at:
            heappush(self._changing, (changes_at, agent_id))
            self._forget_stale()

    def discard(self, agent_id: str) -> None:
        """Take an agent out, if it is there."""
        found = self._placed.pop(agent_id, None)
        if found is not None:
            for keys, key in found[1]:
                del keys[0 if keys[0] is key else bisect_left(keys, key)]

    def refresh(self, now_ms: int) -> None:
        """Bring the keys up to date that time has changed: each is due at a known moment, nobody else is looked at."""
        while self._changing and self._changing[0][0] <= now_ms:
            found = self._placed.get(heappop(self._changing)[1])
            if found is not None:
                self.add(found[0], now_ms)

    def _home_of(self, agent_id: str) -> _Home:
        signatures = tuple(self._signatures(agent_id))
        orders = [self._orders.get(signature) or self._new_order(signature) for signature in signatures]
        seats = []
        for order in orders:
            plan = self._indexes[next(iter(order.pools))].plan
            strategy, place = plan.strategy, plan.places[agent_id]
            seats.append(_Seat(order.keys, strategy.key, place.compared, plan.window_ms, strategy.is_windowed))
        queue_ids = tuple(place.queue_id for place in self._places.get(agent_id, ()))
        standing = self._standings.get((signatures, queue_ids))
        if standing is None:
            pools = {queue_id: pool for order in orders for queue_id, pool in order.pools.items()}
            stands = [(self._indexes[queue_id], pools[queue_id]) for queue_id in queue_ids]
            standing = Standing(stands, any(index.plan.strategy.is_by_due for index, _ in stands), pools)
            self._standings[signatures, queue_ids] = standing
        home = self._homes[agent_id] = _Home(seats, standing)
        return home

    def _new_order(self, signature: _Signature) -> _Order:
        order = self._orders[signature] = _Order([], {})
        for queue_id, level, ranks, groups in signature[1]:
            pool = order.pools[queue_id] = AgentPool(level, ranks, groups, order.keys)
            self._indexes[queue_id].add_pool(pool)
        return order

    def _signatures(self, agent_id: str) -> Iterator[_Signature]:
        """Yield an agent's queues, those of one family together, as it stands in them."""
        found: dict[_Family, list[_Stand]] = {}
        for place in self._places.get(agent_id, ()):
            index = self._indexes[place.queue_id]
            stand = place.queue_id, place.level, index.rank_all(agent_id), index.plan.groups_of(agent_id)
            found.setdefault(self._families[place.queue_id], []).append(stand)
        for family, stands in found.items():
            yield family, tuple(stands)

    def _part_crowded(self) -> None:
        """Let each queue keep its own orders that those of its family would cut into too many pools."""
        shared = {family for family, count in Counter(self._families.values()).items() if count > 1}
        if not shared:
            return
        seen: set[_Signature] = set()
        counts: Counter[str] = Counter()
        for agent_id in self._places:
            for signature in self._signatures(agent_id):
                if signature[0] in shared and signature not in seen:
                    seen.add(signature)
                    counts.update(stand[0] for stand in signature[1])
        for queue_id, count in counts.items():
            if count > MOST_POOLS:
                self._families[queue_id] = _own(queue_id)

    def _part_anew(self, index: QueueIndex) -> None:
        """Part the agents of a queue once more, by a requirement that it has not known."""
        queue_id = index.plan.queue.queue_id
        for signature in [signature for signature, order in self._orders.items() if queue_id in order.pools]:
            for other_id, pool in self._orders.pop(signature).pools.items():
                self._indexes[other_id].drop_pool(pool)
        self._standings = {key: one for key, one in self._standings.items() if queue_id not in one.pools}
        for agent_id in index.plan.places:
            self._homes.pop(agent_id, None)
        for agent_id in [agent_id for agent_id in index.plan.places if agent_id in self._placed]:
            agent, former = self._placed[agent_id]
            self.discard(agent_id)
            placed = [(seat.keys, key) for seat, (_, key) in zip(self._home_of(agent_id).seats, former, strict=True)]
            for keys, key in placed:
                insort(keys, key)
            self._placed[agent_id] = agent, placed

    def _forget_stale(self) -> None:
        """Let go of moments of agents who are not idle any more, when they are twice as many as those who are."""
        if len(self._changing) > 3 * len(self._placed) + _FEW_STALE:
            latest = {agent_id: moment for moment, agent_id in sorted(self._changing) if agent_id in self._placed}
            self._changing = [(moment, agent_id) for agent_id, moment in latest.items()]
            heapify(self._changing)


def _family_of(index: QueueIndex) -> _Family:
    strategy = index.plan.strategy
    if strategy.is_by_place:
        return _own(index.plan.queue.queue_id)
    return strategy.key.__name__, index.plan.window_ms if strategy.is_windowed else 0


def _own(queue_id: str) -> _Family:
    return f"queue {queue_id}", 0


def floor_of(configuration: Configuration) -> tuple[dict[str, QueueIndex], IdleAgents]:
    """Return the orders of a document's queues, and of its agents, still empty."""
    indexes = {queue_id: QueueIndex(plan) for queue_id, plan in configuration.plans.items()}
    for step in configuration.steps.values():
        if step.queue.required_skills:
            _know_needs(indexes, step)
    return indexes, IdleAgents(configuration.places, indexes)


def _know_needs(indexes: Mapping[str, QueueIndex], step: tn.Step) -> None:
    """Let a step's queue, and those that it overflows to, know what the step's callers will require beside the rest."""
    needs = needs_of(step.queue.required_skills)
    index, known = indexes.get(step.queue.queue_id), set[str]()
    while index is not None and index.plan.queue.queue_id not in known:
        known.add(index.plan.queue.queue_id)
        for _, of_ring in index.plan.rings:
            index.requirement_id(requirement_of(both(of_ring, needs)))
        index = indexes.get(index.plan.queue.overflow.queue_id)
