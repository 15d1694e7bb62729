from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from services.shared.bus.ports import Reader
from services.shared.bus.topics import DELIVERIES, partition_of
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of, key_of
from services.webhooks.domain.erased import ErasedPersons
from services.webhooks.domain.examples import example_of, example_payload
from services.webhooks.domain.moments import moment_of
from services.webhooks.handing_over import HandOver

POLL_SECONDS = 0.5
# So many polls may bring nothing before a record that must be there counts as not there.
EMPTY_POLLS = 10
PING = "endpoint.ping"


class NotKept(Exception):
    """What was sent is not in the log any more. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Sends again what was sent before, and a ping: by the same way as every event, so that the log shows both."""

    open_reader: Callable[[], Reader]
    """Opens a reader of all partitions of ringmaster.deliveries, without a group."""
    hand_over: HandOver
    clock: Clock
    persons: ErasedPersons = field(default_factory=ErasedPersons)

    def sent(self, tenant_id: str, endpoint_id: str, delivery_id: str, position: int) -> Delivery:
        """Read a delivery back from where the log of deliveries has it. Raises NotKept, BusUnavailable."""
        reader = self.open_reader()
        try:
            places = reader.assignment()
            place = (DELIVERIES, partition_of(key_of(tenant_id, endpoint_id), len(places)))
            for other in places:
                if other != place:
                    reader.pause(*other)
            reader.seek(*place, max(0, position - 1))
            delivery = _found(reader, tenant_id, delivery_id, position)
        finally:
            reader.close()
        if self.persons.names(tenant_id, delivery.payload, delivery.created_ms):
            raise NotKept("The person whom it names was erased.")
        if not delivery.payload and delivery.last_error:
            raise NotKept(f"It could not be written: {delivery.last_error}. Put that right, then replay the event.")
        return delivery

    def again(self, delivery: Delivery) -> bool:
        """Send a delivery once more, from the ladder's first rung; False when the service stops first."""
        again = Delivery()
        again.CopyFrom(delivery)
        again.attempts, again.due_ms, again.position, again.last_error = 0, 0, 0, ""
        again.created_ms = self.clock.now_ms()
        return self.hand_over.to(DELIVERIES, again)

    def ping(self, endpoint: Endpoint) -> str:
        """Send an endpoint a ping; return its delivery's id."""
        event_id, now_ms = f"ping-{uuid4().hex}", self.clock.now_ms()
        data = {"event_id": event_id, "tenant_id": endpoint.tenant_id, "endpoint_id": endpoint.endpoint_id}
        delivery = Delivery(
            delivery_id=delivery_id_of(event_id, endpoint.endpoint_id),
            tenant_id=endpoint.tenant_id,
            endpoint_id=endpoint.endpoint_id,
            event_type=PING,
            payload=orjson.dumps({"type": PING, "timestamp": moment_of(now_ms), "data": data}),
            created_ms=now_ms,
        )
        self.hand_over.to(DELIVERIES, delivery)
        return delivery.delivery_id

    def example(self, endpoint: Endpoint, event_type: str, values: Mapping[str, Any]) -> str:
        """Send an endpoint an example of an event, in the form that it gets events in; return its delivery's id."""
        event = example_of(event_type, endpoint.tenant_id, uuid4().hex[:16], self.clock.now_ms(), values)
        delivery = Delivery(
            delivery_id=delivery_id_of(event.event_id, endpoint.endpoint_id),
            tenant_id=endpoint.tenant_id,
            endpoint_id=endpoint.endpoint_id,
            event_type=event_type,
            call_id=event.call_id,
            payload=example_payload(event, event_type, endpoint.form),
            created_ms=self.clock.now_ms(),
        )
        self.hand_over.to(DELIVERIES, delivery)
        return delivery.delivery_id


def _found(reader: Reader, tenant_id: str, delivery_id: str, position: int) -> Delivery:
    for _ in range(EMPTY_POLLS if position > 0 else 0):
        for record in reader.poll(POLL_SECONDS):
            if record.offset >= position:
                raise NotKept("What was sent is older than what is kept; replay the event instead.")
            if record.offset == position - 1:
                delivery = Delivery.FromString(record.value)
                if (delivery.tenant_id, delivery.delivery_id) == (tenant_id, delivery_id):
                    return delivery
    raise NotKept("What was sent is not kept any more; replay the event instead.")
