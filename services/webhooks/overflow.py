"""What endpoints could not take at once waits in a topic of its own, and only for others of its kind (ADR 48)."""

import time

from services.shared.bus.record import Record
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.call_order import CallOrder
from services.webhooks.domain.offsets import ContiguousOffsets, Place
from services.webhooks.handing_over import HandOver
from services.webhooks.lanes import Job, Lanes
from services.webhooks.tries import DIVERTED_MS, FromLog, PutOffs, Tries
from services.webhooks.waiting import endpoint_of, name_of

# How long a hundred deliveries may wait for room in queues of quick endpoints; then the rest of them goes to the
# waiting room. It is what one flooded endpoint can delay another flooded one by.
ROOM_SECONDS = 0.5
# So many deliveries are known again: after a kill, matching and first tries bring again what they had not committed.
MOST_KNOWN = 20_000


class Overflow(Tries):
    """Reads ringmaster.deliveries.overflow into the lanes, as fast as their endpoints take it; of slow ones it goes on.

    Here somebody waits for room, which the reader of first tries never does: a document for each delivery of a flood
    would cost far more than the flood.
    """

    def __init__(self, lanes: Lanes, hand_over: HandOver, clock: Clock, order: CallOrder, put_offs: PutOffs) -> None:
        super().__init__(hand_over, clock, order, put_offs, ContiguousOffsets())
        self._lanes = lanes
        self._known: dict[tuple[str, int], None] = {}
        """By name and moment; what is sent again on purpose has another moment."""

    def take(self, records: list[Record]) -> None:
        """Bring deliveries to their lanes."""
        patient_until = time.monotonic() + ROOM_SECONDS
        for record in records:
            self._take(record, patient_until)

    def _take(self, record: Record, patient_until: float) -> None:
        ticket = self._offsets.begin((record.topic, record.partition), record.offset)
        delivery = self.read(record, ticket)
        if delivery is None:
            return
        if self._is_known(delivery):
            # The first copy's offset is before this one: a kill before its end has both read again.
            self.finish(ticket)
            return
        origin = FromLog(self, ticket, delivery.created_ms)
        job = Job(delivery, origin)
        while not self._lanes.offer(job):
            if not self._lanes.wait_for_room(endpoint_of(delivery), patient_until):
                metrics.DIVERTED.labels(delivery.tenant_id).inc()
                delivery.due_ms = self._clock.now_ms() + DIVERTED_MS
                # Its endpoint may have asked for order meanwhile.
                self.put_off(delivery, origin)
                return

    def forget(self, place: Place) -> None:
        """Drop a partition that another process reads now."""
        super().forget(place)
        self._known.clear()

    def _is_known(self, delivery: Delivery) -> bool:
        name = name_of(delivery), delivery.created_ms
        if name in self._known:
            return True
        self._known[name] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return False
