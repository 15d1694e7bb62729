import time
from collections import Counter

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.events import event_type
from services.shared.bus.ports import BatchSender, Outgoing, Reader, ReceiptPort
from services.shared.bus.record import Record
from services.shared.bus.topics import DEAD_LETTERS, DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks import metrics
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.domain.payload import payload_of

POLL_SECONDS = 0.5
# What was matched since the last commit is matched, and sent, once more after a crash.
COMMIT_SECONDS = 0.5
ACKNOWLEDGE_SECONDS = 30.0
PAUSE_SECONDS = 1.0
CATCH_UP_SECONDS = 20.0
# Of a batch of events so many deliveries are sent before the next: what is in flight stays bounded.
MOST_TOGETHER = 2_000

log = structlog.get_logger()


class DirectoryStale(Exception):
    """The tenants' documents could not be read in time. Matching would lose deliveries: the process starts again."""


class Matcher:
    """Turns each public event into one delivery for each endpoint that wants it.

    The offset of an event is committed after the broker has acknowledged all its deliveries; after a crash the same
    events make the same deliveries with the same ids.
    """

    def __init__(self, reader: Reader, sender: BatchSender, directory: Directory, clock: Clock) -> None:
        self._reader = reader
        self._sender = sender
        self._directory = directory
        self._clock = clock
        self._ready: dict[tuple[str, int], int] = {}
        self._committed_at = 0.0

    def run(self, stopping: Flag) -> None:
        """Match until stopped."""
        self._require_current_directory()
        while not stopping.is_set():
            try:
                self._match(self._reader.poll(POLL_SECONDS), stopping)
                if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
                    self.commit()
            except BusUnavailable as error:
                log.warning("events_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
        self.commit()

    def commit(self) -> None:
        """Commit what has had its effect."""
        self._committed_at = time.monotonic()
        if self._ready:
            ready, self._ready = self._ready, {}
            self._reader.commit(ready)

    def _match(self, records: list[Record], stopping: Flag) -> None:
        if any(not self._directory.knows(record.key) for record in records):
            self._require_current_directory()
        while records and not stopping.is_set():
            try:
                self._publish(records)
            except (BusUnavailable, NotDelivered) as error:
                log.warning("deliveries_not_acknowledged", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
            else:
                self._ready |= {(record.topic, record.partition): record.offset + 1 for record in records}
                return

    def _publish(self, records: list[Record]) -> None:
        """Send the deliveries of a batch together and wait until the broker has them."""
        buried: list[ReceiptPort] = []
        made: list[Outgoing] = []
        events, created = Counter[str](), Counter[str]()
        for record in records:
            event, fault = _event_of(record)
            if event is None:
                buried.append(self._bury(record, fault))
                continue
            try:
                deliveries = self._deliveries(event)
            except ValueError as error:
                buried.append(self._bury(record, f"an event that can't be written as JSON: {error}"))
                continue
            events[event.tenant_id] += 1
            created[event.tenant_id] += len(deliveries)
            made += deliveries
        for first in range(0, len(made), MOST_TOGETHER):
            self._sender.send_many(DELIVERIES, made[first : first + MOST_TOGETHER]).wait(ACKNOWLEDGE_SECONDS)
        for receipt in buried:
            receipt.wait(ACKNOWLEDGE_SECONDS)
        for counter, counts in ((metrics.EVENTS, events), (metrics.CREATED, created)):
            for tenant_id, count in counts.items():
                counter.labels(tenant_id).inc(count)

    def _deliveries(self, event: Event) -> list[Outgoing]:
        kind = event_type(event)
        wanting = [endpoint for endpoint in self._directory.endpoints(event.tenant_id) if endpoint.wants(kind)]
        payloads = {form: payload_of(event, kind, form) for form in {endpoint.form for endpoint in wanting}}
        return [self._delivery(event, kind, payloads[endpoint.form], endpoint) for endpoint in wanting]

    def _delivery(self, event: Event, kind: str, payload: bytes, endpoint: Endpoint) -> Outgoing:
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

    def _bury(self, record: Record, reason: str) -> ReceiptPort:
        metrics.INVALID.labels(record.topic).inc()
        log.error("event_unreadable", partition=record.partition, offset=record.offset, reason=reason)
        headers = {"reason": reason, "topic": record.topic, "place": f"{record.partition}:{record.offset}"}
        now_ms = self._clock.now_ms()
        return self._sender.send(DEAD_LETTERS, record.key, record.value, timestamp_ms=now_ms, headers=headers)

    def _require_current_directory(self) -> None:
        if not self._directory.catch_up(CATCH_UP_SECONDS):
            raise DirectoryStale("the tenants' documents can't be read")


def _event_of(record: Record) -> tuple[Event | None, str]:
    """Return an event, or None and why it is none."""
    try:
        event = Event.FromString(record.value)
    except DecodeError:
        return None, "not an event"
    if event.WhichOneof("body") is None:
        return None, "an event without a body, or of a type that is not known here"
    return event, ""
