"""Intervals of confidence from independent replications, with Student's t for any number of them."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A mean and how far it may be off."""

    mean: float
    half: float

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return abs(value - self.mean) <= self.half


def interval(means: Sequence[float], confidence: float, least_half: float = 0.0) -> Interval:
    """Return the interval of independent means of one size; `least_half` is what the measuring itself rounds off."""
    error = statistics.stdev(means) / math.sqrt(len(means))
    half = t_quantile(1 - (1 - confidence) / 2, len(means) - 1) * error
    return Interval(statistics.fmean(means), half + least_half)


def t_cdf(value: float, freedom: int) -> float:
    """Return Student's distribution function by its finite series (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    angle = math.atan(value / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2 == 1
    term = cosine if is_odd else 1.0
    total = 0.0
    for number in range(1 if is_odd else 0, freedom - 1, 2):
        total += term
        term *= cosine * cosine * (number + 1) / (number + 2)
    inside = 2 / math.pi * (angle + sine * total) if is_odd else sine * total
    return 0.5 + inside / 2


def t_quantile(share: float, freedom: int) -> float:
    """Return the value below which a share of Student's distribution lies, by halving."""
    low, high = -1e4, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        if t_cdf(middle, freedom) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def most_outside(comparisons: int, share: float, surprise: float) -> int:
    """Return how many of so many independent comparisons may miss, each by a chance, before that is a surprise."""
    left = 1.0
    for misses in range(comparisons + 1):
        left -= math.comb(comparisons, misses) * share**misses * (1 - share) ** (comparisons - misses)
        if left < surprise:
            return misses
    return comparisons
