"""The twelve ways to choose among the idle agents of one level, each with the rule of SPEC 3.1.

A strategy is two things: the key that keeps idle agents in order, and the choice from pools in that order. A pool holds
agents of one level whom the caller may have and who stand alike before the strategy compares; mostly there is one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from services.router.domain import work
from services.router.domain.model import Agent, Call, QueueMemory
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

AgentKey = tuple[int, int, str]
"""What the strategy compares first and second, then the agent's id."""
Pool = list[AgentKey]
UNTIL_ALL_TRIED = 0
"""The moment of a refusal that counts until everybody who is free was asked."""
MOST_DRAWS = 64
"""After so many draws that hit nobody the first who may be asked is taken."""


class Asked(NamedTuple):
    """For whom, where and when a choice is made. A tuple: it is made for each choice, in a quarter of the time."""

    call: Call
    memory: QueueMemory
    level: int
    is_weighted: bool
    now_ms: int

    def may_ask(self, key: AgentKey) -> bool:
        """Whether an agent has not refused this caller just now."""
        return not is_refused(self.call, key[2], self.now_ms)


def is_refused(call: Call, agent_id: str, now_ms: int) -> bool:
    """Whether an agent is not to be asked for this caller now: it has refused, missed or could not be rung."""
    until = call.refused.get(agent_id)
    return until is not None and (until == UNTIL_ALL_TRIED or now_ms < until)


KeyOf = Callable[[Agent, int, int, int], AgentKey]
"""The key of an agent by what is compared of its positions (Place), the queue's window and the moment, milliseconds."""
Choose = Callable[[list[Pool], Asked], list[AgentKey]]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A rule of SPEC 3.1; `words` name the two values of its key in an offer's reasons, `…_at` is a moment."""

    name: str
    key: KeyOf
    choose: Choose
    words: tuple[str, str]
    is_by_place: bool = False
    """Keys go by the agent's position in this one queue: of no other queue they are the same."""
    is_windowed: bool = False
    """Keys change with time: counts age out of the window, occupancy falls while an agent is idle."""
    is_by_skill: bool = False
    is_by_due: bool = False
    """Callers are compared with those of other queues by when their service level is missed."""
    rings_many: bool = False
    """All of a level who may be asked ring at once, however well they fit."""

    @property
    def takes_first(self) -> bool:
        """Whether the lowest key that may be asked is asked."""
        return self.choose is _first


def idle_from(agent: Agent) -> int:
    """Return since when an agent has had no call: since the last one ended, else since it became ready."""
    return agent.last_call_ended_ms or agent.ready_since_ms


def _by_idle(agent: Agent, position: int, _window_ms: int, _now_ms: int) -> AgentKey:
    return agent.last_call_ended_ms or agent.ready_since_ms, position, agent.agent_id


def _by_position(agent: Agent, position: int, _window_ms: int, _now_ms: int) -> AgentKey:
    return position, 0, agent.agent_id


def _by_last_offer(agent: Agent, position: int, _window_ms: int, _now_ms: int) -> AgentKey:
    return position, agent.last_offered_ms, agent.agent_id


def _by_calls(agent: Agent, _position: int, window_ms: int, now_ms: int) -> AgentKey:
    return work.done(agent, window_ms, now_ms).calls, idle_from(agent), agent.agent_id


def _by_talk(agent: Agent, _position: int, window_ms: int, now_ms: int) -> AgentKey:
    return work.done(agent, window_ms, now_ms).talk_ms, idle_from(agent), agent.agent_id


def _by_occupancy(agent: Agent, _position: int, window_ms: int, now_ms: int) -> AgentKey:
    return work.occupancy_permille(agent, window_ms, now_ms), idle_from(agent), agent.agent_id


def _first(pools: list[Pool], asked: Asked) -> list[AgentKey]:
    """Take the lowest key that may be asked."""
    if not asked.call.refused:
        return [min(pool[0] for pool in pools)] if len(pools) > 1 else pools[0][:1]
    heads = [key for pool in pools for key in _next(pool, 0, asked)]
    return [min(heads)] if heads else []


def _next(pool: Pool, start: int, asked: Asked) -> list[AgentKey]:
    for index in range(start, len(pool)):
        if asked.may_ask(pool[index]):
            return [pool[index]]
    return []


def _after(pools: list[Pool], asked: Asked, last: Sequence[int | str] | None) -> list[AgentKey]:
    """Take the next position after an agent's, again from the first when there is none."""
    if last is None:
        return _first(pools, asked)
    mark = (int(last[0]), 0, str(last[1]))
    heads = [key for pool in pools for key in _next(pool, bisect_right(pool, mark), asked)]
    return [min(heads)] if heads else _first(pools, asked)


def _round_robin(pools: list[Pool], asked: Asked) -> list[AgentKey]:
    return _after(pools, asked, asked.memory.last_offered.get(str(asked.level)))


def _top_down(pools: list[Pool], asked: Asked) -> list[AgentKey]:
    return _after(pools, asked, asked.call.last_refused.get(str(asked.level)))


def _all(pools: list[Pool], asked: Asked) -> list[AgentKey]:
    return sorted(key for pool in pools for key in pool if asked.may_ask(key))


def _random(pools: list[Pool], asked: Asked) -> list[AgentKey]:
    """Draw by the ids of the caller and of the draw: nobody can foresee it, and a replay draws the same.

    Weighted, an agent weighs the highest position among those who are free plus one, less its own.
    """
    total = sum(map(len, pools))
    heaviest = max(pool[-1][0] for pool in pools) + 1
    most = heaviest - min(pool[0][0] for pool in pools)
    for draw in range(MOST_DRAWS):
        number = _drawn(asked.call, draw)
        key = _at(pools, number % total)
        is_heavy = not asked.is_weighted or number // total % most < heaviest - key[0]
        if is_heavy and asked.may_ask(key):
            return [key]
    return _first(pools, asked)


def _at(pools: list[Pool], place: int) -> AgentKey:
    """Return the key at a place in the order of all pools together.

    How agents are parted into pools depends on what earlier callers required, and a snapshot does not keep that: so it
    may not decide who is drawn.
    """
    if len(pools) == 1:
        return pools[0][place]
    for pool in pools:
        low, high = 0, len(pool)
        while low < high:
            middle = (low + high) // 2
            before = sum(bisect_left(other, pool[middle]) for other in pools)
            if before == place:
                return pool[middle]
            low, high = (middle + 1, high) if before < place else (low, middle)
    raise IndexError(place)


def _drawn(call: Call, draw: int) -> int:
    seed = f"{call.call_id}/{call.entered_order}/{call.offers_made}/{draw}".encode()
    return int.from_bytes(blake2b(seed, digest_size=16).digest())


_POSITION = ("position", "")
STRATEGIES: dict[int, Strategy] = {
    tn.STRATEGY_LONGEST_IDLE: Strategy("longest_idle", _by_idle, _first, ("idle_since", "position")),
    tn.STRATEGY_ROUND_ROBIN: Strategy("round_robin", _by_position, _round_robin, _POSITION, is_by_place=True),
    tn.STRATEGY_RING_ALL: Strategy("ring_all", _by_position, _all, _POSITION, rings_many=True, is_by_place=True),
    tn.STRATEGY_TOP_DOWN: Strategy("top_down", _by_position, _top_down, _POSITION, is_by_place=True),
    tn.STRATEGY_SEQUENTIAL: Strategy(
        "sequential", _by_last_offer, _first, ("position", "offered_at"), is_by_place=True
    ),
    tn.STRATEGY_FEWEST_CALLS: Strategy("fewest_calls", _by_calls, _first, ("calls", "idle_since"), is_windowed=True),
    tn.STRATEGY_LEAST_TALK_TIME: Strategy(
        "least_talk_time", _by_talk, _first, ("talk_ms", "idle_since"), is_windowed=True
    ),
    tn.STRATEGY_RANDOM: Strategy("random", _by_position, _random, _POSITION, is_by_place=True),
    tn.STRATEGY_RING_PROGRESSIVELY: Strategy("ring_progressively", _by_position, _first, _POSITION, is_by_place=True),
    tn.STRATEGY_BEST_SKILL: Strategy("best_skill", _by_idle, _first, ("idle_since", "position"), is_by_skill=True),
    tn.STRATEGY_LEAST_OCCUPIED: Strategy(
        "least_occupied", _by_occupancy, _first, ("occupancy_permille", "idle_since"), is_windowed=True
    ),
    tn.STRATEGY_SLA_AWARE: Strategy("sla_aware", _by_idle, _first, ("idle_since", "position"), is_by_due=True),
}
