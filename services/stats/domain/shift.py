"""How agents spend their time: handled, idle, logged in (SPEC 8.2), over sliding windows and by quarter hour."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from services.stats.domain.windows import KEPT_MS, QUARTER_MS

WIDEST_MS: Final = 900_000
_HANDLING: Final = frozenset({"talking", "holding", "wrap_up"})
_AWAY_FROM_WORK: Final = frozenset({"offline", "unspecified"})


@dataclass(slots=True)
class Worked:
    """Milliseconds of agents' time. What is neither handled nor idle is ringing, away or unreachable."""

    handled_ms: int = 0
    idle_ms: int = 0
    logged_in_ms: int = 0

    def add(self, more: "Worked", sign: int = 1) -> None:
        """Add another, or take it away with sign -1."""
        self.handled_ms += sign * more.handled_ms
        self.idle_ms += sign * more.idle_ms
        self.logged_in_ms += sign * more.logged_in_ms

    @property
    def occupancy(self) -> float | None:
        """Handle / (handle + idle); None without either."""
        whole = self.handled_ms + self.idle_ms
        return self.handled_ms / whole if whole else None

    @property
    def utilisation(self) -> float | None:
        """Handle / logged in; None for who was not."""
        return self.handled_ms / self.logged_in_ms if self.logged_in_ms else None


def worked(state: str, duration_ms: int) -> Worked:
    """Return what a stretch in one state adds."""
    if state in _AWAY_FROM_WORK:
        return Worked()
    return Worked(
        duration_ms if state in _HANDLING else 0,
        duration_ms if state == "idle" else 0,
        duration_ms,
    )


def in_all(each: "list[Worked]") -> Worked:
    """Return the sum of several agents' time."""
    total = Worked()
    for one in each:
        total.add(one)
    return total


class Shift:
    """One agent's states. Their changes come in order; `note` is O(1), a stretch over hours a step a quarter."""

    __slots__ = ("_day", "_day_sum", "marks", "quarters")

    def __init__(self) -> None:
        # (since, state, worked from the first mark kept until since).
        self.marks: deque[tuple[int, str, Worked]] = deque()
        self.quarters: dict[int, Worked] = {}
        self._day: tuple[int, int] | None = None
        self._day_sum = Worked()

    def note(self, at_ms: int, state: str) -> None:
        """Take note of a new state."""
        before = Worked()
        if self.marks:
            since, former, upto = self.marks[-1]
            before.add(upto)
            before.add(worked(former, max(0, at_ms - since)))
            self._to_quarters(since, at_ms, former)
        self.marks.append((at_ms, state, before))
        self._slide(at_ms - WIDEST_MS)

    def recent(self, now_ms: int) -> Worked:
        """Return what was worked in (now - WIDEST_MS, now]."""
        total = Worked()
        if self.marks:
            self._slide(now_ms - WIDEST_MS)
            total.add(_upto(self.marks[-1], now_ms))
            total.add(_upto(self.marks[0], now_ms - WIDEST_MS), -1)
        return total

    def of_day(self, from_ms: int, until_ms: int, now_ms: int) -> Worked:
        """Return what was worked in [from, until), which begins and ends with quarters, until now."""
        if self._day != (from_ms, until_ms):
            self._day, self._day_sum = (from_ms, until_ms), Worked()
            for quarter, sums in self.quarters.items():
                if from_ms <= quarter * QUARTER_MS < until_ms:
                    self._day_sum.add(sums)
        total = Worked(self._day_sum.handled_ms, self._day_sum.idle_ms, self._day_sum.logged_in_ms)
        if self.marks:
            since, state, _ = self.marks[-1]
            total.add(worked(state, max(0, min(now_ms, until_ms) - max(since, from_ms))))
        return total

    def forget_before(self, at_ms: int) -> None:
        """Forget quarters that ended before."""
        for quarter in [each for each in self.quarters if (each + 1) * QUARTER_MS <= at_ms]:
            del self.quarters[quarter]

    def to_rows(self) -> list[Any]:
        """Return it for a snapshot."""
        marks = [[since, state, *_sums(upto)] for since, state, upto in self.marks]
        return [marks, [[quarter, *_sums(sums)] for quarter, sums in self.quarters.items()]]

    @classmethod
    def from_rows(cls, rows: list[Any]) -> "Shift":
        """Read it from a snapshot."""
        shift = cls()
        shift.marks.extend((since, state, Worked(*sums)) for since, state, *sums in rows[0])
        shift.quarters = {quarter: Worked(*sums) for quarter, *sums in rows[1]}
        return shift

    def _slide(self, edge_ms: int) -> None:
        while len(self.marks) > 1 and self.marks[1][0] <= edge_ms:
            self.marks.popleft()

    def _to_quarters(self, from_ms: int, until_ms: int, state: str) -> None:
        self._day = None
        if state in _AWAY_FROM_WORK:
            return
        from_ms = max(from_ms, until_ms - KEPT_MS)
        while from_ms < until_ms:
            quarter = from_ms // QUARTER_MS
            end = min(until_ms, (quarter + 1) * QUARTER_MS)
            self.quarters.setdefault(quarter, Worked()).add(worked(state, end - from_ms))
            from_ms = end


def _upto(mark: tuple[int, str, Worked], at_ms: int) -> Worked:
    """Return what was worked until a moment that a mark's state lasts to; of what comes before it nothing is known."""
    since, state, before = mark
    total = Worked()
    total.add(before)
    total.add(worked(state, max(0, at_ms - since)))
    return total


def _sums(sums: Worked) -> tuple[int, int, int]:
    return sums.handled_ms, sums.idle_ms, sums.logged_in_ms
