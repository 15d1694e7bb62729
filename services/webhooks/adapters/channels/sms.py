from dataclasses import dataclass

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.adapters.channels.carrier import read_message
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine
from services.webhooks.domain.connectors.call_facts import is_callable
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import HTTP_OK, Attempt


@dataclass(frozen=True, slots=True)
class Sms:
    """Sends short messages over a gateway that is described as data (services/webhooks/gateways)."""

    engine: Engine

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        """Send the delivery's text to each recipient once, the customer where the channel names nobody."""
        message = read_message(delivery)
        wish = endpoint.channel.sms if endpoint.channel else None
        recipients = list(wish.recipients) if wish else []
        customer = str(message["customer"])
        if not recipients and is_callable(customer):
            recipients = [customer]
        for recipient in recipients:
            one = {"id": delivery.delivery_id, "to": recipient, "text": str(message["text"])}
            one["sender"] = wish.sender if wish else ""
            failed = self.engine.send(wish.gateway if wish else "", endpoint, one, connection)
            if failed is not None:
                return failed
        return Attempt(HTTP_OK, 0)
