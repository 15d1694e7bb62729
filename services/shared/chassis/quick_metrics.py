"""Counters for what happens thousands of times a second: Prometheus' own take a lock at each step.

Under gevent such a lock costs more than the counting: two counters with labels and two histograms were an eighth of
the CPU time of a webhook's delivery (measured). These are for greenlets of one thread, which nothing interrupts here.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class QuickCounter(Collector):
    """A counter with labels; `name` ends in `_total`."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self.label_names = tuple(labels)
        self._described = name, documentation
        self._counts: Counter[tuple[str, ...]] = Counter()
        registry.register(self)

    def add(self, *labels: str, count: int = 1) -> None:
        """Count something under one value for each label."""
        self._counts[labels] += count

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return what was counted."""
        family = CounterMetricFamily(*self._described, labels=self.label_names)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class QuickHistogram(Collector):
    """A histogram without labels; `buckets` are upper bounds, in order, without the infinite one."""

    label_names = ()

    def __init__(
        self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._described = name, documentation
        self._bounds = tuple(float(bound) for bound in buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """Count a value in the first bucket whose upper bound it does not exceed."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return what was counted, each bucket with all below it."""
        names = (*map(str, self._bounds), "+Inf")
        family = HistogramMetricFamily(*self._described)
        family.add_metric([], list(zip(names, accumulate(self._counts), strict=True)), self._sum)
        yield family
