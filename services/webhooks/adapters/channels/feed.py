import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
from gevent.lock import BoundedSemaphore
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.events import attributes_of, headers_for
from services.shared.bus.ports import ReceiptPort, Sender
from services.shared.bus.topics import feed_topic
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import HTTP_OK, Attempt

SOURCE = "webhooks"
ACKNOWLEDGE_SECONDS = 10.0
# A process that begins meets all tenants' topics for the first time, and each that it makes is a connection of its own.
MOST_MADE_AT_ONCE = 8
CONTENT_TYPES = {False: "application/json", True: "application/protobuf"}


@dataclass(slots=True)
class FeedTopics:
    """Writes into tenants' own topics, and makes a topic the first time that a process writes into it."""

    sender: Sender
    make: Callable[[str], None]
    _made: set[str] = field(default_factory=set)
    _slots: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MOST_MADE_AT_ONCE))

    def send(
        self, tenant_id: str, key: str, value: bytes, timestamp_ms: int, headers: Mapping[str, str]
    ) -> ReceiptPort:
        """Send a record; it reaches nobody's topic but this tenant's. Raises BusUnavailable."""
        if tenant_id not in self._made:
            with self._slots:
                self.make(tenant_id)
            self._made.add(tenant_id)
        try:
            return self.sender.send(feed_topic(tenant_id), key, value, timestamp_ms=timestamp_ms, headers=headers)
        except BusUnavailable:
            self._made.discard(tenant_id)  # somebody may have deleted it
            raise


class Feed:
    """Brings what a rule sends into the tenant's own topic. A record that comes twice has the same ce_id."""

    def __init__(self, sender: Sender, make: Callable[[str], None]) -> None:
        self._topics = FeedTopics(sender, make)

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:  # noqa: ARG002 - HTTP's
        """Send the delivery's event and wait for the broker's word."""
        began = time.monotonic()
        error = ""
        headers = _headers_of(delivery, is_protobuf=endpoint.form.is_protobuf)
        try:
            key = headers.get("ce_subject") or delivery.tenant_id
            receipt = self._topics.send(delivery.tenant_id, key, delivery.payload, delivery.created_ms, headers)
            receipt.wait(ACKNOWLEDGE_SECONDS)
        except (BusUnavailable, NotDelivered):
            error = "the broker does not take the feed's record"
        return Attempt(0 if error else HTTP_OK, int((time.monotonic() - began) * 1000), error)


def _headers_of(delivery: Delivery, *, is_protobuf: bool) -> dict[str, str]:
    """Return an event's attributes as the log has them; of JSON as far as it says them, else the delivery's."""
    try:
        if is_protobuf:
            return headers_for(Event.FromString(delivery.payload), SOURCE)
        told = orjson.loads(delivery.payload)
        event = Event(event_id=told["data"]["event_id"], tenant_id=delivery.tenant_id, call_id=delivery.call_id)
        event.sequence = int(told["data"]["sequence"])
        event.time.FromJsonString(told["timestamp"])
    except (DecodeError, ValueError, KeyError, TypeError):
        event = Event(event_id=delivery.delivery_id, tenant_id=delivery.tenant_id, call_id=delivery.call_id)
        event.time.FromMilliseconds(delivery.created_ms)
    return attributes_of(event, delivery.event_type, SOURCE) | {"content-type": CONTENT_TYPES[is_protobuf]}
