from collections.abc import Callable

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
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.first_tries import DIVERTED_MS, HandOver
from services.webhooks.lanes import Job, Lanes
from services.webhooks.waiting import StoreUnavailable, WaitingRoom

POLL_SECONDS = 0.25
PAUSE_SECONDS = 1.0
# How often due deliveries are looked for, seconds of real time.
LOOK_SECONDS = 0.1
CLAIM_LIMIT = 100
# A delivery that was taken and never settled comes due again after this time, seconds of real time. Longer than a queue
# and a try should last together; what lasts longer is sent twice.
LEASE_SECONDS = 60.0

log = structlog.get_logger()


class RetryKeeper:
    """Moves deliveries from ringmaster.deliveries.retry into the waiting room; until then they wait in the topic."""

    def __init__(self, reader: Reader, room: WaitingRoom) -> None:
        self._reader = reader
        self._room = room

    def run(self, stopping: Flag) -> None:
        """Move until stopped."""
        while not stopping.is_set():
            try:
                records = self._reader.poll(POLL_SECONDS)
                if records and self._keep(records, stopping):
                    self._reader.commit({(record.topic, record.partition): record.offset + 1 for record in records})
            except BusUnavailable as error:
                log.warning("retries_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)

    def _keep(self, records: list[Record], stopping: Flag) -> bool:
        deliveries = [delivery for record in records if (delivery := _read(record)) is not None]
        while not stopping.is_set():
            try:
                self._room.put(deliveries)
            except StoreUnavailable as error:
                metrics.STORE_FAILURES.inc()
                log.warning("retries_not_kept", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
            else:
                return True
        return False


class RetryScheduler:
    """Takes due deliveries out of the waiting room into the lanes, never more of an endpoint than its lane holds."""

    def __init__(
        self,
        room: WaitingRoom,
        lanes: Lanes,
        hand_over: HandOver,
        clock: Clock,
        lease_seconds: float,
        *,
        order: CallOrder,
        resting: Callable[[], list[EndpointKey]],
    ) -> None:
        self._room = room
        self._lanes = lanes
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._origin = _FromRoom(room, hand_over, order)
        self._resting = resting

    def run(self, stopping: Flag) -> None:
        """Look for due deliveries until stopped."""
        while not stopping.is_set():
            pause = LOOK_SECONDS
            try:
                if self._start_due() == CLAIM_LIMIT:
                    pause = 0.001
            except StoreUnavailable as error:
                metrics.STORE_FAILURES.inc()
                log.warning("waiting_room_unreadable", reason=str(error))
                pause = PAUSE_SECONDS
            stopping.wait(pause)

    def _start_due(self) -> int:
        now_ms = self._clock.now_ms()
        until_ms = now_ms + int(self._lease_seconds * 1000 * self._clock.speed)
        without = self._lanes.crowded(CLAIM_LIMIT) + self._resting()
        claimed = self._room.claim(now_ms, until_ms, CLAIM_LIMIT, without)
        for delivery in claimed:
            if not self._lanes.offer(Job(delivery, self._origin)):
                # Its lane filled up meanwhile. Due at once it would come back in each round and hold up its neighbours.
                delivery.due_ms = now_ms + DIVERTED_MS
                self._room.put_off(delivery)
        metrics.WAITING.set(self._room.size())
        return len(claimed)


class _FromRoom:
    """A retry's end is written in the waiting room. When that fails its lease ends and it is tried again."""

    def __init__(self, room: WaitingRoom, hand_over: HandOver, order: CallOrder) -> None:
        self._room = room
        self._hand_over = hand_over
        self._order = order

    def delivered(self, delivery: Delivery) -> None:
        try:
            self._room.remove(delivery)
        except StoreUnavailable as error:
            _not_settled(error)
        else:
            if self._order.is_kept(delivery):
                self._order.call_next(delivery)

    def put_off(self, delivery: Delivery) -> None:
        try:
            self._room.put_off(delivery)
        except StoreUnavailable as error:
            _not_settled(error)

    def give_up(self, delivery: Delivery) -> None:
        if self._hand_over.to(DELIVERIES_DEAD, delivery):
            self.delivered(delivery)

    def is_the_waiting_one(self, delivery: Delivery) -> bool:  # noqa: ARG002 - the origin's contract
        return True


def _not_settled(error: StoreUnavailable) -> None:
    metrics.STORE_FAILURES.inc()
    log.warning("retry_not_settled", reason=str(error))


def _read(record: Record) -> Delivery | None:
    try:
        return Delivery.FromString(record.value)
    except DecodeError:
        metrics.INVALID.labels(record.topic).inc()
        log.warning("retry_unreadable", partition=record.partition, offset=record.offset)
        return None
