"""What a number of equal agents would have done: Erlang C (everybody waits) and Erlang A (callers lose patience).

Arrivals are Poisson, talks and patience exponential. Erlang B by its recursion; Erlang A (Palm 1957, M/M/n+M) with the
offered wait's density of Zeltyn and Mandelbaum (2005). Sums are relative to the state of n busy agents, so that a
thousand agents neither overflow nor vanish.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_AGENTS: Final = 5_000
_STEPS: Final = 400
_NEGLIGIBLE: Final = 1e-14


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shares of all callers, 0 to 1, and seconds."""

    in_time: float
    mean_wait: float
    abandoned: float


def erlang_b(agents: int, load: float) -> float:
    """Return the share that finds every agent busy where nobody may wait."""
    blocked = 1.0
    for number in range(1, agents + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked


def erlang_c(agents: int, load: float, handle_seconds: float, threshold: float) -> Outcome:
    """Return what happens where everybody waits as long as it takes; `load` is in erlangs."""
    if load <= 0:
        return Outcome(1.0, 0.0, 0.0)
    if agents <= load:
        return Outcome(0.0, math.inf, 0.0)
    blocked = erlang_b(agents, load)
    waits = blocked * agents / (agents - load * (1 - blocked))
    leaving = (agents - load) / handle_seconds
    return Outcome(1 - waits * math.exp(-leaving * threshold), waits / leaving, 0.0)


def erlang_a(agents: int, load: float, handle_seconds: float, patience_seconds: float, threshold: float) -> Outcome:
    """Return what happens where callers wait as long as their patience lasts."""
    if load <= 0:
        return Outcome(1.0, 0.0, 0.0)
    if agents == 0:
        return Outcome(0.0, patience_seconds, 1.0)
    arrivals, service, losing = load / handle_seconds, 1 / handle_seconds, 1 / patience_seconds
    # Weights of states beside the one in which all agents talk and nobody waits.
    below = _weights_below(agents, load)
    above, waiting = _weights_above(agents, arrivals, service, losing)
    total = below + 1 + above
    mean_waiting = waiting / total
    at_once = below / total
    # The density at 0 of the wait of a caller with endless patience: one state below full, and a talk begins.
    scale = arrivals * (agents * service / arrivals) / total

    def answered_at(seconds: float) -> float:
        ahead = arrivals * -math.expm1(-losing * seconds) / losing
        return scale * math.exp(ahead - (agents * service + losing) * seconds)

    in_time = min(1.0, at_once + _integral(answered_at, threshold))
    return Outcome(in_time, mean_waiting / arrivals, losing * mean_waiting / arrivals)


def agents_needed(load: float, handle_seconds: float, threshold: float, target: float) -> int | None:
    """Return the fewest agents who answer a share `target` in time (Erlang C); None beyond the most."""
    if load <= 0:
        return 0
    agents = int(load) + 1
    while agents <= MOST_AGENTS:
        if erlang_c(agents, load, handle_seconds, threshold).in_time >= target:
            return agents
        agents += 1
    return None


def _weights_below(agents: int, load: float) -> float:
    total, weight = 0.0, 1.0
    for number in range(agents, 0, -1):
        weight *= number / load
        total += weight
        if weight < _NEGLIGIBLE * total:
            break
    return total


def _weights_above(agents: int, arrivals: float, service: float, losing: float) -> tuple[float, float]:
    """Return the weights of the states in which somebody waits, and the same times the number who wait."""
    total = waiting = 0.0
    weight, ahead = 1.0, 0
    while ahead == 0 or weight > _NEGLIGIBLE * (1 + total):
        ahead += 1
        weight *= arrivals / (agents * service + ahead * losing)
        total += weight
        waiting += ahead * weight
    return total, waiting


def _integral(of: Callable[[float], float], until: float) -> float:
    """Return Simpson's sum."""
    step = until / _STEPS
    inner = math.fsum(of(number * step) * (4 if number % 2 else 2) for number in range(1, _STEPS))
    return (of(0.0) + inner + of(until)) * step / 3
