import time
from collections.abc import Callable
from dataclasses import dataclass, replace

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
from services.webhooks.call_order import BEHIND_MS, CallOrder
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.handing_over import HandOver, Keeping
from services.webhooks.health import Health
from services.webhooks.lanes import Job, Lanes
from services.webhooks.settling import Settling
from services.webhooks.tries import DIVERTED_MS
from services.webhooks.waiting import Due, End, Lease, StoreUnavailable, WaitingRoom

POLL_SECONDS = 0.25
PAUSE_SECONDS = 1.0
# How often due deliveries are looked for, seconds of real time.
LOOK_SECONDS = 0.1
LOOK_LIMIT = 200
# Between two looks this many times what the last one took goes by: a store that is slow, or has thousands that are due,
# must have time for those who settle deliveries. Ten looks a second at two thousand that were due, on a store that
# sorts them anew each time, kept it so busy that healthy endpoints waited minutes for their turn in the room.
LOOK_REST = 4.0
LONGEST_REST_SECONDS = 5.0
# How often the number of those that wait is asked for, seconds.
COUNT_SECONDS = 1.0
# A delivery that was taken and never settled comes due again after this time, seconds of real time: where the process
# that took it never comes back under its name. Longer than a queue and a try should last together; what lasts longer is
# sent twice.
LEASE_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tenure:
    """As whom this process takes deliveries, and for how long."""

    holder: str
    seconds: float = LEASE_SECONDS

    def from_now(self, now_ms: int, speed: float, mark: str = "") -> Lease:
        """Return a lease that begins now, in platform time; with a mark that of a claim that was asked for before."""
        lease = Lease(self.holder, now_ms, now_ms + int(self.seconds * 1000 * speed))
        return replace(lease, mark=mark) if mark else lease


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
        return Keeping(self._room, stopping)(*deliveries)


class RetryScheduler:
    """Takes due deliveries out of the waiting room into the lanes, never more of an endpoint than its lane holds."""

    def __init__(  # noqa: PLR0913 - what it takes from, gives to and asks
        self,
        room: WaitingRoom,
        lanes: Lanes,
        hand_over: HandOver,
        clock: Clock,
        tenure: Tenure,
        *,
        order: CallOrder,
        health: Health,
        settling: Settling,
        may_take: Callable[[Due], bool] = lambda _due: True,
    ) -> None:
        """Take of what is due only what `may_take` lets: the rest is another process's, or comes later."""
        self._settling = settling
        self._may_take = may_take
        self._room = room
        self._lanes = lanes
        self._clock = clock
        self._tenure = tenure
        self._origin = _FromRoom(settling, hand_over, order)
        self._health = health
        self._counted_at = 0.0
        self._unanswered: tuple[list[Due], Lease] | None = None
        """What a claim was for to which the store gave no answer, and its lease."""

    def run(self, stopping: Flag) -> None:
        """Look for due deliveries until stopped."""
        is_begun = False
        while not stopping.is_set():
            began = time.monotonic()
            try:
                is_begun = is_begun or self._take_back()
                self._ask_again()
                self._start_due(stopping)
                self._count()
                pause = _rest_after(time.monotonic() - began)
            except StoreUnavailable as error:
                metrics.STORE_FAILURES.inc()
                log.warning("waiting_room_unreadable", reason=str(error))
                pause = PAUSE_SECONDS
            stopping.wait(pause)

    def _take_back(self) -> bool:
        """Let come due what a former process of this name held when it was killed."""
        now_ms = self._clock.now_ms()
        lease = self._tenure.from_now(now_ms, self._clock.speed)
        # Who waits behind another looks by itself after BEHIND_MS: a short lease must not hide it.
        freed = self._room.let_go(replace(lease, until_ms=max(lease.until_ms, now_ms + BEHIND_MS)))
        if freed:
            log.info("claims_of_former_process_freed", deliveries=freed)
        return True

    def _start_due(self, stopping: Flag) -> None:
        """Start what is due, oldest first, of each endpoint as much as its queue has room for.

        What an endpoint has waiting beyond that is passed over as a whole: it hides nobody who came after it.
        """
        passed_over = set(self._health.resting())
        is_more = True
        while is_more and not stopping.is_set():
            now_ms = self._clock.now_ms()
            found = self._room.due(now_ms, LOOK_LIMIT, passed_over)
            chosen, full = self._chosen_of(found)
            self._start(chosen, now_ms)
            passed_over |= full
            is_more = len(found) == LOOK_LIMIT

    def _chosen_of(self, found: list[Due]) -> tuple[list[Due], set[EndpointKey]]:
        """Return what there is room for, and the endpoints that have no room for the rest."""
        room: dict[EndpointKey, int] = {}
        chosen, full = [], set()
        for due in found:
            if due.name in self._settling or not self._may_take(due):
                # It has ended already: only the room's book has it due, until that is written. Or it keeps an order
                # that this process does not know: whoever reads the endpoint's first tries takes it.
                full.add(due.endpoint)
                continue
            left = room[due.endpoint] if due.endpoint in room else self._room_of(due.endpoint)
            room[due.endpoint] = left - 1
            if left > 0:
                chosen.append(due)
            else:
                full.add(due.endpoint)
        return chosen, full

    def _room_of(self, key: EndpointKey) -> int:
        room = self._lanes.room_for_retries(key)
        return min(room, 1) if self._health.is_half_open(key) else room

    def _ask_again(self) -> None:
        """Start what a claim has taken whose answer was lost: else it would rest for the whole lease."""
        if self._unanswered is None:
            return
        chosen, lease = self._unanswered
        now_ms = self._clock.now_ms()
        if now_ms < lease.until_ms:
            again = self._tenure.from_now(now_ms, self._clock.speed, lease.mark)
            self._offer(self._room.claimed([due for due in chosen if self._may_take(due)], again), now_ms)
        self._unanswered = None

    def _start(self, chosen: list[Due], now_ms: int) -> None:
        if chosen:
            lease = self._tenure.from_now(now_ms, self._clock.speed)
            self._unanswered = chosen, lease
            taken = self._room.claim(chosen, lease)
            self._unanswered = None
            self._offer(taken, now_ms)

    def _offer(self, taken: list[Delivery], now_ms: int) -> None:
        for delivery in taken:
            if not self._lanes.offer(Job(delivery, self._origin)):
                # Its lane filled up meanwhile. Due at once it would come back in each round and hold up its neighbours.
                delivery.due_ms = now_ms + DIVERTED_MS
                self._origin.put_off(delivery)

    def _count(self) -> None:
        if time.monotonic() - self._counted_at >= COUNT_SECONDS:
            self._counted_at = time.monotonic()
            metrics.WAITING.set(self._room.size())


class _FromRoom:
    """A retry's end is written in the waiting room. What is not written by a kill is tried again.

    Nobody waits for the writing but where an order is kept: there whoever comes next looks into the room.
    """

    def __init__(self, settling: Settling, hand_over: HandOver, order: CallOrder) -> None:
        self._settling = settling
        self._hand_over = hand_over
        self._order = order

    def delivered(self, delivery: Delivery) -> None:
        # Of a message that was gathered here, whoever gathered it calls what comes next, once for all.
        if self._settle(delivery, End.REMOVED) and (delivery.members or not delivery.chain):
            self._order.call_next(delivery)

    def put_off(self, delivery: Delivery) -> None:
        self._settle(delivery, End.PUT_OFF)

    def put_behind(self, delivery: Delivery) -> None:
        self._settle(delivery, End.PUT_BEHIND)

    def give_up(self, delivery: Delivery) -> None:
        if self._hand_over.to(DELIVERIES_DEAD, delivery):
            self.delivered(delivery)

    def moved(self, delivery: Delivery) -> None:
        self._settle(delivery, End.REMOVED)

    def is_the_waiting_one(self, delivery: Delivery) -> bool:  # noqa: ARG002 - the origin's contract
        return True

    def _settle(self, delivery: Delivery, end: End) -> bool:
        """Write down an end; return whether it is kept in an order, and written."""
        if self._order.is_kept(delivery):
            return self._settling.written(delivery, end)
        self._settling.add(delivery, end)
        return False


def _rest_after(look_seconds: float) -> float:
    return min(max(LOOK_SECONDS, LOOK_REST * look_seconds), LONGEST_REST_SECONDS)


def _read(record: Record) -> Delivery | None:
    try:
        return Delivery.FromString(record.value)
    except DecodeError:
        metrics.INVALID.labels(record.topic).inc()
        log.warning("retry_unreadable", partition=record.partition, offset=record.offset)
        return None
