import gc
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.chassis.heap import (
    FULL_AT_IDLE_SECONDS,
    FULL_AT_LAST_SECONDS,
    IDLE_SHARE,
    LOOK_SECONDS,
    Heap,
)


class Times:
    """A clock, and the processor time of one process."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.cores = 0.0

    def pass_by(self, seconds: float, share: float) -> None:
        self.clock += seconds
        self.cores += seconds * share


class Ring:
    """Holds itself: only a collection finds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def _heap(times: Times) -> Heap:
    heap = Heap(lambda: times.clock, lambda: times.cores)
    heap.begin()
    return heap


def _rings() -> int:
    return sum(type(each) is Ring for each in gc.get_objects())


def _make_and_freeze_ring(heap: Heap, times: Times) -> None:
    ring = Ring()
    times.pass_by(LOOK_SECONDS, 1.0)
    heap.look()
    del ring


def test_what_stays_is_looked_at_no_more() -> None:
    times = Times()
    heap = _heap(times)
    before = gc.get_freeze_count()
    kept = [[number] for number in range(10_000)]
    times.pass_by(LOOK_SECONDS, 1.0)
    heap.look()
    assert gc.get_freeze_count() - before > 9_000
    assert len(kept) == 10_000


def test_a_frozen_ring_is_found_when_there_is_nothing_to_do() -> None:
    times = Times()
    heap = _heap(times)
    _make_and_freeze_ring(heap, times)
    times.pass_by(FULL_AT_IDLE_SECONDS, IDLE_SHARE / 2)
    heap.look()
    gc.unfreeze()
    assert _rings() == 0


def test_nobody_waits_for_a_full_collection_while_there_is_work() -> None:
    times = Times()
    heap = _heap(times)
    _make_and_freeze_ring(heap, times)
    times.pass_by(FULL_AT_LAST_SECONDS / 2, IDLE_SHARE * 2)
    heap.look()
    gc.unfreeze()
    assert _rings() == 1


def test_after_hours_of_work_it_is_done_all_the_same() -> None:
    times = Times()
    heap = _heap(times)
    _make_and_freeze_ring(heap, times)
    times.pass_by(FULL_AT_LAST_SECONDS, 1.0)
    heap.look()
    gc.unfreeze()
    assert _rings() == 0


@settings(max_examples=20)  # each one looks at all objects of the test run
@given(st.lists(st.tuples(st.floats(1, 3_600), st.floats(0, 1)), max_size=8))
def test_two_full_collections_are_never_nearer_than_ten_minutes(steps: list[tuple[float, float]]) -> None:
    times = Times()
    heap, full_at = _heap(times), [0.0]
    for seconds, share in steps:
        times.pass_by(seconds, share)
        heap.look()
        if heap._full_at != full_at[-1]:
            full_at.append(heap._full_at)
    assert all(later - earlier >= FULL_AT_IDLE_SECONDS for earlier, later in itertools.pairwise(full_at))
