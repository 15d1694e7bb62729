"""Sums over sliding windows, over quarter hours and by minute. Each step is O(1); memory is bounded by time kept."""

from collections.abc import Iterable, Sequence
from typing import Final

from services.stats.domain.tally import Tally

QUARTER_MS: Final = 15 * 60_000
MINUTE_MS: Final = 60_000
# Quarters are kept for the longest local day and one before it.
KEPT_MS: Final = 50 * 3_600_000


class SlidingTotals:
    """Totals of the last w seconds for several w, exact to the second: of the seconds (now - w, now].

    What the clock has not reached yet counts at once: clocks of two machines differ a little.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self._seconds: dict[int, Tally] = {}
        self._totals = {width: Tally() for width in widths}
        self._edges = dict.fromkeys(widths, 0)
        self._widest = max(widths)

    def add(self, second: int, delta: Tally) -> None:
        """Count something that happened in a second; what is older than the widest window changes nothing."""
        if second < self._edges[self._widest]:
            return
        bucket = self._seconds.get(second)
        if bucket is None:
            bucket = self._seconds[second] = Tally()
        bucket.add(delta)
        for width, edge in self._edges.items():
            if second >= edge:
                self._totals[width].add(delta)

    def advance(self, now_second: int) -> None:
        """Let the windows slide; a clock that goes back moves nothing."""
        for width, edge in self._edges.items():
            wanted = now_second - width + 1
            if wanted > edge:
                self._edges[width] = wanted
                total = self._totals[width]
                for second in self._between(edge, wanted):
                    total.add(self._seconds[second], -1)
                    if width == self._widest:
                        del self._seconds[second]

    def total(self, width: int) -> Tally:
        """Return the total of one window, as of the last `advance`. Not to be changed."""
        return self._totals[width]

    def seconds(self) -> Iterable[tuple[int, Tally]]:
        """Return what is kept, by second."""
        return self._seconds.items()

    def _between(self, first: int, end: int) -> list[int]:
        if end - first <= len(self._seconds):
            return [second for second in range(first, end) if second in self._seconds]
        return [second for second in self._seconds if first <= second < end]


class QuarterBook:
    """Tallies by quarter hour of UTC: every time zone's midnight is the edge of one, so a day is a sum of quarters."""

    def __init__(self) -> None:
        self._quarters: dict[int, Tally] = {}
        self._summed: tuple[int, int] | None = None
        self._sum = Tally()

    def add(self, at_ms: int, delta: Tally) -> None:
        """Count something."""
        quarter = at_ms // QUARTER_MS
        self.of_quarter(quarter).add(delta)
        if self._summed is not None and self._summed[0] <= quarter < self._summed[1]:
            self._sum.add(delta)

    def of_quarter(self, quarter: int) -> Tally:
        """Return the tally of a quarter, to be added to while a snapshot is read."""
        tally = self._quarters.get(quarter)
        if tally is None:
            tally = self._quarters[quarter] = Tally()
        return tally

    def total(self, from_ms: int, until_ms: int) -> Tally:
        """Return the sum of [from, until); it is kept, and what is counted goes into it. Not to be changed."""
        first, end = from_ms // QUARTER_MS, until_ms // QUARTER_MS
        if self._summed != (first, end):
            self._sum = Tally()
            for quarter, tally in self._quarters.items():
                if first <= quarter < end:
                    self._sum.add(tally)
            self._summed = (first, end)
        return self._sum

    def quarters(self) -> Iterable[tuple[int, Tally]]:
        """Return what is kept, by number of the quarter."""
        return self._quarters.items()

    def forget_before(self, at_ms: int) -> None:
        """Forget quarters that ended before."""
        for quarter in [each for each in self._quarters if (each + 1) * QUARTER_MS <= at_ms]:
            del self._quarters[quarter]
            self._summed = None


class CallBook:
    """Calls by the quarter hour in which they started: started and exits, so that a day's calls always balance."""

    def __init__(self) -> None:
        self.quarters: dict[int, dict[str, int]] = {}

    def add(self, started_ms: int, what: str) -> None:
        """Count a call: `started`, or the name of its exit."""
        counts = self.quarters.setdefault(started_ms // QUARTER_MS, {})
        counts[what] = counts.get(what, 0) + 1

    def total(self, from_ms: int, until_ms: int) -> dict[str, int]:
        """Return the counts of calls that started in [from, until)."""
        found: dict[str, int] = {}
        for quarter in range(from_ms // QUARTER_MS, until_ms // QUARTER_MS):
            for what, count in self.quarters.get(quarter, {}).items():
                found[what] = found.get(what, 0) + count
        return found

    def forget_before(self, at_ms: int) -> None:
        """Forget quarters that ended before."""
        for quarter in [each for each in self.quarters if (each + 1) * QUARTER_MS <= at_ms]:
            del self.quarters[quarter]


class Trend:
    """The highest level of each of the last minutes; a minute without a change keeps the level before it."""

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes
        # Minute → (highest, last level).
        self.levels: dict[int, tuple[int, int]] = {}

    def note(self, at_ms: int, before: int, after: int) -> None:
        """Take note that the level changed."""
        minute = at_ms // MINUTE_MS
        highest, _ = self.levels.get(minute, (before, before))
        self.levels[minute] = (max(highest, before, after), after)
        if len(self.levels) > 2 * self.minutes:
            # More than the series needs, and one of before it: its level is carried into it.
            del self.levels[min(self.levels)]

    def series(self, now_ms: int) -> list[int]:
        """Return the highest level of each of the last minutes, the present one last."""
        now_minute = now_ms // MINUTE_MS
        first = now_minute - self.minutes + 1
        former = [minute for minute in self.levels if minute < first]
        level = self.levels[max(former)][1] if former else 0
        found = []
        for minute in range(first, now_minute + 1):
            highest, level = self.levels.get(minute, (level, level))
            found.append(highest)
        return found
