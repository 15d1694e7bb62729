"""What has been read and not yet taken: a bounded queue between the reader and its one consumer."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from gevent.event import Event as Flag

from services.shared.esl.errors import Overloaded

T = TypeVar("T")

BATCH_ITEMS = 64
"""At most so many items a batch: at 45 µs an item a consumer keeps the hub for 3 ms."""


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    """Past any of these the connection is closed by us, long before FreeSWITCH's own queue can fill."""

    items: int = 50_000
    bytes: int = 128 * 1024 * 1024
    age_seconds: float = 30.0
    """How old the oldest item may be: a consumer that takes nothing is stuck, however little comes."""
    behind_bytes: int = 2 * 1024 * 1024
    """Over this the reader lets the consumer run after every read, so that a burst does not pile up in memory."""


class Backlog(Generic[T]):
    """First in, first out, in batches. `put` never blocks: a reader that waits would freeze the switch."""

    def __init__(self, limits: BacklogLimits, clock: Callable[[], float] = monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._batches: deque[tuple[float, int, list[T]]] = deque()
        self._has_items = Flag()
        self._closed = False
        self.items = 0
        self.bytes = 0

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest item; 0 when there is none."""
        return self._clock() - self._batches[0][0] if self._batches else 0.0

    @property
    def is_behind(self) -> bool:
        """Whether the consumer should run before more is read."""
        return self.bytes > self._limits.behind_bytes

    @property
    def has_recovered(self) -> bool:
        """Whether half of every limit is free again: the time to connect anew."""
        limits = self._limits
        return (
            self.items * 2 <= limits.items
            and self.bytes * 2 <= limits.bytes
            and self.oldest_seconds * 2 <= limits.age_seconds
        )

    def put(self, items: Sequence[T], size: int) -> None:
        """Add items of `size` bytes together."""
        now = self._clock()
        for start in range(0, len(items), BATCH_ITEMS):
            batch = list(items[start : start + BATCH_ITEMS])
            self._batches.append((now, size * len(batch) // len(items), batch))
            self.bytes += self._batches[-1][1]
        self.items += len(items)
        if not self._has_items.is_set():
            self._has_items.set()

    def take(self) -> list[T]:
        """Return the oldest batch, waiting for one; empty only once the backlog is closed and drained."""
        while not self._batches:
            if self._closed:
                return []
            self._has_items.clear()
            self._has_items.wait()  # without a deadline: it ends with the next item or with close()
        _, size, batch = self._batches.popleft()
        self.items -= len(batch)
        self.bytes -= size
        return batch

    def close(self) -> None:
        """Let `take` end when everything has been taken."""
        self._closed = True
        self._has_items.set()

    def check(self) -> None:
        """Raise Overloaded when a limit is passed."""
        limits, oldest = self._limits, self.oldest_seconds
        if self.items > limits.items:
            raise Overloaded(f"{self.items} events unread, the limit is {limits.items}")
        if self.bytes > limits.bytes:
            raise Overloaded(f"{self.bytes} bytes of events unread, the limit is {limits.bytes}")
        if oldest > limits.age_seconds:
            raise Overloaded(f"the oldest event is unread for {oldest:.1f} s, the limit is {limits.age_seconds:g} s")
