import time
from dataclasses import dataclass

from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.bus.topics import DELIVERIES, partition_of
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.call_order import CallOrder
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.domain.offsets import Place
from services.webhooks.handing_over import HandOver
from services.webhooks.lanes import Job, Lanes
from services.webhooks.left_in_log import LeftInLog
from services.webhooks.tries import DIVERTED_MS, FromLog, PutOffs, Tries
from services.webhooks.waiting import endpoint_of

# Whoever has had a partition for so long has read what was there before. It is for a log that was given more
# partitions: what had waited for its turn by then has its offset in another one.
SURELY_READ_SECONDS = 3_600.0


@dataclass(slots=True)
class _Read:
    """Since when this process has a partition, and up to where it has read it."""

    since: float
    to: int = 0


class FirstTries(Tries):
    """Reads ringmaster.deliveries into the lanes, and waits for nobody: what finds its endpoint's queue full goes on.

    So whatever one endpoint does, and however much it is sent, its neighbours in a partition are read at once.
    """

    def __init__(
        self, lanes: Lanes, hand_over: HandOver, clock: Clock, order: CallOrder, put_offs: PutOffs, left: LeftInLog
    ) -> None:
        super().__init__(hand_over, clock, order, put_offs, left.offsets)
        self._lanes = lanes
        self._left = left
        self._partitions = 0
        self._read: dict[Place, _Read] = {}

    def take(self, records: list[Record]) -> None:
        """Bring deliveries to their lanes, or hand them over."""
        for record in records:
            self._take(record)

    def commit(self) -> None:
        """Commit what is done without a hole."""
        metrics.UNFINISHED.set(self._offsets.unfinished())
        super().commit()

    def unfinished(self) -> int:
        """How many were begun and are to end before this process does: what is left in the log stays there."""
        return self._offsets.unfinished() - self._left.count()

    def forget(self, place: Place) -> None:
        """Drop a partition that another process reads now."""
        self._read.pop(place, None)
        super().forget(place)
        self._left.forget(place)

    def has_read(self, key: EndpointKey, position: int) -> bool:
        """Whether whatever is before a delivery in its log, and was not settled, is in a queue here, or in the room.

        Else it may be in another process's queue, or nobody has read it again since a kill; or it was read, and is on
        its way to the room, or left in the log until the room takes it.
        """
        place = (DELIVERIES, partition_of(key, self._partitions)) if self._partitions else ("", 0)
        read = self._read.get(place)
        if read is None or self._put_offs.to_room.has_of(key) or self._left.has(place, key):
            return False
        return position <= read.to or time.monotonic() - read.since >= SURELY_READ_SECONDS

    def note_read(self, reader: Reader) -> None:
        """Note how far the log was read, between two looks: all that was returned has been begun."""
        self._partitions = reader.partitions(DELIVERIES)
        now = time.monotonic()
        for place in reader.assignment():
            known = self._read.setdefault(place, _Read(now))
            known.to = reader.position(*place) or 0

    def _take(self, record: Record) -> None:
        ticket = self._offsets.begin((record.topic, record.partition), record.offset)
        delivery = self.read(record, ticket)
        if delivery is None:
            return
        delivery.position = record.offset + 1
        delivery.chain = self._order.chain(delivery)
        key = endpoint_of(delivery)
        if self._left.has(ticket.place, key):
            self._left.leave(ticket, key)
            return
        origin = FromLog(self, ticket, record.timestamp_ms)
        # An earlier one that keeps the order of its call may be on its way into the room: it is not to be overtaken.
        if self._put_offs.to_room.has_of(key) or not self._lanes.offer(Job(delivery, origin)):
            self._divert(delivery, origin)

    def _divert(self, delivery: Delivery, origin: FromLog) -> None:
        """Hand over what its endpoint can't take now; how quick that is, whoever reads the overflow finds out."""
        key, put_offs = endpoint_of(delivery), self._put_offs
        is_ordered = self._order.is_kept(delivery)
        if not is_ordered and put_offs.to_overflow.has_room_for(key):
            metrics.OVERFLOWED.labels(delivery.tenant_id).inc()
            put_offs.to_overflow.add(delivery, origin.settle)
            return
        metrics.DIVERTED.labels(delivery.tenant_id).inc()
        delivery.due_ms = self._clock.now_ms() + DIVERTED_MS
        if not is_ordered:
            put_offs.to_topic.add(delivery, origin.settle)
        elif put_offs.to_room.has_room_for(key):
            put_offs.to_room.add(delivery, origin.settle)
        else:
            # The room takes nothing now. Whoever waited for it here would hold up everybody.
            self._left.leave(origin.ticket, key)
