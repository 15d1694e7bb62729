"""Looking for what is due leaves the document store time for what is settled."""

from typing import Any

import pytest
from gevent.event import Event as Flag

from services.webhooks import retries
from services.webhooks.retries import (
    LONGEST_REST_SECONDS,
    LOOK_REST,
    LOOK_SECONDS,
    PAUSE_SECONDS,
    RetryScheduler,
    Tenure,
)
from services.webhooks.settling import Settling
from services.webhooks.waiting import Due, MemoryWaitingRoom, StoreUnavailable


class Steps:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


class SlowRoom(MemoryWaitingRoom):
    """Each look takes the next of some times; a negative one finds the store away."""

    def __init__(self, steps: Steps, *seconds: float) -> None:
        super().__init__()
        self._steps, self._seconds = steps, list(seconds)

    def due(self, now_ms: int, limit: int, without: Any) -> list[Due]:
        seconds = self._seconds.pop(0)
        self._steps.at += abs(seconds)
        if seconds < 0:
            raise StoreUnavailable("away")
        return super().due(now_ms, limit, without)


class Stopping:
    """Notes how long is waited, and stops after so many waits."""

    def __init__(self, waits: int) -> None:
        self._left, self.waits = waits, list[float]()

    def is_set(self) -> bool:
        return len(self.waits) >= self._left

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.is_set()


class Nothing:
    """Stands where nothing is due: lanes, health and order are asked for nothing."""

    speed = 1.0

    def now_ms(self) -> int:
        return 1_790_000_000_000

    def resting(self) -> list[Any]:
        return []


def test_the_longer_a_look_takes_the_longer_the_store_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, nothing, stopping = Steps(), Nothing(), Stopping(4)
    monkeypatch.setattr(retries, "time", steps)
    scheduler = RetryScheduler(
        SlowRoom(steps, 0.001, 0.5, 3.0, -3.0),
        nothing,  # type: ignore[arg-type]
        nothing,  # type: ignore[arg-type]
        nothing,  # type: ignore[arg-type]
        Tenure("one"),
        order=nothing,  # type: ignore[arg-type]
        health=nothing,  # type: ignore[arg-type]
        settling=Settling(MemoryWaitingRoom(), Flag()),
    )
    scheduler.run(stopping)
    assert stopping.waits == pytest.approx([LOOK_SECONDS, 0.5 * LOOK_REST, LONGEST_REST_SECONDS, PAUSE_SECONDS])
