import time
from dataclasses import dataclass
from functools import partial

import gevent
import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import Reader, Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import DELIVERIES_DEAD, DELIVERIES_RETRY
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.call_order import CallOrder
from services.webhooks.domain.offsets import ContiguousOffsets, Place, Ticket
from services.webhooks.lanes import Job, Lanes
from services.webhooks.waiting import endpoint_of

POLL_SECONDS = 0.25
COMMIT_SECONDS = 0.5
ACKNOWLEDGE_SECONDS = 10.0
PAUSE_SECONDS = 1.0
# How long one batch of records may wait for room in queues of quick endpoints; then the rest of it is diverted. It is
# what an endpoint can delay its neighbours by, a batch.
ROOM_SECONDS = 0.1
FINISH_LOOK_SECONDS = 0.02
# What found its endpoint's queue full comes back after this time, milliseconds.
DIVERTED_MS = 1000

log = structlog.get_logger()


class HandOver:
    """Puts deliveries into .retry or .dead, and returns when the broker has them."""

    def __init__(self, sender: Sender, clock: Clock, stopping: Flag) -> None:
        self._sender = sender
        self._clock = clock
        self._stopping = stopping

    def to(self, topic: str, delivery: Delivery) -> bool:
        """Send until it is acknowledged; False when the service stops first: then it is not handed over."""
        value = delivery.SerializeToString()
        while True:
            try:
                receipt = self._sender.send(topic, endpoint_of(delivery), value, timestamp_ms=self._clock.now_ms())
                receipt.wait(ACKNOWLEDGE_SECONDS)
            except (BusUnavailable, NotDelivered) as error:
                log.warning("delivery_not_handed_over", topic=topic, reason=str(error))
                if self._stopping.wait(PAUSE_SECONDS):
                    return False
            else:
                return True


class FirstTries:
    """Reads ringmaster.deliveries into the lanes; commits an offset when all before it were sent or handed over."""

    def __init__(self, lanes: Lanes, hand_over: HandOver, clock: Clock, order: CallOrder) -> None:
        self._lanes = lanes
        self._order = order
        self._hand_over = hand_over
        self._clock = clock
        self._offsets = ContiguousOffsets()
        self._reader: Reader | None = None

    def run(self, reader: Reader, stopping: Flag) -> None:
        """Read until stopped, then hand over what was never begun."""
        self._reader = reader
        committed_at = time.monotonic()
        while not stopping.is_set():
            try:
                records = reader.poll(POLL_SECONDS)
                patient_until = time.monotonic() + ROOM_SECONDS
                for record in records:
                    self._take(record, patient_until)
                if time.monotonic() - committed_at >= COMMIT_SECONDS:
                    committed_at = time.monotonic()
                    self.commit()
            except BusUnavailable as error:
                log.warning("deliveries_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)

    def finish(self, ticket: Ticket) -> None:
        """Note that a delivery was sent or handed over."""
        self._offsets.finish(ticket)

    def commit(self) -> None:
        """Commit what is done without a hole."""
        metrics.UNFINISHED.set(self._offsets.unfinished())
        ready = self._offsets.take_ready()
        if ready and self._reader is not None:
            self._reader.commit(ready)

    def finish_all(self, seconds: float) -> None:
        """Wait until what is under way has ended, at most so long, then commit."""
        deadline = time.monotonic() + seconds
        while self._offsets.unfinished() and time.monotonic() < deadline:
            gevent.sleep(FINISH_LOOK_SECONDS)
        try:
            self.commit()
        except BusUnavailable as error:
            log.warning("offsets_not_committed", reason=str(error))

    def revoked(self, places: list[Place]) -> None:
        """Give partitions away: commit what is done and forget the rest, its next owner will read it."""
        try:
            self.commit()
        except BusUnavailable as error:
            log.warning("offsets_not_committed", reason=str(error))
        for place in places:
            self._offsets.forget(place)

    def _take(self, record: Record, patient_until: float) -> None:
        ticket = self._offsets.begin((record.topic, record.partition), record.offset)
        try:
            delivery = Delivery.FromString(record.value)
        except DecodeError:
            metrics.INVALID.labels(record.topic).inc()
            log.warning("delivery_unreadable", partition=record.partition, offset=record.offset)
            self._offsets.finish(ticket)
            return
        delivery.position = record.offset + 1
        job = Job(delivery, _FromLog(self, self._hand_over, self._clock, self._order, ticket, record.timestamp_ms))
        while not self._lanes.offer(job):
            if not self._lanes.wait_for_room(endpoint_of(delivery), patient_until):
                self._divert(job)
                return

    def _divert(self, job: Job) -> None:
        metrics.DIVERTED.labels(job.delivery.tenant_id).inc()
        job.delivery.due_ms = self._clock.now_ms() + DIVERTED_MS
        job.origin.put_off(job.delivery)


@dataclass(frozen=True, slots=True)
class _FromLog:
    """A first try's end is its offset."""

    tries: FirstTries
    hand_over: HandOver
    clock: Clock
    order: CallOrder
    ticket: Ticket
    event_ms: int

    def delivered(self, delivery: Delivery) -> None:  # noqa: ARG002 - the origin's contract
        metrics.LAG_SECONDS.observe(max(0.0, (self.clock.now_ms() - self.event_ms) / 1000))
        self.tries.finish(self.ticket)

    def put_off(self, delivery: Delivery) -> None:
        is_kept = self.order.keep if self.order.is_kept(delivery) else partial(self.hand_over.to, DELIVERIES_RETRY)
        if is_kept(delivery):
            self.tries.finish(self.ticket)

    def is_the_waiting_one(self, delivery: Delivery) -> bool:  # noqa: ARG002 - the origin's contract
        self.tries.finish(self.ticket)
        return False

    def give_up(self, delivery: Delivery) -> None:
        if self.hand_over.to(DELIVERIES_DEAD, delivery):
            self.tries.finish(self.ticket)
