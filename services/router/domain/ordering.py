"""Who waits and who is free, kept in order at each change, so that no decision looks through everybody.

Sorted arrays with bisect: an insertion moves 8 bytes an entry behind it (under 2 µs at 10,000 entries), there is
exactly one entry for what is there, and a place in the queue is a bisect too. A heap must be cleaned and can't tell.
Idle agents of a queue lie in pools, one for all who stand alike towards every requirement that its callers have had;
callers lie in lanes, one for all whom the same agents may serve. So a match compares heads of pools or lanes only.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import groupby

from services.router.domain.lifecycle import AgentState
from services.router.domain.plan import INELIGIBLE, QueuePlan, Requirement, requirement_of
from services.router.domain.strategies import AgentKey

CallEntry = tuple[int, int, int, str]
"""Effective priority as a moment or as minus points, entry time, count of entries, call id."""
ANYONE = ""
_FEW_STALE = 64


class CallOrder:
    """Callers by effective priority, then time of entry (SPEC 3.3)."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[CallEntry] = []

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[CallEntry]:
        return iter(self.entries)

    def add(self, entry: CallEntry) -> None:
        """Put a caller in its place; one who is there already stays."""
        entries = self.entries
        place = bisect_left(entries, entry)
        if place == len(entries) or entries[place] != entry:
            entries.insert(place, entry)

    def discard(self, entry: CallEntry) -> None:
        """Take a caller out, if it is there."""
        entries = self.entries
        place = bisect_left(entries, entry)
        if place < len(entries) and entries[place] == entry:
            del entries[place]

    def position(self, entry: CallEntry) -> int:
        """Return the caller's place, from 1."""
        return bisect_left(self.entries, entry) + 1


class AgentPool:
    """Idle agents of one level who stand alike towards every requirement, by what the strategy compares."""

    __slots__ = ("groups", "keys", "level", "ranks")

    def __init__(self, level: int, ranks: list[int], groups: frozenset[str]) -> None:
        self.level = level
        self.ranks = ranks
        """Per requirement INELIGIBLE or the rank, lower first."""
        self.groups = groups
        self.keys: list[AgentKey] = []


class QueueIndex:
    """One queue: all who wait, those of them whom nobody is offered by lane, and the idle agents by pool."""

    __slots__ = (
        "_changing",
        "_homes",
        "_keys",
        "_pools",
        "_requirements",
        "lanes",
        "logged_in",
        "plan",
        "ring_ids",
        "states",
        "waiting",
    )

    def __init__(self, plan: QueuePlan) -> None:
        self.plan = plan
        self.waiting = CallOrder()
        self.lanes: dict[str, dict[tuple[int, int], CallOrder]] = {}
        """By whom a caller waits for, then by requirement and highest level."""
        self.logged_in: dict[int, int] = dict.fromkeys(plan.levels, 0)
        """Agents of each level who are not offline."""
        self.states: dict[AgentState, int] = dict.fromkeys(AgentState, 0)
        """Agents of the queue by state."""
        self._requirements: dict[Requirement, int] = {}
        self._pools: dict[int, list[AgentPool]] = {level: [] for level in plan.levels}
        self._homes: dict[str, AgentPool] = {}
        self._keys: dict[str, AgentKey] = {}
        self._changing: list[tuple[int, str]] = []
        self.ring_ids = [self.requirement_id(requirement_of(needs)) for _, needs in plan.rings]
        """The number of what each ring of the queue requires."""

    # -- callers

    def open(self, lane: tuple[str, int, int], entry: CallEntry) -> None:
        """Open a caller for offers in a lane: whom for, requirement, highest level."""
        reserved_for, requirement, level = lane
        lanes = self.lanes.get(reserved_for)
        if lanes is None:
            lanes = self.lanes[reserved_for] = {}
        order = lanes.get((requirement, level))
        if order is None:
            order = lanes[requirement, level] = CallOrder()
        order.add(entry)

    def close(self, lane: tuple[str, int, int], entry: CallEntry) -> None:
        """Close a caller for offers; a lane that is empty goes."""
        reserved_for, requirement, level = lane
        lanes = self.lanes.get(reserved_for)
        order = lanes.get((requirement, level)) if lanes else None
        if lanes is None or order is None:
            return
        order.discard(entry)
        if not order.entries:
            del lanes[requirement, level]
            if not lanes:
                del self.lanes[reserved_for]

    def open_to(self, agent_id: str) -> list[CallOrder]:
        """Return the orders of callers whom an idle agent may serve."""
        home = self._homes.get(agent_id) or self._home_of(agent_id)
        level, ranks = home.level, home.ranks
        anyone = self.lanes.get(ANYONE)
        if anyone and len(anyone) == len(self.lanes) == 1:  # nearly always, and a microsecond less than what follows
            for (requirement, highest), order in anyone.items():
                return [order] if level <= highest and ranks[requirement] != INELIGIBLE else []
        found = [
            order
            for (requirement, highest), order in (anyone.items() if anyone else ())
            if level <= highest and ranks[requirement] != INELIGIBLE
        ]
        if len(self.lanes) > 1 or not anyone:
            for reserved in (f"agent:{agent_id}", *sorted(f"group:{group}" for group in home.groups)):
                lanes = self.lanes.get(reserved, {})
                found += [order for (requirement, _), order in lanes.items() if ranks[requirement] != INELIGIBLE]
        return found

    def open_count(self) -> int:
        """Return how many callers are open for offers."""
        return sum(len(order) for lanes in self.lanes.values() for order in lanes.values())

    def opened(self) -> Iterator[CallEntry]:
        """Yield every caller who is open for offers."""
        for lanes in self.lanes.values():
            for order in lanes.values():
                yield from order

    # -- agents

    def requirement_id(self, requirement: Requirement) -> int:
        """Return the number of a requirement; a new one parts the agents anew, once."""
        known = self._requirements.get(requirement)
        if known is None:
            known = self._requirements[requirement] = len(self._requirements)
            self._part_anew()
        return known

    def add_agent(self, key: AgentKey, changes_at: int = 0) -> None:
        """Put an idle agent in its place. The key counts until `changes_at`, 0 = for ever."""
        agent_id = key[2]
        if agent_id in self._keys:
            self.discard_agent(agent_id)
        insort((self._homes.get(agent_id) or self._home_of(agent_id)).keys, key)
        self._keys[agent_id] = key
        if changes_at:
            heappush(self._changing, (changes_at, agent_id))
            self._forget_stale()

    def discard_agent(self, agent_id: str) -> None:
        """Take an agent out, if it is there."""
        key = self._keys.pop(agent_id, None)
        if key is not None:
            keys = self._homes[agent_id].keys
            del keys[bisect_left(keys, key)]

    def changed(self, now_ms: int) -> list[str]:
        """Return the idle agents whose keys may have changed with time; they must be added anew."""
        found = []
        while self._changing and self._changing[0][0] <= now_ms:
            agent_id = heappop(self._changing)[1]
            if agent_id in self._keys:
                found.append(agent_id)
        return found

    def is_idle(self, agent_id: str) -> bool:
        """Whether the agent is idle here."""
        return agent_id in self._keys

    def placed_count(self) -> int:
        """Return how many idle agents stand in the orders: all but one who is just about to be asked."""
        return len(self._keys)

    def able_count(self, level: int, requirement: int) -> int:
        """Return how many idle agents of a level have the skills."""
        return sum(len(pool.keys) for pool in self._pools[level] if pool.ranks[requirement] != INELIGIBLE)

    def idle_ids(self) -> list[str]:
        """Return who is idle here."""
        return list(self._keys)

    def key_of(self, agent_id: str) -> AgentKey:
        """Return the key of an idle agent."""
        return self._keys[agent_id]

    def level_of(self, agent_id: str) -> int:
        """Return an agent's level here."""
        return self.plan.places[agent_id].level

    def may_serve(self, agent_id: str, requirement: int) -> bool:
        """Whether an agent's skills are enough."""
        home = self._homes.get(agent_id) or self._home_of(agent_id)
        return home.ranks[requirement] != INELIGIBLE

    def pools(self, level: int, requirement: int, reserved: str = ANYONE) -> list[AgentPool]:
        """Return the pools of a level that hold somebody whom a caller may have, those who fit better first."""
        found = [pool for pool in self._pools[level] if pool.keys and pool.ranks[requirement] != INELIGIBLE]
        if reserved.startswith("group:"):
            found = [pool for pool in found if reserved[len("group:") :] in pool.groups]
        if len(found) > 1:
            found.sort(key=lambda pool: (pool.ranks[requirement], pool.keys[0]))
        return found

    def _home_of(self, agent_id: str) -> AgentPool:
        level, groups = self.plan.places[agent_id].level, self.plan.groups_of(agent_id)
        ranks = [self.plan.rank(agent_id, requirement) for requirement in self._requirements]
        for pool in self._pools[level]:
            if pool.ranks == ranks and pool.groups == groups:
                break
        else:
            pool = AgentPool(level, ranks, groups)
            self._pools[level].append(pool)
        self._homes[agent_id] = pool
        return pool

    def _part_anew(self) -> None:
        idle = list(self._keys.values())
        self._homes = {}
        self._keys = {}
        self._pools = {level: [] for level in self.plan.levels}
        for key in idle:
            self.add_agent(key)

    def _forget_stale(self) -> None:
        """Let go of moments of agents who are not idle any more, when they are twice as many as those who are."""
        if len(self._changing) > 3 * len(self._keys) + _FEW_STALE:
            latest = {agent_id: moment for moment, agent_id in sorted(self._changing) if agent_id in self._keys}
            self._changing = [(moment, agent_id) for agent_id, moment in latest.items()]
            heapify(self._changing)


def by_rank(pools: list[AgentPool], requirement: int) -> Iterator[list[list[AgentKey]]]:
    """Yield the keys of pools of one rank together, those who fit better first."""
    for _, alike in groupby(pools, key=lambda pool: pool.ranks[requirement]):
        yield [pool.keys for pool in alike]
