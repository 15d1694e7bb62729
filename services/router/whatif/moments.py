"""Virtual time: what shall happen, in the order of its moments. An hour costs as much as what happens in it."""

import heapq
from collections.abc import Callable
from typing import Any

_Happening = tuple[int, int, Callable[..., object], tuple[Any, ...]]


class Moments:
    """A clock that jumps from one happening to the next. What was planned first for a moment happens first in it."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._planned: list[_Happening] = []
        self._order = 0

    def at(self, when_ms: int, do: Callable[..., object], *arguments: Any) -> None:
        """Plan something for a moment; one that has passed is now."""
        self._order += 1
        heapq.heappush(self._planned, (max(when_ms, self.now_ms), self._order, do, arguments))

    def after(self, delay_ms: int, do: Callable[..., object], *arguments: Any) -> None:
        """Plan something for so many milliseconds from now."""
        self._order += 1
        heapq.heappush(self._planned, (self.now_ms + delay_ms, self._order, do, arguments))

    def run(self, until_ms: int, enough: Callable[[], bool] | None = None) -> None:
        """Let everything happen that is planned up to a moment, or until it is enough; the clock stands there then."""
        planned = self._planned
        while planned and planned[0][0] <= until_ms:
            self.now_ms, _, do, arguments = heapq.heappop(planned)
            do(*arguments)
            if enough is not None and enough():
                return
        self.now_ms = max(self.now_ms, until_ms)

    def next_ms(self) -> int | None:
        """Return the moment of the next happening, None when nothing is planned."""
        return self._planned[0][0] if self._planned else None
