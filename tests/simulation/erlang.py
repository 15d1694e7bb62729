"""Erlang C and Erlang A: what a queue of equal agents must show, from the formulas alone.

Nothing of the router is imported here. Callers come in a Poisson stream of `arrivals` a second, talks last
1/`service` seconds on average, patience 1/`leaving` seconds, each exponential. All sums run over logarithms or ratios,
so that a thousand agents neither overflow nor vanish.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """What theory says of the callers of one queue."""

    waits: float
    """Share who find nobody free."""
    mean_wait: float
    """Of all callers, until an answer or until they hang up, seconds."""
    within: float
    """Share of all who are answered within the threshold."""
    abandon: float
    """Share who hang up while waiting."""
    states: list[float]
    """Probability of each number of callers in the system, from 0."""


def erlang_b(agents: int, load: float) -> float:
    """Return the share that is turned away without any queue, by the recursion over the number of agents."""
    blocked = 1.0
    for number in range(1, agents + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked


def erlang_c(agents: int, arrivals: float, service: float, threshold: float) -> Expected:
    """Return M/M/n: the callers wait for ever. Needs arrivals < agents * service."""
    spare = agents * service - arrivals
    if spare <= 0:
        raise ValueError("the queue would grow for ever")
    usage = arrivals / (agents * service)
    blocked = erlang_b(agents, arrivals / service)
    waits = blocked / (1 - usage * (1 - blocked))
    within = 1 - waits * math.exp(-spare * threshold)
    return Expected(waits, waits / spare, within, 0.0, _states(agents, arrivals, service, 0.0))


def erlang_a(agents: int, arrivals: float, service: float, leaving: float, threshold: float) -> Expected:
    """Return M/M/n+M: the callers hang up when their patience ends."""
    states = _states(agents, arrivals, service, leaving)
    waiting = math.fsum((number - agents) * share for number, share in enumerate(states) if number > agents)
    at_once = math.fsum(states[:agents])
    abandon = leaving * waiting / arrivals
    # Offered wait of a caller with endless patience, by Zeltyn and Mandelbaum (2005): density p(n-1) λ e^(λH(x) - nμx).
    scale = states[agents - 1] * arrivals

    def answered_at(seconds: float) -> float:
        ahead = arrivals * -math.expm1(-leaving * seconds) / leaving
        return scale * math.exp(ahead - agents * service * seconds - leaving * seconds)

    within = at_once + _simpson(answered_at, threshold)
    return Expected(1 - at_once, waiting / arrivals, within, abandon, states)


def _states(agents: int, arrivals: float, service: float, leaving: float) -> list[float]:
    """Return the stationary shares of the birth-death chain, cut where less than 1e-13 of the largest is left."""
    logs = [0.0]
    while len(logs) <= agents or logs[-1] > max(logs) - 30:
        number = len(logs)
        rate = min(number, agents) * service + max(0, number - agents) * leaving
        logs.append(logs[-1] + math.log(arrivals / rate))
    highest = max(logs)
    weights = [math.exp(value - highest) for value in logs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _simpson(of: Callable[[float], float], until: float, pieces: int = 2_000) -> float:
    step = until / pieces
    inner = math.fsum(of(number * step) * (4 if number % 2 else 2) for number in range(1, pieces))
    return (of(0.0) + inner + of(until)) * step / 3
