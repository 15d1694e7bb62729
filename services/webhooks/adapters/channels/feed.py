import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import ReceiptPort, Sender
from services.shared.bus.topics import feed_topic
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import HTTP_OK, Attempt

ACKNOWLEDGE_SECONDS = 10.0
CONTENT_TYPES = {False: "application/json", True: "application/protobuf"}


@dataclass(slots=True)
class FeedTopics:
    """Writes into tenants' own topics, and makes a topic the first time that a process writes into it."""

    sender: Sender
    make: Callable[[str], None]
    _made: set[str] = field(default_factory=set)

    def send(
        self, tenant_id: str, key: str, value: bytes, timestamp_ms: int, headers: Mapping[str, str]
    ) -> ReceiptPort:
        """Send a record; it reaches nobody's topic but this tenant's. Raises BusUnavailable."""
        if tenant_id not in self._made:
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
        headers = {
            "ce_specversion": "1.0",
            "ce_id": _event_id(delivery, is_protobuf=endpoint.form.is_protobuf),
            "ce_type": delivery.event_type,
            "ce_source": "ringmaster/webhooks",
            "ce_tenant": delivery.tenant_id,
            "content-type": CONTENT_TYPES[endpoint.form.is_protobuf],
        }
        try:
            key = delivery.call_id or delivery.tenant_id
            receipt = self._topics.send(delivery.tenant_id, key, delivery.payload, delivery.created_ms, headers)
            receipt.wait(ACKNOWLEDGE_SECONDS)
        except (BusUnavailable, NotDelivered):
            error = "the broker does not take the feed's record"
        return Attempt(0 if error else HTTP_OK, int((time.monotonic() - began) * 1000), error)


def _event_id(delivery: Delivery, *, is_protobuf: bool) -> str:
    """Return the id of a delivery's event, the delivery's own where there is none."""
    try:
        if is_protobuf:
            return Event.FromString(delivery.payload).event_id or delivery.delivery_id
        return str(orjson.loads(delivery.payload)["data"]["event_id"])
    except (DecodeError, orjson.JSONDecodeError, KeyError, TypeError):
        return delivery.delivery_id
