"""Who waits and who is free, kept in order at each change, so that no decision looks through everybody.

Sorted arrays with bisect: an insertion moves 8 bytes an entry behind it (under 2 µs at 10,000 entries), there is
exactly one entry for what is there, and a place in the queue is a bisect too. A heap must be cleaned and can't tell.
Callers lie in lanes, one for all whom the same agents may serve; idle agents lie in pools (see idle.py), one for all
who stand alike towards every requirement that the queue's callers have had. So a match compares heads only.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import groupby

from services.router.domain.lifecycle import AgentState
from services.router.domain.plan import INELIGIBLE, QueuePlan, Requirement, requirement_of
from services.router.domain.strategies import AgentKey

CallEntry = tuple[int, int, int, str]
"""Effective priority as a moment or as minus millionths of points, entry time, count of entries, call id."""
ANYONE = ""
AGENT = "agent:"
GROUP = "group:"
"""For whom a lane's callers wait: anyone, one agent, or whoever is in any of some groups (ids parted by commas)."""


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
        """Put a caller in its place, mostly the last; one who is there already stays."""
        entries = self.entries
        if not entries or entries[-1] < entry:
            entries.append(entry)
            return
        place = bisect_left(entries, entry)
        if entries[place] != entry:
            entries.insert(place, entry)

    def discard(self, entry: CallEntry) -> None:
        """Take a caller out, mostly the first, if it is there."""
        entries = self.entries
        if entries and entries[0] == entry:
            del entries[0]
            return
        place = bisect_left(entries, entry)
        if place < len(entries) and entries[place] == entry:
            del entries[place]

    def position(self, entry: CallEntry) -> int:
        """Return the caller's place, from 1."""
        return bisect_left(self.entries, entry) + 1


Lanes = dict[tuple[int, int], CallOrder]
"""By requirement and highest level."""


class AgentPool:
    """Agents of one level of a queue who stand alike towards every requirement; `keys` are the idle ones, in order.

    Queues that compare the same share the keys of agents who stand alike in all of them.
    """

    __slots__ = ("groups", "keys", "level", "ranks")

    def __init__(self, level: int, ranks: tuple[int, ...], groups: frozenset[str], keys: list[AgentKey]) -> None:
        self.level = level
        self.ranks = ranks
        """Per requirement INELIGIBLE or the rank, lower first."""
        self.groups = groups
        self.keys = keys


class QueueIndex:
    """One queue: all who wait, those of them whom nobody is offered by lane, and the idle agents by pool."""

    __slots__ = (
        "_able",
        "_groups",
        "lanes",
        "logged_in",
        "part_anew",
        "plan",
        "pools",
        "refusing",
        "requirements",
        "ring_ids",
        "ringing",
        "sole",
        "states",
        "waiting",
    )

    def __init__(self, plan: QueuePlan) -> None:
        self.plan = plan
        self.waiting = CallOrder()
        self.lanes: dict[str, Lanes] = {}
        """By whom a caller waits for."""
        self.sole: tuple[int, int, list[CallEntry]] | None = None
        """Requirement, highest level and callers of the only lane, where there is one for anyone: nearly always."""
        self.refusing: set[str] = set()
        """Open callers whom somebody has refused: who opens one adds it, who closes one need not know."""
        self.ringing: CallOrder | None = CallOrder() if plan.strategy.rings_many else None
        """Of ring_all: callers for whom phones ring; whoever becomes free joins in."""
        self._groups: dict[str, frozenset[str]] = {}
        """Those of the lanes that are for groups, and for which."""
        self.logged_in: dict[int, int] = dict.fromkeys(plan.levels, 0)
        """Agents of each level who are not offline."""
        self.states: dict[AgentState, int] = dict.fromkeys(AgentState, 0)
        """Agents of the queue by state."""
        self.pools: dict[int, list[AgentPool]] = {level: [] for level in plan.levels}
        self._able: dict[tuple[int, int], list[list[list[AgentKey]]]] = {}
        """By level and requirement, built when asked for: the keys of pools that may serve it, by rank."""
        self.part_anew: Callable[[], None] | None = None
        """Parts the idle agents into pools once more; set by who keeps them."""
        self.requirements: dict[Requirement, int] = {}
        self.ring_ids = [self.requirement_id(requirement_of(needs)) for _, needs in plan.rings]
        """The number of what each ring of the queue requires."""

    # -- callers

    def open(self, lane: tuple[str, int, int], entry: CallEntry) -> None:
        """Open a caller for offers in a lane: whom for, requirement, highest level."""
        reserved_for, requirement, level = lane
        lanes = self.lanes.get(reserved_for)
        order = lanes.get((requirement, level)) if lanes else None
        if order is None:
            order = self._new_lane(reserved_for, requirement, level)
        order.add(entry)

    def close(self, lane: tuple[str, int, int], entry: CallEntry) -> None:
        """Close a caller for offers; a lane that is empty goes."""
        reserved_for, requirement, level = lane
        lanes = self.lanes.get(reserved_for)
        order = lanes.get((requirement, level)) if lanes else None
        if lanes is None or order is None:
            return
        if self.refusing:
            self.refusing.discard(entry[3])
        order.discard(entry)
        if not order.entries:
            del lanes[requirement, level]
            if not lanes:
                del self.lanes[reserved_for]
                self._groups.pop(reserved_for, None)
            self._look_for_sole()

    def open_to(self, agent_id: str, pool: AgentPool) -> list[CallOrder]:
        """Return the orders of callers whom an agent of a pool may serve."""
        level, ranks = pool.level, pool.ranks
        found = _within(self.lanes.get(ANYONE, {}), level, ranks)
        for name, groups in self._groups.items():  # as many as there are different sets of groups
            if not groups.isdisjoint(pool.groups):
                found += _within(self.lanes[name], level, ranks)
        own = self.lanes.get(AGENT + agent_id, {})  # the level does not matter to who waits for this one agent
        return found + [order for (requirement, _), order in own.items() if ranks[requirement] != INELIGIBLE]

    def _new_lane(self, reserved_for: str, requirement: int, level: int) -> CallOrder:
        lanes = self.lanes.setdefault(reserved_for, {})
        if reserved_for.startswith(GROUP):
            self._groups[reserved_for] = groups_in(reserved_for)
        order = lanes[requirement, level] = CallOrder()
        self._look_for_sole()
        return order

    def _look_for_sole(self) -> None:
        anyone = self.lanes.get(ANYONE)
        self.sole = None
        if anyone is not None and len(anyone) == len(self.lanes) == 1:
            for (requirement, highest), order in anyone.items():
                self.sole = requirement, highest, order.entries

    def open_count(self) -> int:
        """Return how many callers are open for offers."""
        return sum(len(order) for lanes in self.lanes.values() for order in lanes.values())

    def opened(self) -> Iterator[CallEntry]:
        """Yield every caller who is open for offers."""
        for lanes in self.lanes.values():
            for order in lanes.values():
                yield from order

    def everybody(self) -> list[CallEntry]:
        """Return all who wait or are open for offers, in their order: that of the lanes depends on what came before."""
        return sorted({*self.waiting, *self.opened()})

    # -- agents

    def requirement_id(self, requirement: Requirement) -> int:
        """Return the number of a requirement; a new one parts the agents anew, once."""
        known = self.requirements.get(requirement)
        if known is None:
            known = self.requirements[requirement] = len(self.requirements)
            if self.part_anew is not None:
                self.part_anew()
        return known

    def rank_all(self, agent_id: str) -> tuple[int, ...]:
        """Return how an agent stands towards each requirement."""
        rank = self.plan.rank
        return tuple(rank(agent_id, requirement) for requirement in self.requirements)

    def placed_count(self) -> int:
        """Return how many idle agents stand in the orders: all but one who is just about to be asked."""
        return sum(len(pool.keys) for pools in self.pools.values() for pool in pools)

    def able_count(self, level: int, requirement: int) -> int:
        """Return how many idle agents of a level have the skills."""
        return sum(len(pool.keys) for pool in self.pools[level] if pool.ranks[requirement] != INELIGIBLE)

    def idle_ids(self) -> list[str]:
        """Return who is idle here."""
        return [key[2] for pools in self.pools.values() for pool in pools for key in pool.keys]

    def level_of(self, agent_id: str) -> int:
        """Return an agent's level here."""
        return self.plan.places[agent_id].level

    def add_pool(self, pool: AgentPool) -> None:
        """Take a pool in."""
        self.pools[pool.level].append(pool)
        self._able.clear()

    def drop_pool(self, pool: AgentPool) -> None:
        """Let a pool go."""
        self.pools[pool.level].remove(pool)
        self._able.clear()

    def head(self, level: int, requirement: int) -> AgentKey | None:
        """Return the first of a level of those who fit best, for a caller whom anyone may have."""
        able = self._able.get((level, requirement))
        if able is None:
            able = self._able[level, requirement] = self._able_by_rank(level, requirement)
        best = None
        for alike in able:
            for keys in alike:
                if keys and (best is None or keys[0] < best):
                    best = keys[0]
            if best is not None:
                break
        return best

    def _able_by_rank(self, level: int, requirement: int) -> list[list[list[AgentKey]]]:
        able = [pool for pool in self.pools[level] if pool.ranks[requirement] != INELIGIBLE]
        return list(by_rank(sorted(able, key=lambda pool: pool.ranks[requirement]), requirement))

    def fitting(self, level: int, requirement: int, reserved: str = ANYONE) -> list[AgentPool]:
        """Return the pools of a level that hold somebody whom a caller may have, those who fit better first."""
        found = [pool for pool in self.pools[level] if pool.keys and pool.ranks[requirement] != INELIGIBLE]
        if reserved.startswith(GROUP):
            groups = groups_in(reserved)
            found = [pool for pool in found if not groups.isdisjoint(pool.groups)]
        if len(found) > 1:
            found.sort(key=lambda pool: (pool.ranks[requirement], pool.keys[0]))
        return found


def groups_in(reserved_for: str) -> frozenset[str]:
    """Return the groups whose agents a caller waits for."""
    return frozenset(reserved_for.removeprefix(GROUP).split(","))


def by_rank(pools: list[AgentPool], requirement: int) -> Iterator[list[list[AgentKey]]]:
    """Yield the keys of pools of one rank together, those who fit better first."""
    for _, alike in groupby(pools, key=lambda pool: pool.ranks[requirement]):
        yield [pool.keys for pool in alike]


def _within(lanes: Lanes, level: int, ranks: tuple[int, ...]) -> list[CallOrder]:
    """Return the orders of lanes that agents of a level, and with these ranks, may serve."""
    return [
        order
        for (requirement, highest), order in lanes.items()
        if level <= highest and ranks[requirement] != INELIGIBLE
    ]
