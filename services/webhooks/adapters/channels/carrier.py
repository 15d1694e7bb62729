from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import HTTP_OK, Attempt


class Carrier(Protocol):
    """Brings deliveries to channels of one kind."""

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        """Try once. Never raises for what the far side does; `connection` is this channel's own for HTTP."""


@dataclass(frozen=True, slots=True)
class Carriers:
    """The carriers by kind of channel."""

    by_kind: Mapping[str, Carrier] = field(default_factory=dict)

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        """Try once over the carrier of this channel."""
        carrier = self.by_kind.get(endpoint.kind)
        if carrier is None:
            return Attempt(0, 0, f"nothing here can send to a channel of the kind {endpoint.kind or 'unknown'}")
        if endpoint.is_spoken and not _says_something(delivery):
            # No service takes an empty message: it would be tried for days.
            return Attempt(HTTP_OK, 0, "nothing was sent: the event leaves the text empty")
        return carrier.carry(delivery, endpoint, connection)


def _says_something(delivery: Delivery) -> bool:
    message = read_message(delivery)
    return bool(f"{message['text']}{message['subject']}".strip())


def read_message(delivery: Delivery) -> dict[str, Any]:
    """Return the message for people that a delivery holds; its texts are empty where it holds none."""
    try:
        message = orjson.loads(delivery.payload)
    except orjson.JSONDecodeError:
        message = None
    nothing = {"subject": "", "text": "", "customer": "", "customer_email": ""}
    return nothing | (message if isinstance(message, dict) else {})
