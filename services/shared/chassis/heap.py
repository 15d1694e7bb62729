"""Keeps Python's garbage collections short in a process that holds much for long.

A full collection looks at every object: 100-150 ms in a router with 2,000 agents and 1,000 callers, twice a minute,
and everybody who becomes free meanwhile waits for it (p99 at 50 calls/s: 153 ms). What has lived for some seconds is
therefore taken out of collections (`gc.freeze`), so that they look at the young only. Nothing is lost by it but rings
of frozen objects that nobody holds any more; they are looked for when the process has nothing to do.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from gevent.event import Event

LOOK_SECONDS = 5.0
IDLE_SHARE = 0.05
"""Of one core: who uses less is idle, and a pause disturbs nobody."""
FULL_AT_IDLE_SECONDS = 600.0
FULL_AT_LAST_SECONDS = 6 * 3_600.0
"""Idle or not: a pause of a tenth of a second in six hours, against rings that would fill the memory."""


@dataclass(slots=True)
class Heap:
    """Decides at each look what is done. `now` and `used` give seconds: of the clock, and of this process's cores."""

    now: Callable[[], float] = time.monotonic
    used: Callable[[], float] = time.process_time
    _looked_at: float = 0.0
    _used: float = 0.0
    _full_at: float = 0.0

    def run(self, stopping: Event) -> None:
        """Look again and again until stopped."""
        self.begin()
        while not stopping.wait(LOOK_SECONDS):
            self.look()

    def begin(self) -> None:
        """Take what the start made, modules and message descriptors most of all, out of collections."""
        gc.collect()
        gc.freeze()
        self._looked_at, self._used = self.now(), self.used()
        self._full_at = self._looked_at

    def look(self) -> None:
        """Freeze what has come to stay; after a long time, and rather when idle, look for garbage in all of it."""
        now, used = self.now(), self.used()
        share = (used - self._used) / max(now - self._looked_at, 1e-9)
        since_full = now - self._full_at
        if since_full >= (FULL_AT_IDLE_SECONDS if share < IDLE_SHARE else FULL_AT_LAST_SECONDS):
            gc.unfreeze()
            gc.collect()
            self._full_at = now
        else:
            gc.collect(1)  # the young that are garbage already are not kept
        gc.freeze()
        self._looked_at, self._used = now, used
