"""How deliveries leave this process: into a topic or the waiting room, safe before anybody relies on it."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import BatchSender
from services.shared.chassis.clock import Clock
from services.shared.chassis.insisting import Stopped, insist
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.insisting import insist_on_store
from services.webhooks.waiting import WaitingRoom, endpoint_of

ACKNOWLEDGE_SECONDS = 10.0
PAUSE_SECONDS = 1.0
# As many deliveries as one write takes, and as many, and of so many bytes, as may wait for it before whoever brings
# more has to wait too.
BATCH = 500
MOST_GATHERED = 20_000
MOST_BYTES = 64 * 1024 * 1024
# Of one endpoint no more than this is held in memory for the waiting room; what comes after it stays in the log.
MOST_OF_ONE = 1_000

Kept = Callable[[], None]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Puts deliveries into a topic, and returns when the broker has them."""

    sender: BatchSender
    clock: Clock
    stopping: Flag

    def to(self, topic: str, *deliveries: Delivery) -> bool:
        """Send until all is acknowledged; False when the service stops first: then nothing is handed over."""
        now_ms = self.clock.now_ms()
        records = [(endpoint_of(each), each.SerializeToString(), now_ms, None) for each in deliveries]
        try:
            insist(
                lambda: self.sender.send_many(topic, records).wait(ACKNOWLEDGE_SECONDS),
                (BusUnavailable, NotDelivered),
                self.stopping,
                "delivery_not_handed_over",
            )
        except Stopped:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Keeping:
    """Puts deliveries into the waiting room."""

    room: WaitingRoom
    stopping: Flag

    def __call__(self, *deliveries: Delivery) -> bool:
        """Put until the room has them; False when the service stops first."""
        try:
            insist_on_store(lambda: self.room.put(deliveries), self.stopping, "deliveries_not_kept")
        except Stopped:
            return False
        return True


@dataclass(slots=True)
class Gathering:
    """Takes deliveries at once and writes them together a moment later: who brings them never waits for the writing.

    One by one, a thousand of a slow endpoint took their reader four seconds in which nobody else got anything.
    """

    write: Callable[..., bool]
    """Writes deliveries; False when the service stops first: what is not written is read from the log again."""
    stopping: Flag
    _gathered: deque[tuple[Delivery, Kept]] = field(default_factory=deque)
    _bytes: int = 0
    _unwritten: Counter[EndpointKey] = field(default_factory=Counter)
    _came: Flag = field(default_factory=Flag)
    _has_room: Flag = field(default_factory=Flag)

    def add(self, delivery: Delivery, kept: Kept) -> None:
        """Take a delivery; `kept` is called when it is safe. Waits only while very many do."""
        while self._is_full and not self.stopping.is_set():
            self._has_room.clear()
            self._has_room.wait(PAUSE_SECONDS)
        self._unwritten[endpoint_of(delivery)] += 1
        self._bytes += len(delivery.payload)
        self._gathered.append((delivery, kept))
        self._came.set()

    def has_of(self, key: EndpointKey) -> bool:
        """Whether something of an endpoint is not safe yet."""
        return key in self._unwritten

    def has_room_for(self, key: EndpointKey) -> bool:
        """Whether one more of an endpoint may be brought without waiting, and without it having more than its share."""
        return self._unwritten[key] < MOST_OF_ONE and not self._is_full

    @property
    def _is_full(self) -> bool:
        return len(self._gathered) >= MOST_GATHERED or self._bytes >= MOST_BYTES

    def run(self, stopping: Flag) -> None:
        """Write what comes until stopped; what is left then is for `flush`."""
        while not stopping.is_set():
            gevent.wait([self._came, stopping], count=1)
            if self._came.is_set():
                self.flush()

    def flush(self) -> None:
        """Write everything that was taken."""
        self._came.clear()
        while self._gathered:
            batch = [self._gathered.popleft() for _ in range(min(BATCH, len(self._gathered)))]
            self._bytes -= sum(len(delivery.payload) for delivery, _ in batch)
            self._has_room.set()
            if not self.write(*(delivery for delivery, _ in batch)):
                return
            for delivery, kept in batch:
                self._written(endpoint_of(delivery))
                kept()

    def _written(self, key: EndpointKey) -> None:
        self._unwritten[key] -= 1
        if not self._unwritten[key]:
            del self._unwritten[key]
