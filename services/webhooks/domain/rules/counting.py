"""What windows count. Each answer depends only on a bounded, recent part of the log, so it is the same after a kill."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

MOST_KEYS: Final = 100_000
"""Numbers that a window counts apart; with more, the one that came first is forgotten."""
MOST_ENTRIES: Final = 100
MOST_VISITS: Final = 1_000
Kept = TypeVar("Kept")


@dataclass(slots=True)
class Recent(Generic[Kept]):
    """The last entries of each key. Keys whose last entry is older than `keep_ms` go when there are many."""

    most: int
    keep_ms: int
    keys: dict[str, deque[Kept]] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)

    def of(self, key: str, at_ms: int) -> deque[Kept]:
        """Return the entries of a key, to look at and to add to."""
        found = self.keys.get(key)
        if found is None:
            self._make_room(at_ms)
            found = self.keys[key] = deque(maxlen=self.most)
        self.newest[key] = max(at_ms, self.newest.get(key, at_ms))
        return found

    def forget(self, key: str) -> None:
        """Drop a key with its entries."""
        self.keys.pop(key, None)
        self.newest.pop(key, None)

    def _make_room(self, at_ms: int) -> None:
        if len(self.keys) < MOST_KEYS:
            return
        old = [key for key, newest in self.newest.items() if newest <= at_ms - self.keep_ms]
        for key in old or [next(iter(self.keys))]:
            del self.keys[key], self.newest[key]


@dataclass(frozen=True, slots=True)
class Counted:
    """An event that a window counted."""

    event_id: str
    at_ms: int
    is_over: bool


@dataclass(slots=True)
class Counts:
    """The window of a rule: how often something has happened within a span, for each key.

    The count at an event is that of the last MOST_ENTRIES events of its key, itself among them, that are not older than
    the span. It fires when the count reaches the wanted one and the event before had not reached it, or lies behind
    the span: once for each flurry.
    """

    wanted: int
    span_ms: int
    repeats: bool
    recent: Recent[Counted]

    def add(self, key: str, event_id: str, at_ms: int) -> int | None:
        """Count an event; return the count when the rule fires. One that is told twice counts once."""
        entries = self.recent.of(key, at_ms)
        if any(entry.event_id == event_id for entry in entries):
            return None
        since_ms = at_ms - self.span_ms
        count = 1 + sum(since_ms < entry.at_ms <= at_ms for entry in entries)
        was_over = bool(entries) and entries[-1].is_over and entries[-1].at_ms > since_ms
        is_over = count >= self.wanted
        entries.append(Counted(event_id, at_ms, is_over))
        return count if is_over and (self.repeats or not was_over) else None


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody's time in a queue, and whether the norm was broken when it ended."""

    event_id: str
    at_ms: int
    is_answered: bool
    is_within: bool
    wait_ms: int
    is_over: bool = False
