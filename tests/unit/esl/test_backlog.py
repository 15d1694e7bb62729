"""The queue between the reader and its consumer: order, bounds, and when it counts as recovered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.esl.backlog import BATCH_ITEMS, Backlog, BacklogLimits
from services.shared.esl.errors import Overloaded


class MovableClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.integers(0, 300), max_size=8))
def test_items_leave_in_the_order_in_which_they_came(sizes: list[int]) -> None:
    backlog: Backlog[int] = Backlog(BacklogLimits())
    put = list(range(sum(sizes)))
    position = 0
    for size in sizes:
        backlog.put(put[position : position + size], size * 10)
        position += size
    backlog.close()
    taken: list[int] = []
    while batch := backlog.take():
        assert len(batch) <= BATCH_ITEMS
        taken += batch
    assert taken == put
    assert (backlog.items, backlog.oldest_seconds) == (0, 0.0)


def test_the_bytes_that_were_put_are_all_taken_off_again() -> None:
    backlog: Backlog[int] = Backlog(BacklogLimits())
    backlog.put(list(range(130)), 1_001)
    backlog.put([1], 7)
    backlog.close()
    while backlog.take():
        pass
    assert backlog.bytes == 0


@pytest.mark.parametrize(
    ("limits", "items", "size", "wait"),
    [
        (BacklogLimits(items=3), 4, 1, 0.0),
        (BacklogLimits(bytes=99), 1, 100, 0.0),
        (BacklogLimits(age_seconds=5), 1, 1, 5.5),
    ],
)
def test_passing_any_limit_is_an_overload_and_loses_nothing(
    limits: BacklogLimits, items: int, size: int, wait: float
) -> None:
    clock = MovableClock()
    backlog: Backlog[int] = Backlog(limits, clock)
    backlog.put(list(range(items)), size)
    clock.now += wait
    with pytest.raises(Overloaded):
        backlog.check()
    assert not backlog.has_recovered
    assert backlog.take() == list(range(items))
    backlog.check()
    assert backlog.has_recovered


def test_it_has_not_recovered_before_half_is_free() -> None:
    backlog: Backlog[int] = Backlog(BacklogLimits(items=200))
    backlog.put(list(range(192)), 192)
    backlog.take()
    assert not backlog.has_recovered
    backlog.take()
    assert backlog.has_recovered


def test_the_reader_is_behind_only_over_its_limit_of_bytes() -> None:
    backlog: Backlog[int] = Backlog(BacklogLimits(behind_bytes=100))
    backlog.put([1], 100)
    assert not backlog.is_behind
    backlog.put([2], 1)
    assert backlog.is_behind
