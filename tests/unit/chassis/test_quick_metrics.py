"""What Prometheus is told by our quick counters is what its own would tell of the same."""

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from services.shared.chassis.quick_metrics import QuickCounter, QuickHistogram

BUCKETS = (0.005, 0.5, 1, 15)
LABELS = ("tenant", "outcome")
COUNTED = st.tuples(st.sampled_from(["acme", 'be"ta\n']), st.sampled_from(["2xx", "no_answer"]), st.integers(0, 500))
OBSERVED = st.sampled_from(BUCKETS) | st.floats(min_value=0, max_value=100)


def told(registry: CollectorRegistry) -> list[str]:
    """Return the lines of a scrape, without the moments at which each series began."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@given(st.lists(COUNTED))
def test_a_counter_tells_what_prometheus_own_tells(counted: list[tuple[str, str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    quick = QuickCounter("tries_total", "Tries by how they ended", LABELS, ours)
    own = prometheus_client.Counter("tries_total", "Tries by how they ended", LABELS, registry=theirs)
    for tenant, outcome, count in counted:
        quick.add(tenant, outcome, count=count)
        own.labels(tenant, outcome).inc(count)
    assert told(ours) == told(theirs)


@given(st.lists(OBSERVED))
def test_a_histogram_tells_what_prometheus_own_tells(observed: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    quick = QuickHistogram("took_seconds", "How long a try took", BUCKETS, ours)
    own = prometheus_client.Histogram("took_seconds", "How long a try took", buckets=BUCKETS, registry=theirs)
    for value in observed:
        quick.observe(value)
        own.observe(value)
    assert told(ours) == told(theirs)


def test_a_name_is_taken_once() -> None:
    registry = CollectorRegistry(auto_describe=True)  # as the one that services are scraped by
    QuickCounter("tries_total", "Tries", LABELS, registry)
    with pytest.raises(ValueError, match="tries"):
        QuickHistogram("tries", "Tries", BUCKETS, registry)
