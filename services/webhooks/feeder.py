import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import gevent
import structlog
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import BatchSender, ReceiptPort
from services.shared.bus.topics import DELIVERIES
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.adapters.channels.feed import CONTENT_TYPES, FeedTopics
from services.webhooks.by_company import Backlog, Company
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.hearing import Heard
from services.webhooks.lanes import Spawn

ACKNOWLEDGE_SECONDS = 10.0
PAUSE_SECONDS = 1.0
FINISH_SECONDS = 5.0
# So many events of one tenant are on their way at once: a feed that can't be written has no more of the room that the
# broker's client has for all.
MOST_AT_ONCE = 500
# A tenant whose topic was not to be written so often at a stretch takes the way of all deliveries for a while.
PATIENCE = 3
APART_SECONDS = 60.0
Copy: TypeAlias = tuple[Heard, Endpoint]

log = structlog.get_logger()


class Feeder:
    """Copies public events into their tenant's own topic, ringmaster.feed.<tenant_id> (SPEC 7.6).

    In the order of the log and from log to log: a reader of a feed misses nothing, and what is copied twice has the
    same ce_id. Each tenant's feed is written by a greenlet of its own while it has something: for one that can't be
    written (its leader lost, its rights wrong) nobody else waits. When that lasts, its events become deliveries, with
    their tries and dead letters, and their order may suffer until it heals.

    `spawn` tells of a greenlet that fails, as Supervisor.spawn_task does: a fault of ours ends the process.
    """

    name = "feeds"

    def __init__(
        self,
        sender: BatchSender,
        directory: Directory,
        make_feed: Callable[[str], None],
        spawn: Spawn,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._topics = FeedTopics(sender, make_feed)
        self._directory = directory
        self._spawn = spawn
        self._monotonic = monotonic
        self._failures = Counter[str]()
        self._apart_until: dict[str, float] = {}
        self._writing: dict[Company, Any] = {}

    def take(self, backlog: Backlog, stopping: Flag) -> None:
        """Have each tenant's feed written to which something came."""
        for company in backlog.take_news():
            if company not in self._writing and self._has_some(company, backlog):
                write = partial(self._write, company, backlog, stopping)
                self._writing[company] = self._spawn(f"feed of {company.tenant_id}", write)

    def finish(self) -> None:
        """Return when nothing is written any more; what is not acknowledged in time the next process writes again."""
        gevent.joinall(list(self._writing.values()), timeout=FINISH_SECONDS)

    def _has_some(self, company: Company, backlog: Backlog) -> bool:
        """Whether something is for a feed; what comes before that, and is for none, has had its effect."""
        count = 0
        while company.waiting and not self._feeds_of(company.waiting[0][0]):
            company.begin()
            count += 1
        backlog.finish(company, count)
        return bool(company.waiting)

    def _write(self, company: Company, backlog: Backlog, stopping: Flag) -> None:
        """Write one tenant's feed until it has all that waits, or a fault of ours ends it: that is for its spawner."""
        try:
            while company.waiting and backlog.has(company) and not stopping.is_set():
                try:
                    count = self._write_some(company)
                except (BusUnavailable, NotDelivered) as error:
                    company.put_back()
                    self._note(company.tenant_id, error)
                    stopping.wait(PAUSE_SECONDS)
                else:
                    backlog.finish(company, count)
        finally:
            # Who is taken for writing is not begun again: the feed would be silent for good.
            del self._writing[company]
            backlog.put_back(company)

    def _write_some(self, company: Company) -> int:
        """Copy what comes next and return how many events that were, once the broker has them.

        One alone where the topic could not be written the last time. Raises BusUnavailable, NotDelivered.
        """
        tenant_id, copies = company.tenant_id, list[Copy]()
        is_apart = self._is_apart(tenant_id)
        most = 1 if self._failures[tenant_id] and not is_apart else MOST_AT_ONCE
        count = min(most, len(company.waiting))
        for _ in range(count):
            heard, _ticket = company.begin()
            copies += [(heard, feed) for feed in self._feeds_of(heard) if _can_be_written(heard, feed)]
        if copies and is_apart:
            self._deliver(copies)
        elif copies:
            self._copy(copies)
            self._failures.pop(tenant_id, None)
        return count

    def _feeds_of(self, heard: Heard) -> list[Endpoint]:
        if heard.event is None:
            return []
        feeds = [endpoint for endpoint in self._directory.endpoints(heard.record.key) if endpoint.kind == "feed"]
        return [feed for feed in feeds if feed.names(heard.kind)]

    def _copy(self, copies: Sequence[Copy]) -> None:
        receipts = [self._send(heard, feed) for heard, feed in copies]
        deadline = self._monotonic() + ACKNOWLEDGE_SECONDS
        for receipt in receipts:
            receipt.wait(max(0.0, deadline - self._monotonic()))

    def _note(self, tenant_id: str, error: Exception) -> None:
        """Tell what happened; who has failed too often is set apart for a while."""
        metrics.HELD_UP.labels(self.name).inc()
        log.warning("feed_held_up", tenant_id=tenant_id, reason=str(error))
        self._failures[tenant_id] += 1
        if self._failures[tenant_id] == PATIENCE:
            log.error("feed_set_apart", tenant_id=tenant_id, reason=str(error))
            self._apart_until[tenant_id] = self._monotonic() + APART_SECONDS

    def _is_apart(self, tenant_id: str) -> bool:
        until = self._apart_until.get(tenant_id)
        if until is not None and self._monotonic() >= until:
            del self._apart_until[tenant_id]
            self._failures[tenant_id] = PATIENCE - 1
            return False
        return until is not None

    def _send(self, heard: Heard, feed: Endpoint) -> ReceiptPort:
        record, event = heard.record, heard.event
        assert event is not None  # noqa: S101 - there is no feed of nothing
        headers = record.headers | {"content-type": CONTENT_TYPES[feed.form.is_protobuf]}
        key = event.subject or event.call_id or record.key
        receipt = self._topics.send(record.key, key, heard.payload(feed.form), record.timestamp_ms, headers)
        metrics.FEED_RECORDS.labels(record.key).inc()
        return receipt

    def _deliver(self, copies: Sequence[Copy]) -> None:
        """Let the feed's channel bring them when it can. Raises BusUnavailable, NotDelivered: then all is away."""
        made = [(feed.key, _delivery(heard, feed), heard.record.timestamp_ms, None) for heard, feed in copies]
        self._sender.send_many(DELIVERIES, made).wait(ACKNOWLEDGE_SECONDS)


def _can_be_written(heard: Heard, feed: Endpoint) -> bool:
    try:
        heard.payload(feed.form)
    except ValueError as error:
        metrics.INVALID.labels(heard.record.topic).inc()
        log.warning("event_not_fed", partition=heard.record.partition, offset=heard.record.offset, reason=str(error))
        return False
    return True


def _delivery(heard: Heard, feed: Endpoint) -> bytes:
    event = heard.event
    assert event is not None  # noqa: S101 - there is no feed of nothing
    delivery = Delivery(
        delivery_id=delivery_id_of(event.event_id, feed.endpoint_id),
        tenant_id=event.tenant_id,
        endpoint_id=feed.endpoint_id,
        event_type=heard.kind,
        call_id=event.call_id,
        payload=heard.payload(feed.form),
        created_ms=heard.record.timestamp_ms,
    )
    return delivery.SerializeToString()
