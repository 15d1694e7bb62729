"""Simulated time: `now = epoch + (wall - wall0) x speed`, in microseconds, as the switch's events carry it."""

import time
from collections.abc import Callable
from typing import Protocol

MICROSECONDS = 1_000_000
# The switch's core clock and its media both step every 20 ms (wire truth 5).
TICK_US = 20_000


class Clock(Protocol):
    """What the scheduler needs to know of time."""

    def now_us(self) -> int:
        """Return simulated microseconds since the Unix epoch."""
        ...

    def wall_seconds_until(self, when_us: int) -> float:
        """Return how long a real wait for the simulated instant takes; never negative."""
        ...


class SimulatedClock:
    """Real time, shifted to an epoch and stretched by a speed."""

    def __init__(
        self,
        epoch: float | None = None,
        speed: float = 1.0,
        wall0: float | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if speed <= 0:
            raise ValueError("the speed of the simulated clock must be above zero")
        self._wall = wall
        self._wall0 = wall() if wall0 is None else wall0
        self._epoch = self._wall0 if epoch is None else epoch
        self.speed = speed

    def now_us(self) -> int:
        """Return simulated microseconds since the Unix epoch."""
        return int((self._epoch + (self._wall() - self._wall0) * self.speed) * MICROSECONDS)

    def wall_seconds_until(self, when_us: int) -> float:
        """Return how long a real wait for the simulated instant takes; never negative."""
        return max(0.0, (when_us - self.now_us()) / MICROSECONDS / self.speed)


class ManualClock:
    """Time that moves only when it is told to; what the tests use."""

    def __init__(self, start_us: int = 1_795_399_021_703_741) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """Return simulated microseconds since the Unix epoch."""
        return self._now_us

    def move_to(self, when_us: int) -> None:
        """Move forward; a manual clock never runs backwards."""
        self._now_us = max(self._now_us, when_us)

    def wall_seconds_until(self, when_us: int) -> float:
        """Return the simulated distance: there is no real time behind this clock."""
        return max(0.0, (when_us - self._now_us) / MICROSECONDS)


def next_tick(now_us: int) -> int:
    """Return the first 20 ms step strictly after the instant: when a media thread next looks around."""
    return now_us - now_us % TICK_US + TICK_US


def floor_tick(now_us: int) -> int:
    """Return the 20 ms step that the instant lies in: what an event's time stamp shows."""
    return now_us - now_us % TICK_US
