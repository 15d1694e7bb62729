import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from secrets import token_hex
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
# Figures of minutes are written so often: a write for each endpoint, whatever it counts. A piece at a time, so those of
# ten thousand endpoints add up meanwhile: a local store took more than ten seconds for them at once, and never in time.
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

    def append(self, entries: list[LogEntry], *, again: bool = False) -> None:
        """Add to the log; `again` where some of it may be there already. Raises StoreUnavailable."""

    def count(self, figures: Mapping[Minute, Figures], write: str) -> None:
        """Add to the figures of minutes, to each once however often a write of this name comes.

        Raises StoreUnavailable.
        """


class Pieces:
    """How much is asked of a store at once.

    What it could not take in its time is not asked of it again as a whole: it would never end.
    """

    def __init__(self) -> None:
        self.size = BATCH

    def refused(self, asked: int) -> None:
        """Ask for half next time."""
        self.size = max(LEAST_BATCH, asked // 2)

    def taken(self, seconds: float) -> None:
        """Ask for more next time where it was easy."""
        if seconds < EASY_SECONDS:
            self.size = min(BATCH, 2 * self.size)


class DeliveryLog:
    """Writes the log in batches beside the sending. It may lose entries, counted, rather than slow a delivery down.

    A store that refuses, or answers too late, may have written all the same: what is given to it again says so, or
    bears the name that it bore before, and is there once.
    """

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._entries: deque[LogEntry] = deque()
        self._unsure = 0
        self._entries_at_once = Pieces()
        self._figures: defaultdict[Minute, Figures] = defaultdict(Figures)
        self._writing: dict[Minute, Figures] = {}
        self._write_name = ""
        self._figures_at_once = Pieces()
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
        while (self._writing or self._figures) and self.count():
            pass

    def flush(self) -> bool:
        """Write the entries that wait now; False when the store does not take them."""
        pieces = self._entries_at_once
        # What comes meanwhile is left for the next time: under load there is always more, and figures wait behind it.
        waiting = len(self._entries)
        while waiting > 0 and self._entries:
            batch = [self._entries.popleft() for _ in range(min(pieces.size, len(self._entries)))]
            waiting -= len(batch)
            began = time.monotonic()
            try:
                self._store.append(batch, again=self._unsure > 0)
            except StoreUnavailable as error:
                _say_unwritable(error)
                self._entries.extendleft(reversed(batch))
                self._unsure = max(self._unsure, len(batch))
                pieces.refused(len(batch))
                return False
            self._unsure = max(0, self._unsure - len(batch))
            for entry in batch:
                self._count(entry)
            pieces.taken(time.monotonic() - began)
        return True

    def count(self) -> bool:
        """Write a piece of the figures of what was flushed, first what waits longest; False when it is not taken."""
        self._counted_at = time.monotonic()
        if not self._writing:
            waits_longest = list(islice(self._figures, self._figures_at_once.size))
            self._writing = {minute: self._figures.pop(minute) for minute in waits_longest}
            self._write_name = token_hex(6)
        asked = dict(islice(self._writing.items(), self._figures_at_once.size))
        if not asked:
            return True
        try:
            self._store.count(asked, self._write_name)
        except StoreUnavailable as error:
            _say_unwritable(error)
            self._figures_at_once.refused(len(asked))
            return False
        for minute in asked:
            del self._writing[minute]
        self._figures_at_once.taken(time.monotonic() - self._counted_at)
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
