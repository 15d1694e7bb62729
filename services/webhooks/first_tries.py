import time
from dataclasses import dataclass

import gevent
import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.bus.topics import DELIVERIES_DEAD
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.call_order import CallOrder
from services.webhooks.domain.offsets import ContiguousOffsets, Place, Ticket
from services.webhooks.handing_over import Gathering, HandOver
from services.webhooks.lanes import Job, Lanes
from services.webhooks.waiting import endpoint_of

POLL_SECONDS = 0.25
COMMIT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
# How long one batch of records may wait for room in queues of quick endpoints; then the rest of it is diverted. It is
# what an endpoint can delay its neighbours by, a batch.
ROOM_SECONDS = 0.1
FINISH_LOOK_SECONDS = 0.02
# What found its endpoint's queue full comes back after this time, milliseconds.
DIVERTED_MS = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PutOffs:
    """Where first tries go that come later: the retry topic, or the room itself where the order of a call is kept.

    Whatever follows in a call has to find in the room what comes before it.
    """

    to_topic: Gathering
    to_room: Gathering

    def flush(self) -> None:
        """Make everything safe."""
        self.to_topic.flush()
        self.to_room.flush()


class FirstTries:
    """Reads ringmaster.deliveries into the lanes; commits an offset when all before it were sent or handed over."""

    def __init__(self, lanes: Lanes, hand_over: HandOver, clock: Clock, order: CallOrder, put_offs: "PutOffs") -> None:
        self._lanes = lanes
        self._order = order
        self._hand_over = hand_over
        self._put_offs = put_offs
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
        delivery.chain = self._order.chain(delivery)
        origin = _FromLog(self, ticket, record.timestamp_ms)
        if self._put_offs.to_room.has_of(endpoint_of(delivery)):
            # An earlier one that keeps the order of its call is not in the room yet: this one may not overtake it.
            self._divert(delivery, origin)
            return
        job = Job(delivery, origin)
        while not self._lanes.offer(job):
            if not self._lanes.wait_for_room(endpoint_of(delivery), patient_until):
                self._divert(delivery, origin)
                return

    def _divert(self, delivery: Delivery, origin: "_FromLog") -> None:
        metrics.DIVERTED.labels(delivery.tenant_id).inc()
        delivery.due_ms = self._clock.now_ms() + DIVERTED_MS
        gathering = self._put_offs.to_room if self._order.is_kept(delivery) else self._put_offs.to_topic
        gathering.add(delivery, origin.settle)

    def put_off(self, delivery: Delivery, origin: "_FromLog") -> None:
        """Let a delivery that was tried come later. Where order is kept it is safe when this returns."""
        if not self._order.is_kept(delivery):
            self._put_offs.to_topic.add(delivery, origin.settle)
        elif self._order.keep(delivery):
            origin.settle()

    def give_up(self, delivery: Delivery, origin: "_FromLog") -> None:
        """Bury a delivery."""
        if self._hand_over.to(DELIVERIES_DEAD, delivery):
            origin.settle()

    def delivered(self, event_ms: int) -> None:
        """Note how long a first try took since its event."""
        metrics.LAG_SECONDS.observe(max(0.0, (self._clock.now_ms() - event_ms) / 1000))


@dataclass(frozen=True, slots=True)
class _FromLog:
    """A first try's end is its offset."""

    tries: FirstTries
    ticket: Ticket
    event_ms: int

    def settle(self) -> None:
        self.tries.finish(self.ticket)

    def delivered(self, delivery: Delivery) -> None:  # noqa: ARG002 - the origin's contract
        self.tries.delivered(self.event_ms)
        self.settle()

    def put_off(self, delivery: Delivery) -> None:
        self.tries.put_off(delivery, self)

    def put_behind(self, delivery: Delivery) -> None:
        self.tries.put_off(delivery, self)

    def moved(self, delivery: Delivery) -> None:  # noqa: ARG002 - the origin's contract
        self.settle()

    def is_the_waiting_one(self, delivery: Delivery) -> bool:  # noqa: ARG002 - the origin's contract
        self.settle()
        return False

    def give_up(self, delivery: Delivery) -> None:
        self.tries.give_up(delivery, self)
