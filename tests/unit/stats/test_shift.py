"""Agents' time beside an oracle that looks at every second."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.stats.domain.shift import WIDEST_MS, Shift, Worked, in_all
from services.stats.domain.windows import QUARTER_MS

DAY = (0, 96 * QUARTER_MS)
STATES = ["offline", "idle", "reserved", "ringing", "talking", "holding", "wrap_up", "away", "unreachable"]
changes = st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from(STATES)), max_size=25)


def oracle(told: list[tuple[int, str]], from_ms: int, until_ms: int) -> tuple[int, int, int]:
    """Count second by second: all moments are whole seconds here."""
    handled = idle = logged_in = 0
    for at in range(from_ms, until_ms, 1000):
        state = next((state for since, state in reversed(told) if since <= at), "offline")
        handled += 1000 * (state in ("talking", "holding", "wrap_up"))
        idle += 1000 * (state == "idle")
        logged_in += 1000 * (state != "offline")
    return handled, idle, logged_in


def by_stretches(told: list[tuple[int, str]], from_ms: int, until_ms: int) -> tuple[int, int, int]:
    """Count the same by the stretches between two changes."""
    handled = idle = logged_in = 0
    for (since, state), (end, _) in pairwise([*told, (until_ms, "")]):
        lasted = max(0, min(end, until_ms) - max(since, from_ms))
        handled += lasted * (state in ("talking", "holding", "wrap_up"))
        idle += lasted * (state == "idle")
        logged_in += lasted * (state != "offline")
    return handled, idle, logged_in


def sums(worked: Worked) -> tuple[int, int, int]:
    return worked.handled_ms, worked.idle_ms, worked.logged_in_ms


@given(changes, st.integers(0, 2_000))
def test_time_worked_is_the_oracles_in_the_window_and_over_the_day(drawn: list[tuple[int, str]], later: int) -> None:
    told = sorted(((second * 1000, state) for second, state in drawn), key=lambda each: each[0])
    shift = Shift()
    for at_ms, state in told:
        shift.note(at_ms, state)
    now_ms = (told[-1][0] if told else 0) + later * 1000
    for each in (shift, Shift.from_rows(shift.to_rows())):
        assert sums(each.recent(now_ms)) == oracle(told, max(0, now_ms - WIDEST_MS), now_ms)
        assert sums(each.of_day(*DAY, now_ms)) == oracle(told, 0, now_ms)


DAYS = ((0, 2 * QUARTER_MS), (2 * QUARTER_MS, 4 * QUARTER_MS))
# On and beside the edges of quarters, days and the window, where a mistake of one would be.
moments = st.builds(lambda hundred, by: max(0, 100 * hundred + by), st.integers(0, 40), st.sampled_from([-1, 0, 1]))


@given(st.lists(st.tuples(moments, st.sampled_from(["offline", "idle", "talking", "holding", "away"])), max_size=8))
def test_whoever_asks_between_two_changes_is_told_the_same_as_who_asks_once(drawn: list[tuple[int, str]]) -> None:
    told: list[tuple[int, str]] = []
    shift = Shift()
    for second, state in sorted(drawn, key=lambda each: each[0]):
        shift.note(second * 1000, state)
        told.append((second * 1000, state))
        now_ms = second * 1000
        assert sums(shift.recent(now_ms)) == by_stretches(told, max(0, now_ms - WIDEST_MS), now_ms)
        for from_ms, until_ms in DAYS:
            assert sums(shift.of_day(from_ms, until_ms, now_ms)) == by_stretches(told, from_ms, min(until_ms, now_ms))
    for now_ms in range(max((at_ms for at_ms, _ in told), default=0), 5_000_000, 300_000):
        assert sums(shift.recent(now_ms)) == by_stretches(told, max(0, now_ms - WIDEST_MS), now_ms)
        for from_ms, until_ms in DAYS:
            assert sums(shift.of_day(from_ms, until_ms, now_ms)) == by_stretches(told, from_ms, min(until_ms, now_ms))


def test_occupancy_leaves_out_what_is_neither_handled_nor_idle() -> None:
    shift = Shift()
    for at_ms, state in ((0, "idle"), (60_000, "ringing"), (70_000, "talking"), (90_000, "away")):
        shift.note(at_ms, state)
    worked = shift.recent(100_000)
    assert worked.occupancy == 20_000 / 80_000
    assert worked.utilisation == 20_000 / 100_000


def test_who_was_not_there_has_neither() -> None:
    assert in_all([]).occupancy is None
    assert Shift().recent(5_000).utilisation is None


def test_a_stretch_of_years_costs_two_days_of_quarters() -> None:
    shift = Shift()
    shift.note(0, "idle")
    shift.note(10 * 365 * 86_400_000, "talking")
    assert len(shift.quarters) <= 201
