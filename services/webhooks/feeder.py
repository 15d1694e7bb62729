import time
from collections.abc import Callable

import structlog
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.events import event_type
from services.shared.bus.ports import Reader, ReceiptPort, Sender
from services.shared.bus.record import Record
from services.webhooks import metrics
from services.webhooks.adapters.channels.feed import CONTENT_TYPES, FeedTopics
from services.webhooks.directory import Directory
from services.webhooks.domain.payload import payload_of
from services.webhooks.rule_runner import read_event

POLL_SECONDS = 0.5
PAUSE_SECONDS = 1.0
COMMIT_SECONDS = 0.5
ACKNOWLEDGE_SECONDS = 30.0
CATCH_UP_SECONDS = 20.0

log = structlog.get_logger()


class DirectoryStale(Exception):
    """The tenants' documents could not be read in time: the process starts again."""


class Feeder:
    """Copies public events into their tenant's own topic, ringmaster.feed.<tenant_id> (SPEC 7.6).

    In the order of the log and from log to log: there is nothing to try again later, and a reader of a feed misses
    nothing. The offset is committed after the broker has the copies; what is copied twice has the same ce_id.
    """

    def __init__(self, reader: Reader, sender: Sender, directory: Directory, make_feed: Callable[[str], None]) -> None:
        self._reader = reader
        self._topics = FeedTopics(sender, make_feed)
        self._directory = directory
        self._ready: dict[tuple[str, int], int] = {}
        self._committed_at = 0.0

    def run(self, stopping: Flag) -> None:
        """Copy until stopped."""
        self._require_current_directory()
        while not stopping.is_set():
            try:
                self._copy(self._reader.poll(POLL_SECONDS), stopping)
                if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
                    self.commit()
            except BusUnavailable as error:
                log.warning("feeds_wait_for_the_broker", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
        self.commit()

    def commit(self) -> None:
        """Commit what has had its effect."""
        self._committed_at = time.monotonic()
        if self._ready:
            ready, self._ready = self._ready, {}
            self._reader.commit(ready)

    def _copy(self, records: list[Record], stopping: Flag) -> None:
        if any(not self._directory.knows(record.key) for record in records):
            self._require_current_directory()
        while records and not stopping.is_set():
            try:
                for receipt in [receipt for record in records for receipt in self._send(record)]:
                    receipt.wait(ACKNOWLEDGE_SECONDS)
            except (BusUnavailable, NotDelivered) as error:
                log.warning("feeds_not_acknowledged", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
            else:
                self._ready |= {(record.topic, record.partition): record.offset + 1 for record in records}
                return

    def _send(self, record: Record) -> list[ReceiptPort]:
        feeds = [endpoint for endpoint in self._directory.endpoints(record.key) if endpoint.kind == "feed"]
        event = read_event(record) if feeds else None
        if event is None:
            return []
        kind = event_type(event)
        receipts = []
        for feed in [feed for feed in feeds if feed.names(kind)]:
            metrics.FEED_RECORDS.labels(record.key).inc()
            value = payload_of(event, kind, feed.form)
            headers = record.headers | {"content-type": CONTENT_TYPES[feed.form.is_protobuf]}
            key = event.subject or event.call_id or record.key
            receipts.append(self._topics.send(record.key, key, value, record.timestamp_ms, headers))
        return receipts

    def _require_current_directory(self) -> None:
        if not self._directory.catch_up(CATCH_UP_SECONDS):
            raise DirectoryStale("the tenants' documents can't be read")
