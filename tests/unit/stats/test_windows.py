from hypothesis import given
from hypothesis import strategies as st

from services.stats.domain.tally import Tally
from services.stats.domain.waiting import WaitingLine
from services.stats.domain.windows import QUARTER_MS, QuarterBook, SlidingTotals, Trend

WIDTHS = (5, 12)


@given(st.lists(st.tuples(st.integers(100, 140), st.booleans(), st.integers(100, 140)), max_size=60))
def test_a_window_holds_exactly_its_last_seconds(steps: list[tuple[int, bool, int]]) -> None:
    windows = SlidingTotals(WIDTHS)
    happened: list[int] = []
    clock = 100
    windows.advance(clock)
    for second, moves, to in steps:
        if moves:
            clock = max(clock, to)
            windows.advance(to)
        else:
            happened.append(second)
            windows.add(second, Tally(answered=1, wait_ms=second))
        for width in WIDTHS:
            inside = [second for second in happened if second > clock - width]
            assert windows.total(width) == Tally(answered=len(inside), wait_ms=sum(inside))
    assert all(second > clock - max(WIDTHS) for second, _ in windows.seconds())


def test_the_second_a_window_wide_ago_is_out_and_the_next_is_in() -> None:
    windows = SlidingTotals((300,))
    windows.advance(1_000)
    for second in (700, 701, 1_000):
        windows.add(second, Tally(answered=1))
    assert windows.total(300).answered == 2
    windows.advance(1_001)
    assert windows.total(300).answered == 1


def test_a_sleep_of_hours_empties_a_window_at_once() -> None:
    windows = SlidingTotals((300,))
    windows.advance(1_000)
    windows.add(1_000, Tally(answered=1))
    windows.advance(1_000_000)
    assert windows.total(300) == Tally()
    assert not list(windows.seconds())


def test_a_day_is_the_sum_of_its_quarters_also_after_more_came() -> None:
    book = QuarterBook()
    for quarter in range(10):
        book.add(quarter * QUARTER_MS, Tally(answered=1))
    assert book.total(2 * QUARTER_MS, 5 * QUARTER_MS).answered == 3
    book.add(3 * QUARTER_MS + 5, Tally(answered=1))
    assert book.total(2 * QUARTER_MS, 5 * QUARTER_MS).answered == 4
    book.forget_before(4 * QUARTER_MS)
    assert [quarter for quarter, _ in book.quarters()] == list(range(4, 10))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([0, 1, QUARTER_MS - 1])), max_size=20))
def test_a_sum_that_is_asked_for_between_two_counts_is_that_of_its_quarters(steps: list[tuple[int, int, int]]) -> None:
    book, happened = QuarterBook(), list[int]()
    for quarter, other, within in steps:
        first, end = min(quarter, other), max(quarter, other)
        for asked in ((2, 4), (first, end)):
            inside = [at_ms for at_ms in happened if asked[0] * QUARTER_MS <= at_ms < asked[1] * QUARTER_MS]
            assert book.total(asked[0] * QUARTER_MS, asked[1] * QUARTER_MS).answered == len(inside)
            happened.append(quarter * QUARTER_MS + within)
            book.add(happened[-1], Tally(answered=1))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 1000)), max_size=300))
def test_the_longest_wait_is_that_of_the_first_who_still_waits(steps: list[tuple[bool, int, int]]) -> None:
    line, waiting = WaitingLine(), dict[str, int]()
    for joins, number, since_ms in steps:
        call_id = f"c{number}"
        if joins and call_id not in waiting:
            waiting[call_id] = since_ms
            line.join(call_id, since_ms)
        elif not joins:
            waiting.pop(call_id, None)
            line.leave(call_id)
        assert len(line) == len(waiting)
        assert line.oldest_ms() == min(waiting.values(), default=None)


def test_a_trend_carries_the_level_through_quiet_minutes_and_stays_small() -> None:
    trend = Trend(5)
    for minute in range(0, 100, 2):
        trend.note(minute * 60_000, minute, minute + 2)
    assert len(trend.levels) <= 10
    assert trend.series(101 * 60_000) == [98, 100, 100, 100, 100]
