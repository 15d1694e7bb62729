import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

import structlog

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import BatchSender, ReceiptPort
from services.shared.bus.topics import DELIVERIES
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.adapters.channels.feed import CONTENT_TYPES, FeedTopics
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.hearing import Heard, Turn

ACKNOWLEDGE_SECONDS = 10.0
# A tenant whose topic was not to be written so often at a stretch takes the way of all deliveries for a while.
PATIENCE = 3
APART_SECONDS = 60.0
Copy: TypeAlias = tuple[Heard, Endpoint]

log = structlog.get_logger()


class Feeder:
    """Copies public events into their tenant's own topic, ringmaster.feed.<tenant_id> (SPEC 7.6).

    In the order of the log and from log to log: a reader of a feed misses nothing, and what is copied twice has the
    same ce_id. A topic that alone can't be written (its leader lost, its rights wrong) holds nobody else up: its
    tenant's events become deliveries then, with their tries and dead letters, and the order may suffer until it heals.
    """

    name = "feeds"

    def __init__(
        self,
        sender: BatchSender,
        directory: Directory,
        make_feed: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._topics = FeedTopics(sender, make_feed)
        self._directory = directory
        self._monotonic = monotonic
        self._failures = Counter[str]()
        self._apart_until: dict[str, float] = {}

    def take(self, turn: Turn) -> None:
        """Copy a turn's events; return when the broker has them."""
        copies = [(one, feed) for one in turn.heard for feed in self._feeds_of(one) if _can_be_written(one, feed)]
        apart = [copy for copy in copies if self._is_apart(copy[0].record.key)]
        together = [copy for copy in copies if not self._is_apart(copy[0].record.key)]
        self._copy(together)
        if apart:
            self._deliver(apart)

    def _feeds_of(self, heard: Heard) -> list[Endpoint]:
        if heard.event is None:
            return []
        feeds = [endpoint for endpoint in self._directory.endpoints(heard.record.key) if endpoint.kind == "feed"]
        return [feed for feed in feeds if feed.names(heard.kind)]

    def _copy(self, copies: Sequence[Copy]) -> None:
        receipts: list[tuple[str, ReceiptPort]] = []
        failed: dict[str, Exception] = {}
        for heard, feed in copies:
            tenant_id = heard.record.key
            try:
                receipts.append((tenant_id, self._send(heard, feed)))
            except BusUnavailable as error:
                failed[tenant_id] = error
        deadline = self._monotonic() + ACKNOWLEDGE_SECONDS
        for tenant_id, receipt in receipts:
            try:
                receipt.wait(max(0.0, deadline - self._monotonic()))
            except NotDelivered as error:
                failed[tenant_id] = error
        for tenant_id in {tenant_id for tenant_id, _ in receipts} - failed.keys():
            self._failures.pop(tenant_id, None)
        if failed:
            self._note(failed)

    def _note(self, failed: dict[str, Exception]) -> None:
        """Raise what happened; who has failed too often is set apart when the turn comes again."""
        for tenant_id, error in failed.items():
            self._failures[tenant_id] += 1
            if self._failures[tenant_id] >= PATIENCE:
                log.error("feed_set_apart", tenant_id=tenant_id, reason=str(error))
                self._apart_until[tenant_id] = self._monotonic() + APART_SECONDS
        raise next(iter(failed.values()))

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
