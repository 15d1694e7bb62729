"""The router's core against Erlang C and Erlang A, case by case.

A case is a number of independent replications. Each begins with as many callers as theory's stationary chain has at any
moment (exact for exponential times), so nothing has to warm up, every counted caller sees the stationary queue, and the
mean of a replication is unbiased for every measure. So Student's t over the replications' means gives the intervals.
It needs replications that are long beside the time in which a hall forgets its state, some 4 / (spare * spare) talks:
then their means are nearly normal. So every case lasts the same virtual time, and big halls count more callers.

Many comparisons are made at once. If all are right, one in a hundred still misses its own 99 % interval. So the family
is judged as a whole, at 99 %: (1) every comparison must hold at 1 - 0.01 / number of comparisons (Bonferroni), and (2)
no more cases may have a measure that misses its own 99 % than happens once in a hundred times by chance. Cases are
independent of each other, the measures of one case are not: their misses come together, so cases are counted.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.simulation import erlang
from tests.simulation.confidence import Interval, interval, most_outside
from tests.simulation.erlang import Expected
from tests.simulation.world import Hall, Load, Seen

CONFIDENCE = 0.99
REPLICATIONS = 30
SERVICE_SECONDS = 240.0
FEWEST_CALLERS = 6_000
ROUNDING = 0.000_5
"""The core counts whole milliseconds: a mean wait is known to half of one."""
MEASURES = ("waits", "mean_wait", "within", "abandon")
_NAMES = [name for name in tn.Strategy.keys() if name != "STRATEGY_UNSPECIFIED"]  # noqa: SIM118 - an enum, not a dict
RINGS_ALL = tn.STRATEGY_RING_ALL
MOST_RUNG = 20
"""ring_all calls every free phone for each caller: a hall of hundred would measure nothing but that."""


@dataclass(frozen=True)
class Case:
    """One line of the table: agents, patience in talks, load offered to each agent, strategy."""

    name: str
    load: Load

    @property
    def expected(self) -> Expected:
        """What theory says."""
        load = self.load
        served = 1 / load.service_seconds
        if not load.patience_seconds:
            return erlang.erlang_c(load.agents, load.arrivals, served, load.threshold_seconds)
        leaving = 1 / load.patience_seconds
        return erlang.erlang_a(load.agents, load.arrivals, served, leaving, load.threshold_seconds)


@dataclass(frozen=True)
class Comparison:
    """A measure beside its theory."""

    case: Case
    measure: str
    theory: float
    plain: Interval
    """At 99 % for this comparison alone."""
    wide: Interval
    """At 99 % for all of them together."""


def cases() -> list[Case]:
    """Return the table's cases; each strategy has three: among equal agents none of them may change a wait.

    Halls are staffed by the square-root rule, load + spare * sqrt(load): whatever their size, neither waiting nor not
    waiting is so rare that replications could not tell it. Spare below 0 needs callers who hang up.
    """
    endless = itertools.product((1, 2, 4, 8, 16, 32, 64), (0.6, 0.8, 1.0), (0.0,))
    patient = itertools.product((1, 4, 16, 32, 100), (-0.5, 0.0, 0.5), (0.5,))
    turns = _strategies()
    return [_case(agents, spare, patience, turns) for agents, spare, patience in (*endless, *patient)]


def short_cases() -> list[Case]:
    """Return some cases for everyday: waits are not rare in them, so fewer callers tell as much."""
    wanted = [(2, 1.0, 0.0), (5, 1.0, 0.0), (10, 1.0, 0.0), (5, 0.0, 0.5), (20, 0.0, 0.5)]
    strategies = iter(
        [
            tn.STRATEGY_RING_ALL,
            tn.STRATEGY_LONGEST_IDLE,
            tn.STRATEGY_LEAST_OCCUPIED,
            tn.STRATEGY_ROUND_ROBIN,
            tn.STRATEGY_BEST_SKILL,
        ]
    )
    return [_case(agents, spare, patience, strategies) for agents, spare, patience in wanted]


def callers_in(case: Case, hours: float) -> int:
    """Return how many callers to count of a case in so many virtual hours; small halls get more time."""
    return max(FEWEST_CALLERS, round(case.load.arrivals * hours * 3_600))


def run(case: Case, callers: int, replications: int = REPLICATIONS) -> list[list[float]]:
    """Simulate a case; return each measure's means, one a replication."""
    states = case.expected.states
    means: list[list[float]] = []
    for replication in range(replications):
        hall = Hall(case.load, f"{case.name}/{replication}", states)
        means.append(_means(hall.run(callers // replications), case.load.threshold_seconds))
    return [list(column) for column in zip(*means, strict=True)]


def compare(results: Sequence[tuple[Case, list[list[float]]]]) -> list[Comparison]:
    """Hold every case's measures to theory; abandonment only where callers hang up."""
    comparisons = sum(_measured(case) for case, _ in results)
    wide = 1 - (1 - CONFIDENCE) / comparisons
    found: list[Comparison] = []
    for case, means in results:
        for measure, values in itertools.islice(zip(MEASURES, means, strict=True), _measured(case)):
            half = ROUNDING if measure == "mean_wait" else 0.0
            plain, broad = interval(values, CONFIDENCE, half), interval(values, wide, half)
            found.append(Comparison(case, measure, getattr(case.expected, measure), plain, broad))
    return found


def faults(comparisons: Sequence[Comparison]) -> list[str]:
    """Return what speaks against the simulation and theory being the same, one sentence each."""
    found = [
        f"{one.case.name}: {one.measure} is {one.plain.mean:.5f}, theory says {one.theory:.5f}"
        for one in comparisons
        if not one.wide.holds(one.theory)
    ]
    missed, most = outside(comparisons), most_missed(comparisons)
    if missed > most:
        found.append(f"{missed} cases miss their own 99 %, more than {most} is no chance")
    return found


def outside(comparisons: Sequence[Comparison]) -> int:
    """Return how many cases have a measure that misses its own interval."""
    return len({one.case.name for one in comparisons if not one.plain.holds(one.theory)})


def most_missed(comparisons: Sequence[Comparison]) -> int:
    """Return how many may: a case misses by chance at most as often as its measures do together."""
    cases = {one.case.name for one in comparisons}
    return most_outside(len(cases), (1 - CONFIDENCE) * len(comparisons) / len(cases), 1 - CONFIDENCE)


def _measured(case: Case) -> int:
    return len(MEASURES) if case.load.patience_seconds else len(MEASURES) - 1


def _case(agents: int, spare: float, patience: float, turns: Iterator["tn.Strategy.ValueType"]) -> Case:
    strategy = next(turns)
    if strategy == RINGS_ALL and agents > MOST_RUNG:
        strategy = next(turns)
    offered = ((math.sqrt(spare * spare + 4 * agents) - spare) / 2) ** 2
    load = Load(agents, offered / SERVICE_SECONDS, SERVICE_SECONDS, patience * SERVICE_SECONDS, strategy)
    ending = f"+M({patience:g})" if patience else ""
    name = tn.Strategy.Name(strategy).removeprefix("STRATEGY_").lower()
    return Case(f"M/M/{agents}{ending} {offered / agents:.0%} {name}", load)


def _strategies() -> Iterator["tn.Strategy.ValueType"]:
    return itertools.cycle(tn.Strategy.Value(name) for name in _NAMES)


def _means(seen: Seen, threshold_seconds: int) -> list[float]:
    callers = len(seen.waits_ms)
    limit_ms = threshold_seconds * 1000
    in_time = sum(told and wait <= limit_ms for told, wait in zip(seen.answered, seen.waits_ms, strict=True))
    return [
        sum(wait > 0 for wait in seen.waits_ms) / callers,
        sum(seen.waits_ms) / callers / 1000,
        in_time / callers,
        1 - sum(seen.answered) / callers,
    ]
