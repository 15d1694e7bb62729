"""Several deliveries as one message to an endpoint that wishes so; what it holds stays the same over all its tries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.shared.chassis.insisting import Stopped
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.call_order import CallOrder
from services.webhooks.domain.batch import batch_of
from services.webhooks.lanes import Job
from services.webhooks.waiting import name_of


@dataclass(frozen=True, slots=True)
class Batching:
    """Makes messages of what a lane has gathered.

    One that fails becomes a delivery of its own in the waiting room before those that it holds count as settled. A kill
    before that lets them be gathered anew, perhaps otherwise: the events then come again under the ids that they have
    in every message.
    """

    order: CallOrder
    keep: Callable[[Delivery], bool]
    """Puts a delivery into the waiting room; False when the service stops first."""
    bury: Callable[[Delivery], bool]
    """Puts a delivery into the dead letters; False when the service stops first."""

    def message_of(self, jobs: Sequence[Job]) -> Job | None:
        """Return a message of what may go now, None when nothing may: that is settled then, or read again."""
        jobs = sorted(jobs, key=lambda job: job.delivery.position)
        if self.order.is_kept(jobs[-1].delivery):
            try:
                jobs = self._without_gap(jobs)
            except Stopped:
                return None
        if not jobs:
            return None
        batch = batch_of([job.delivery for job in jobs])
        return Job(batch, _Members(self, tuple(jobs)), leads=True)

    def _without_gap(self, jobs: list[Job]) -> list[Job]:
        """Return those before which nothing waits but what goes with them; put the others behind what does."""
        names = {name_of(job.delivery) for job in jobs}
        waiting = self.order.waiting_up_to(jobs[-1].delivery, len(jobs) + 1)
        gap = next((one for one in waiting if name_of(one) not in names), None)
        if gap is None:
            return jobs
        behind = [job for job in jobs if job.delivery.position > gap.position]
        for job in behind:
            self.order.put_behind(job, gap)
        # What was ahead may have ended between the look and the writes: then nobody else would call these.
        self.order.call_next(behind[0].delivery)
        return [job for job in jobs if job.delivery.position <= gap.position]


@dataclass(frozen=True, slots=True)
class _Members:
    """Where a message came from: the origins of all that it holds."""

    batching: Batching
    jobs: tuple[Job, ...]

    def delivered(self, delivery: Delivery) -> None:
        for job in self.jobs:
            job.origin.delivered(job.delivery)
        if self.batching.order.is_kept(delivery):
            self.batching.order.call_next(delivery)

    def put_off(self, delivery: Delivery) -> None:
        if self.batching.keep(delivery):
            self.moved(delivery)

    def put_behind(self, delivery: Delivery) -> None:
        self.put_off(delivery)

    def give_up(self, delivery: Delivery) -> None:
        if self.batching.bury(delivery):
            self.moved(delivery)

    def moved(self, delivery: Delivery) -> None:  # noqa: ARG002 - the origin's contract
        for job in self.jobs:
            job.origin.moved(job.delivery)

    def is_the_waiting_one(self, delivery: Delivery) -> bool:  # noqa: ARG002 - the origin's contract
        return True
