"""How long a test waits, counted in the time that the processes which it waits for had: not in that of a quiet machine.

Linux tells of each thread how long it stood ready to run and was not let run (proc(5), schedstat, second field). What
the sender, the broker, the store and the test itself waited in this way was not theirs, so it is no patience spent.
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


class Patience:
    """Runs out when nothing has been seen to move for some seconds that this process and its children had."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waited = dict(_waits())
        self._looked_at = time.monotonic()
        self._seen: object = None
        self.spent = 0.0

    def is_left(self, seen: object) -> bool:
        """Look once; whatever differs from what was seen before begins the time anew."""
        now, waits = time.monotonic(), dict(_waits())
        if seen != self._seen:
            self._seen, self.spent = seen, 0.0
        else:
            elapsed = min(now - self._looked_at, LONGEST_LOOK_SECONDS)
            self.spent += max(0.0, elapsed - self._stood_by(waits))
        self._looked_at, self._waited = now, waits
        return self.spent < self._seconds

    def _stood_by(self, waits: dict[Thread, float]) -> float:
        """Return how long they waited one after another: of each process the thread that waited longest."""
        longest: dict[int, float] = {}
        for (process, thread), seconds in waits.items():
            more = seconds - self._waited.get((process, thread), seconds)
            longest[process] = max(longest.get(process, 0.0), more)
        return sum(longest.values())


def _waits() -> Iterator[tuple[Thread, float]]:
    for process in _family():
        for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                yield (process, int(task.parent.name)), int(task.read_text().split()[1]) / 1e9
            except OSError:
                continue  # the thread has ended


def _family() -> Iterator[int]:
    """Return this process and its children."""
    own = os.getpid()
    yield own
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name may hold spaces and brackets; the parent is the second field behind it.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == own:
            yield int(stat.parent.name)
