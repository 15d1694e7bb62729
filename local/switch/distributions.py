"""Lengths of time that differ from person to person, drawn from seeded dice."""

import math
import random
from dataclasses import dataclass
from typing import Protocol


class Distribution(Protocol):
    """Something that seconds are drawn from."""

    def draw(self, dice: random.Random) -> float:
        """Return seconds, never negative."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same."""

    seconds: float

    def draw(self, dice: random.Random) -> float:  # noqa: ARG002 - the shape of every distribution
        """Return the fixed seconds."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anything between two limits."""

    low: float
    high: float

    def draw(self, dice: random.Random) -> float:
        """Return seconds between the limits."""
        return dice.uniform(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless: patience as Erlang-A has it, talk times as Erlang-C has them."""

    mean: float

    def draw(self, dice: random.Random) -> float:
        """Return exponentially distributed seconds."""
        return dice.expovariate(1.0 / self.mean)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """What real talk times look like. `spread` is the standard deviation of the logarithm."""

    median: float
    spread: float

    def draw(self, dice: random.Random) -> float:
        """Return log-normally distributed seconds."""
        return dice.lognormvariate(math.log(self.median), self.spread)


class DistributionError(ValueError):
    """A scenario describes a length of time that can't be drawn."""


def parse_distribution(text: object) -> Distribution:
    """Read `2.5`, `fixed(3)`, `uniform(1, 4)`, `exponential(20)` or `lognormal(30, 0.5)`."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _checked(Fixed(float(text)))
    name, opening, inside = str(text).strip().partition("(")
    try:
        numbers = [float(number) for number in inside.removesuffix(")").split(",")] if opening else [float(name)]
    except ValueError as error:
        raise DistributionError(f"{text!r} is not a length of time") from error
    kinds = {"fixed": (Fixed, 1), "uniform": (Uniform, 2), "exponential": (Exponential, 1), "lognormal": (LogNormal, 2)}
    if not opening:
        return _checked(Fixed(numbers[0]))
    kind, count = kinds.get(name.strip(), (None, 0))
    if kind is None or len(numbers) != count:
        raise DistributionError(f"{text!r} is not a length of time; known are {', '.join(kinds)}")
    return _checked(kind(*numbers))


def _checked(distribution: Distribution) -> Distribution:
    values = [getattr(distribution, name) for name in distribution.__dataclass_fields__]  # type: ignore[attr-defined] # dataclasses all
    must_be_positive = isinstance(distribution, Exponential | LogNormal) and not values[0]
    if must_be_positive or any(not math.isfinite(value) or value < 0 for value in values):
        raise DistributionError(f"{distribution} has a negative or endless length")
    return distribution
