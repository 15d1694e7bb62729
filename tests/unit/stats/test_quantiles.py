"""Quantiles beside a sorted list."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stats.domain.quantiles import ACCURACY, Counts, add_counts, bucket_of, quantile_ms, quantiles_ms

durations = st.lists(st.integers(0, 4 * 3_600_000), min_size=1, max_size=60)


def counted(values: list[int]) -> Counts:
    counts: Counts = {}
    for value in values:
        add_counts(counts, {bucket_of(value): 1}, 1)
    return counts


@given(durations, st.floats(0, 1))
def test_a_quantile_is_within_a_hundredth_of_the_nearest_rank(values: list[int], share: float) -> None:
    found = quantile_ms(counted(values), share)
    true = sorted(values)[max(0, ceil(share * len(values) - 1e-9) - 1)]
    assert found == pytest.approx(true, abs=ACCURACY * true + 1)  # a millisecond for rounding


@pytest.mark.parametrize(("share", "rank"), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_where_a_rank_is_whole_it_is_that_ones(share: float, rank: int) -> None:
    assert quantile_ms(counted([1_000, 20_000, 300_000]), share) == pytest.approx(
        [1_000, 20_000, 300_000][rank], rel=ACCURACY
    )


@given(durations, durations)
def test_what_was_added_can_be_taken_away_again(values: list[int], more: list[int]) -> None:
    counts = counted(values)
    add_counts(counts, counted(more), 1)
    add_counts(counts, counted(more), -1)
    assert counts == counted(values)


def test_nine_of_ten_are_not_above_the_ninetieth_hundredth_however_few_there_are() -> None:
    assert quantile_ms(counted([1_000, 2_000, 30_000]), 0.9) == pytest.approx(30_000, rel=ACCURACY)
    assert quantile_ms(counted(list(range(1_000, 21_000, 1_000))), 0.95) == pytest.approx(19_000, rel=ACCURACY)


def test_nobody_has_no_quantile() -> None:
    assert quantiles_ms({}) == {"p50": None, "p90": None, "p95": None}


def test_an_absurd_duration_is_counted_as_a_week() -> None:
    assert bucket_of(10**30) == bucket_of(7 * 86_400_000)
    assert bucket_of(-5) == bucket_of(0) == 0
