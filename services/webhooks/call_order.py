from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from gevent.event import Event as Flag

from services.shared.chassis.clock import Clock
from services.shared.chassis.insisting import Stopped
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.domain.batch import MOST_IN_MESSAGE
from services.webhooks.handing_over import Keeping
from services.webhooks.insisting import insist_on_store
from services.webhooks.lanes import Job
from services.webhooks.waiting import StoreUnavailable, WaitingRoom, name_of

T = TypeVar("T")

# A delivery behind another looks again after this time by itself; the other's end calls it sooner, and a process that
# comes back after a kill lets all look. With two seconds, a hundred that waited behind one that failed took so many of
# the single turns which an endpoint has while it is probed that the one which could have gone came seldom.
BEHIND_MS = 30_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CallOrder:
    """Keeps the deliveries of one call in their order where an endpoint asked for that (SPEC 7.3).

    One that failed is in the waiting room before the next one's turn comes; so the room knows, over any crash, whether
    something earlier waits. When the earlier one is given up, the call goes on without it.
    """

    room: WaitingRoom
    is_kept: Callable[[Delivery], bool]
    """Whether the delivery's endpoint asks for order."""
    clock: Clock
    stopping: Flag
    chain: Callable[[Delivery], str] = field(default=lambda _delivery: "")
    """What a delivery keeps its order with, where that is more than its call."""

    def is_next(self, job: Job) -> bool:
        """Whether nothing earlier of its call waits. When something does, the job is put behind it."""
        try:
            ahead = self._ask(lambda: self.room.ahead(job.delivery))
        except Stopped:
            return False
        if ahead is None:
            return True
        if name_of(ahead) == name_of(job.delivery):
            return job.origin.is_the_waiting_one(job.delivery)
        self.put_behind(job, ahead)
        # The earlier one may have ended between the look and the write: then nobody else would call this one.
        self.call_next(job.delivery)
        return False

    def put_behind(self, job: Job, ahead: Delivery) -> None:
        """Let a delivery wait for an earlier one."""
        job.delivery.due_ms = max(ahead.due_ms, self.clock.now_ms() + BEHIND_MS)
        job.origin.put_behind(job.delivery)

    def waiting_up_to(self, delivery: Delivery, limit: int) -> list[Delivery]:
        """Return the first that wait of a delivery's order, up to itself, by position. Raises Stopped."""
        return self._ask(lambda: self.room.waiting_up_to(delivery, limit))

    def keep(self, delivery: Delivery) -> bool:
        """Put a delivery into the room at once; False when the service stops first."""
        return Keeping(self.room, self.stopping)(delivery)

    def call_next(self, delivery: Delivery) -> None:
        """Let the first that waits of this call come due, unless it failed itself and waits for its own time."""
        try:
            self.room.call_next(delivery, self.clock.now_ms(), MOST_IN_MESSAGE if delivery.chain else 1)
        except StoreUnavailable as error:
            metrics.STORE_FAILURES.inc()
            log.warning("next_of_call_not_called", reason=str(error))

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask the store until it answers or raise Stopped: who asked for order wants it more than speed."""
        return insist_on_store(question, self.stopping, "order_of_call_unknown")
