"""How long callers would have waited: known of those who gave up, of the others only that it was longer.

Kaplan and Meier's estimate of the share who still wait after so long. Who was answered is drawn a patience from what is
left of it beyond the own wait; beyond the longest wait that ended in giving up nothing is known, and nobody gives up.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import groupby


class Patience:
    """Built from waits in milliseconds: those that ended by giving up, and those that ended otherwise (censored)."""

    def __init__(self, given_up: Iterable[int], censored: Iterable[int]) -> None:
        waits = sorted([(wait, 0) for wait in given_up] + [(wait, 1) for wait in censored])
        self.moments: list[int] = []
        """Waits after which somebody gave up, rising."""
        self.staying: list[float] = []
        """Share of all who wait longer than each of them, falling."""
        waiting, share = len(waits), 1.0
        for wait, group in groupby(waits, key=lambda one: one[0]):
            kinds = [kind for _, kind in group]
            left = kinds.count(0)
            if left:
                share *= 1 - left / waiting
                self.moments.append(wait)
                self.staying.append(share)
            waiting -= len(kinds)

    def drawn(self, longer_than: int, draw: float) -> int | None:
        """Return the patience of a caller who waited so long; `draw` is in [0, 1). None = stays for ever."""
        known = bisect_right(self.moments, longer_than)
        still = self.staying[known - 1] if known else 1.0
        for moment, share in zip(self.moments[known:], self.staying[known:], strict=True):
            if share <= still * (1 - draw):
                return moment
        return None
