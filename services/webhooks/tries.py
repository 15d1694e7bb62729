import time
from collections.abc import Iterable
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

POLL_SECONDS = 0.25
COMMIT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
FINISH_LOOK_SECONDS = 0.02
# What found its endpoint's queue full comes back after this time, milliseconds.
DIVERTED_MS = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PutOffs:
    """Where what is not sent now goes.

    The retry topic leads into the waiting room. Where the order of a call is kept it is the room itself: whatever
    follows in a call has to find there what comes before it. The overflow is for first tries that their endpoint could
    not take at once (ADR 48).
    """

    to_topic: Gathering
    to_room: Gathering
    to_overflow: Gathering

    def flush(self) -> None:
        """Make everything safe."""
        self.to_topic.flush()
        self.to_room.flush()
        self.to_overflow.flush()


class Tries:
    """Reads a topic's deliveries into the lanes; commits an offset when all before it were sent or handed over."""

    def __init__(
        self, hand_over: HandOver, clock: Clock, order: CallOrder, put_offs: PutOffs, offsets: ContiguousOffsets
    ) -> None:
        self._hand_over = hand_over
        self._clock = clock
        self._order = order
        self._put_offs = put_offs
        self._offsets = offsets
        self._reader: Reader | None = None

    def take(self, records: list[Record]) -> None:
        """Begin the records of one look at the topic."""
        raise NotImplementedError

    def run(self, reader: Reader, stopping: Flag) -> None:
        """Read until stopped; what was never begun is handed over by whoever stops the lanes."""
        self._reader = reader
        committed_at = 0.0
        while not stopping.is_set():
            try:
                self.take(reader.poll(POLL_SECONDS))
                if time.monotonic() - committed_at >= COMMIT_SECONDS:
                    committed_at = time.monotonic()
                    self.note_read(reader)
                    self.commit()
            except BusUnavailable as error:
                log.warning("deliveries_unreadable", part=type(self).__name__, reason=str(error))
                stopping.wait(PAUSE_SECONDS)

    def note_read(self, reader: Reader) -> None:
        """Note how far the topic was read, between two looks: all that was returned has been begun."""

    def finish(self, ticket: Ticket) -> None:
        """Note that a delivery was sent or handed over."""
        self._offsets.finish(ticket)

    def unfinished(self) -> int:
        """How many were begun and are to end before this process does."""
        return self._offsets.unfinished()

    def commit(self) -> None:
        """Commit what is done without a hole."""
        ready = self._offsets.take_ready()
        if ready and self._reader is not None:
            self._reader.commit(ready)

    def finish_all(self, seconds: float) -> None:
        """Wait until what is under way has ended, at most so long, then commit."""
        deadline = time.monotonic() + seconds
        while self.unfinished() and time.monotonic() < deadline:
            gevent.sleep(FINISH_LOOK_SECONDS)
        self._commit_or_say()

    def revoked(self, places: Iterable[Place]) -> None:
        """Give partitions away: commit what is done and forget the rest, its next owner will read it."""
        self._commit_or_say()
        for place in places:
            self.forget(place)

    def forget(self, place: Place) -> None:
        """Drop a partition that another process reads now."""
        self._offsets.forget(place)

    def read(self, record: Record, ticket: Ticket) -> Delivery | None:
        """Decode a record; what is no delivery ends here."""
        try:
            return Delivery.FromString(record.value)
        except DecodeError:
            metrics.INVALID.labels(record.topic).inc()
            log.warning("delivery_unreadable", partition=record.partition, offset=record.offset)
            self._offsets.finish(ticket)
            return None

    def put_off(self, delivery: Delivery, origin: "FromLog") -> None:
        """Let a delivery that was tried come later. Where order is kept it is safe when this returns."""
        if not self._order.is_kept(delivery):
            self._put_offs.to_topic.add(delivery, origin.settle)
        elif self._order.keep(delivery):
            origin.settle()

    def give_up(self, delivery: Delivery, origin: "FromLog") -> None:
        """Bury a delivery."""
        if self._hand_over.to(DELIVERIES_DEAD, delivery):
            origin.settle()

    def delivered(self, event_ms: int) -> None:
        """Note how long a first try took since its event."""
        metrics.LAG_SECONDS.observe(max(0.0, (self._clock.now_ms() - event_ms) / 1000))

    def _commit_or_say(self) -> None:
        try:
            self.commit()
        except BusUnavailable as error:
            log.warning("offsets_not_committed", reason=str(error))


@dataclass(frozen=True, slots=True)
class FromLog:
    """A first try's end is its offset."""

    tries: Tries
    ticket: Ticket
    event_ms: int

    def settle(self) -> None:
        """Let its offset count as done."""
        self.tries.finish(self.ticket)

    def delivered(self, delivery: Delivery) -> None:  # noqa: ARG002 - the origin's contract
        """Note that the endpoint took it."""
        self.tries.delivered(self.event_ms)
        self.settle()

    def put_off(self, delivery: Delivery) -> None:
        """Keep it for its next try."""
        self.tries.put_off(delivery, self)

    def put_behind(self, delivery: Delivery) -> None:
        """Keep it behind an earlier one of its call."""
        self.tries.put_off(delivery, self)

    def moved(self, delivery: Delivery) -> None:  # noqa: ARG002 - the origin's contract
        """Note that it is safe as a part of a message."""
        self.settle()

    def is_the_waiting_one(self, delivery: Delivery) -> bool:  # noqa: ARG002 - the origin's contract
        """Leave it to the copy in the room."""
        self.settle()
        return False

    def give_up(self, delivery: Delivery) -> None:
        """Bury it."""
        self.tries.give_up(delivery, self)
