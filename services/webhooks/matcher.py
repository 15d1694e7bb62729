from collections import Counter
from collections.abc import Sequence

import structlog

from services.shared.bus.ports import BatchSender, Outgoing, ReceiptPort
from services.shared.bus.record import Record
from services.shared.bus.topics import DEAD_LETTERS, DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks import metrics
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.hearing import Heard, Turn

ACKNOWLEDGE_SECONDS = 30.0
# Of a batch of events so many deliveries are sent before the next: what is in flight stays bounded.
MOST_TOGETHER = 2_000

log = structlog.get_logger()


class Matcher:
    """Turns each public event into one delivery for each endpoint that wants it.

    The same events make the same deliveries with the same ids, however often they are heard.
    """

    name = "matcher"

    def __init__(self, sender: BatchSender, directory: Directory, clock: Clock) -> None:
        self._sender = sender
        self._directory = directory
        self._clock = clock

    def take(self, turn: Turn) -> None:
        """Send the deliveries of a turn together; return when the broker has them."""
        if turn.heard:
            self._publish(turn.heard)

    def _publish(self, heard: Sequence[Heard]) -> None:
        buried: list[ReceiptPort] = []
        made: list[Outgoing] = []
        events, created = Counter[str](), Counter[str]()
        for one in heard:
            if one.event is None:
                buried.append(self._bury(one.record, one.fault))
                continue
            try:
                deliveries = self._deliveries(one, one.event)
            except ValueError as error:
                buried.append(self._bury(one.record, f"an event that can't be written as JSON: {error}"))
                continue
            events[one.event.tenant_id] += 1
            created[one.event.tenant_id] += len(deliveries)
            made += deliveries
        for first in range(0, len(made), MOST_TOGETHER):
            self._sender.send_many(DELIVERIES, made[first : first + MOST_TOGETHER]).wait(ACKNOWLEDGE_SECONDS)
        for receipt in buried:
            receipt.wait(ACKNOWLEDGE_SECONDS)
        for counter, counts in ((metrics.EVENTS, events), (metrics.CREATED, created)):
            for tenant_id, count in counts.items():
                counter.labels(tenant_id).inc(count)

    def _deliveries(self, heard: Heard, event: Event) -> list[Outgoing]:
        kind = heard.kind
        wanting = [endpoint for endpoint in self._directory.endpoints(event.tenant_id) if endpoint.wants(kind)]
        return [_delivery(event, kind, heard.payload(endpoint.form), endpoint) for endpoint in wanting]

    def _bury(self, record: Record, reason: str) -> ReceiptPort:
        metrics.INVALID.labels(record.topic).inc()
        log.error("event_unreadable", partition=record.partition, offset=record.offset, reason=reason)
        headers = {"reason": reason, "topic": record.topic, "place": f"{record.partition}:{record.offset}"}
        now_ms = self._clock.now_ms()
        return self._sender.send(DEAD_LETTERS, record.key, record.value, timestamp_ms=now_ms, headers=headers)


def _delivery(event: Event, kind: str, payload: bytes, endpoint: Endpoint) -> Outgoing:
    time_ms = event.time.ToMilliseconds()
    delivery = Delivery(
        delivery_id=delivery_id_of(event.event_id, endpoint.endpoint_id),
        tenant_id=event.tenant_id,
        endpoint_id=endpoint.endpoint_id,
        event_type=kind,
        call_id=event.call_id,
        payload=payload,
        created_ms=time_ms,
    )
    # The record's moment is the event's, so that the lag of the first try is seen from its beginning.
    return (endpoint.key, delivery.SerializeToString(), time_ms, None)
