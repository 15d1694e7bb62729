import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import structlog
from gevent.event import Event as Flag

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.domain.batch import members_of
from services.webhooks.domain.journal import MINUTE_MS, Figures
from services.webhooks.domain.outcome import Attempt
from services.webhooks.waiting import StoreUnavailable

MAX_WAITING = 20_000
BATCH = 500
LEAST_BATCH = 25
# A piece that the store takes within this time may be larger the next time, seconds.
EASY_SECONDS = 1.0
FLUSH_SECONDS = 0.25
# After a flush the store is left alone for so many times what it took: those who send wait for the same store, and the
# log is written in fewer and larger pieces then. A local one took nine seconds for five hundred entries while it had
# other work, and answered nobody else meanwhile.
REST = 2.0
LONGEST_REST_SECONDS = 5.0
PAUSE_SECONDS = 1.0
# Figures of minutes are written so often: a write for each endpoint, whatever it counts.
COUNT_SECONDS = 1.0
Minute: TypeAlias = tuple[str, str, int]
"""Tenant, endpoint, and the minute's beginning in milliseconds of platform time."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One try, or the end, of a delivery. Holds no payload: a log must not keep what callers said."""

    tenant_id: str
    delivery_id: str
    endpoint_id: str
    event_type: str
    call_id: str
    state: str
    attempts: int
    at_ms: int
    attempt: Attempt | None
    error: str
    position: int = 0
    """Its offset in ringmaster.deliveries and one more: what was sent is read there again."""
    payload_bytes: int = 0
    message_id: str = ""
    """The webhook-id that it travelled under, where that is a message of several."""


class LogStore(Protocol):
    """Keeps the log."""

    def append(self, entries: list[LogEntry]) -> None:
        """Add to the log. Raises StoreUnavailable."""

    def count(self, figures: Mapping[Minute, Figures]) -> None:
        """Add to the figures of minutes. Raises StoreUnavailable."""


class DeliveryLog:
    """Writes the log in batches beside the sending. It may lose entries, counted, rather than slow a delivery down."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._entries: deque[LogEntry] = deque()
        self._batch = BATCH
        self._figures: defaultdict[Minute, Figures] = defaultdict(Figures)
        self._counted_at = 0.0

    def write(self, delivery: Delivery, attempt: Attempt | None, state: str, at_ms: int) -> None:
        """Note a try, of a message for each that it holds; returns at once."""
        for one in members_of(delivery):
            self._write(delivery, one, attempt, state, at_ms)

    def _write(self, sent: Delivery, delivery: Delivery, attempt: Attempt | None, state: str, at_ms: int) -> None:
        if len(self._entries) >= MAX_WAITING:
            self._entries.popleft()
            metrics.LOG_DROPPED.inc()
        self._entries.append(
            LogEntry(
                delivery.tenant_id,
                delivery.delivery_id,
                delivery.endpoint_id,
                delivery.event_type,
                delivery.call_id,
                state,
                sent.attempts,
                at_ms,
                attempt,
                sent.last_error,
                delivery.position,
                len(sent.payload),
                sent.delivery_id if sent is not delivery else "",
            )
        )

    def run(self, stopping: Flag) -> None:
        """Flush until stopped, and once after."""
        pause = FLUSH_SECONDS
        while not stopping.wait(pause):
            began = time.monotonic()
            is_written = self.flush() and (began - self._counted_at < COUNT_SECONDS or self.count())
            pause = self.rest_after(time.monotonic() - began) if is_written else PAUSE_SECONDS
        self.flush()
        self.count()

    def flush(self) -> bool:
        """Write all entries that wait; False when the store does not take them."""
        while self._entries:
            batch = [self._entries.popleft() for _ in range(min(self._batch, len(self._entries)))]
            began = time.monotonic()
            try:
                self._store.append(batch)
            except StoreUnavailable as error:
                _say_unwritable(error)
                self._entries.extendleft(reversed(batch))
                # What the store could not take in its time is not asked of it again as a whole: it would never end.
                self._batch = max(LEAST_BATCH, len(batch) // 2)
                return False
            for entry in batch:
                self._count(entry)
            if time.monotonic() - began < EASY_SECONDS:
                self._batch = min(BATCH, 2 * self._batch)
        return True

    def count(self) -> bool:
        """Write the figures of what was flushed; False when the store does not take them."""
        self._counted_at = time.monotonic()
        if not self._figures:
            return True
        figures, self._figures = self._figures, defaultdict(Figures)
        try:
            self._store.count(figures)
        except StoreUnavailable as error:
            _say_unwritable(error)
            for minute, counted in figures.items():
                self._figures[minute].merge(counted)
            return False
        return True

    def _count(self, entry: LogEntry) -> None:
        minute, tried = entry.at_ms - entry.at_ms % MINUTE_MS, entry.attempt
        counted = self._figures[entry.tenant_id, entry.endpoint_id, minute]
        counted.add(entry.state, tried.milliseconds if tried else None, tried.status if tried else 0)

    def rest_after(self, seconds: float) -> float:
        """Return how long the store is left alone after a flush that took so long: hardly where much waits."""
        if len(self._entries) >= BATCH:
            return FLUSH_SECONDS
        return min(max(FLUSH_SECONDS, REST * seconds), LONGEST_REST_SECONDS)


def _say_unwritable(error: StoreUnavailable) -> None:
    metrics.STORE_FAILURES.inc()
    log.warning("delivery_log_unwritable", reason=str(error))
