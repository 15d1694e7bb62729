"""How long a test waits, counted in the time that the processes which it waits for had: not in that of a quiet machine.

Linux tells of each thread how long it stood ready to run and was not let run (proc(5), schedstat, second field). What
the test itself and the processes that it started waited in this way was not theirs, so it is no patience spent.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

Thread = tuple[int, int]
LONGEST_LOOK_SECONDS = 1.0
"""Between two looks no more than this counts: a machine that stood still was nobody's."""


def own_time() -> float:
    """Return Unix time less what this thread has stood by: between two moments of it only time that it had goes by."""
    while True:
        before, now = _stood_by(), time.time()
        # Whoever was interrupted between the two looks again.
        if _stood_by() == before:
            return now - before


def _stood_by() -> float:
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


class StoodBy:
    """How long this process and those it started have stood ready to run since this was made, and were not let run."""

    def __init__(self) -> None:
        self._before = dict(_waits())

    def seconds(self) -> float:
        """Return how long they waited one after another: of each process the thread that waited longest."""
        longest: dict[int, float] = {}
        for (process, thread), seconds in _waits():
            more = seconds - self._before.get((process, thread), seconds)
            longest[process] = max(longest.get(process, 0.0), more)
        return sum(longest.values())


class Stopwatch:
    """Counts the time that this process and those it started had since this was made."""

    def __init__(self) -> None:
        self._stood_by, self._began = StoodBy(), time.monotonic()

    def seconds(self) -> float:
        """Return how much of it went by; on a quiet machine that is all."""
        return max(0.0, time.monotonic() - self._began - self._stood_by.seconds())


class Patience:
    """Runs out when nothing has been seen to move for some seconds that this process and those it started had."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stood_by, self._looked_at = StoodBy(), time.monotonic()
        self._seen: object = None
        self.spent = 0.0

    def is_left(self, seen: object = None) -> bool:
        """Look once; whatever differs from what was seen before begins the time anew."""
        now, stood_by = time.monotonic(), self._stood_by.seconds()
        if seen != self._seen:
            self._seen, self.spent = seen, 0.0
        else:
            elapsed = min(now - self._looked_at, LONGEST_LOOK_SECONDS)
            self.spent += max(0.0, elapsed - stood_by)
        self._stood_by, self._looked_at = StoodBy(), now
        return self.spent < self._seconds


def _waits() -> Iterator[tuple[Thread, float]]:
    for process in _family():
        for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                yield (process, int(task.parent.name)), int(task.read_text().split()[1]) / 1e9
            except OSError:
                continue  # the thread has ended


def _family() -> Iterator[int]:
    """Return this process and all that it started, and that these started."""
    left = [os.getpid()]
    while left:
        process = left.pop()
        yield process
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                left += map(int, children.read_text().split())
            except OSError:
                continue  # the thread has ended
