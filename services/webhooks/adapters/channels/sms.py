from dataclasses import dataclass

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.phone_number import is_callable
from services.webhooks.adapters.channels.carrier import read_message
from services.webhooks.adapters.channels.smpp import Smpp
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import HTTP_OK, Attempt


@dataclass(frozen=True, slots=True)
class Sms:
    """Sends short messages over a gateway that is described as data (services/webhooks/gateways), or by SMPP."""

    engine: Engine
    smpp: Smpp

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        """Send the delivery's text to each recipient once, the customer where the channel names nobody."""
        message = read_message(delivery)
        wish = endpoint.channel.sms if endpoint.channel else None
        recipients = list(wish.recipients) if wish else []
        customer = str(message["customer"])
        if not recipients and is_callable(customer):
            recipients = ["+" * customer.startswith("+") + "".join(filter(str.isdigit, customer))]
        if not recipients:
            return Attempt(HTTP_OK, 0, "nobody was written to: the event has no number that takes messages")
        sender, text = wish.sender if wish else "", str(message["text"])
        messages = [{"id": delivery.delivery_id, "to": to, "text": text, "sender": sender} for to in recipients]
        if wish is not None and wish.HasField("smpp"):
            secret = self.engine.secrets.all_of(endpoint.tenant_id, endpoint.secret_ref)
            return self.smpp.send(endpoint, secret, messages) or Attempt(HTTP_OK, 0)
        for one in messages:
            failed = self.engine.send(wish.gateway if wish else "", endpoint, one, connection)
            if failed is not None:
                return failed
        return Attempt(HTTP_OK, 0)
