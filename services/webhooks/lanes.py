import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from gevent.event import Event as Flag
from gevent.queue import Empty, SimpleQueue

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.batch import MOST_BYTES, BatchWish
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.domain.extra_workers import Crew, ExtraWorkers
from services.webhooks.waiting import endpoint_of

# A worker without work ends after this time, and closes its connection, seconds.
IDLE_SECONDS = 30.0
# What waits in an endpoint's queue, and in those of one tenant, has no more bytes than this but for one delivery of
# each: a tenant may make each of its payloads as large as a record can be.
LANE_BYTES = 4 * 1024 * 1024
TENANT_BYTES = 32 * 1024 * 1024
# How often an endpoint that is waited for is asked whether it is still quick, seconds.
LOOK_SECONDS = 0.02
Spawn = Callable[[str, Callable[..., object]], Any]


class Origin(Protocol):
    """Where a delivery came from, and so where its end is written down."""

    def delivered(self, delivery: Delivery) -> None:
        """Write down that the endpoint took it."""

    def put_off(self, delivery: Delivery) -> None:
        """Keep it until it is tried again at its `due_ms`."""

    def put_behind(self, delivery: Delivery) -> None:
        """Keep it until the one before it in its call has ended, or its `due_ms` has come."""

    def give_up(self, delivery: Delivery) -> None:
        """Bury it; `last_error` says why."""

    def moved(self, delivery: Delivery) -> None:
        """Write down that it is safe elsewhere, as a part of a message."""

    def is_the_waiting_one(self, delivery: Delivery) -> bool:
        """Whether this is the copy in the waiting room; one of the log is settled by the room's being there."""


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What an endpoint allows."""

    concurrency: int
    keeps_call_order: bool = False
    batch: BatchWish | None = None
    rate_per_second: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery to try now."""

    delivery: Delivery
    origin: Origin
    leads: bool = False
    """Whether it is known that nothing earlier of its order waits."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Lane(Crew):
    """One endpoint's queue and workers."""

    tenant_id: str
    name: str = ""
    concurrency: int = 1
    queue: Any = field(default_factory=SimpleQueue)
    """Of jobs; None lets an idle worker look whether it is to end."""
    calls: dict[str, deque[Job]] = field(default_factory=dict)
    """Where a call's order is kept: what waits behind the one that is queued or under way."""
    held: int = 0
    bytes: int = 0
    """Of the payloads that wait."""
    batch: BatchWish | None = None
    rate_per_second: int = 0
    next_at: float = 0.0
    """When its next message may go, where it has a rate; of a steady clock."""
    carried: Job | None = None
    """What came while a message was gathered and did not fit into it."""
    room: Flag = field(default_factory=Flag)


class Lanes:
    """A queue and a few workers for each endpoint: what one endpoint does is never felt by another.

    A lane holds at most `limit` deliveries that wait, fewer when its endpoint is slow; who offers more is told so and
    keeps them elsewhere. Each endpoint with work has one worker at least; of those beyond that each tenant has so many
    for its slow endpoints and as many for its quick ones, which share them evenly.
    """

    def __init__(
        self,
        spawn: Spawn,
        connect: Callable[[], EndpointConnection],
        attempt: Callable[[Sequence[Job], EndpointConnection], None],
        policy: Callable[[Delivery], LanePolicy],
        limit: int,
        tenant_limit: int = 64,
    ) -> None:
        self._spawn = spawn
        self._connect = connect
        self._attempt = attempt
        self._policy = policy
        self._tenant_limit = tenant_limit
        self._companies: dict[str, ExtraWorkers[_Lane]] = {}
        self._tenant_bytes: Counter[str] = Counter()
        self._limit = limit
        self._lanes: dict[EndpointKey, _Lane] = {}
        self._is_stopped = False

    def offer(self, job: Job) -> bool:
        """Queue a delivery; False when its endpoint's queue is full or everything stops."""
        key = endpoint_of(job.delivery)
        lane = self._lanes.get(key) or self._lanes.setdefault(key, _Lane(tenant_id=job.delivery.tenant_id, name=key))
        size = len(job.delivery.payload)
        if self._is_stopped or not self._has_room(lane, size):
            return False
        self._hold(lane, size)
        policy = self._policy(job.delivery)
        lane.batch, lane.rate_per_second = policy.batch, policy.rate_per_second
        if policy.keeps_call_order and policy.batch is None and not _leads(lane, job):
            return True
        if lane.queue.empty() and lane.idle == lane.workers:
            lane.pace.begin(time.monotonic())
        lane.queue.put(job)
        # Two workers would gather two messages at a time, each half as large.
        lane.concurrency = 1 if policy.batch is not None else policy.concurrency
        self._grow(lane)
        return True

    def _has_room(self, lane: _Lane, size: int) -> bool:
        if lane.queue.qsize() + lane.held >= self._limit_of(lane):
            return False
        fits = lane.bytes + size <= LANE_BYTES and self._tenant_bytes[lane.tenant_id] + size <= TENANT_BYTES
        return fits or not lane.bytes

    def _hold(self, lane: _Lane, size: int) -> None:
        lane.bytes += size
        self._tenant_bytes[lane.tenant_id] += size

    def _grow(self, lane: _Lane) -> None:
        """Give a lane one more worker, where more waits than it has idle ones for and it may have one."""
        if lane.workers >= lane.concurrency or lane.queue.qsize() <= lane.idle or self._is_stopped:
            return
        if self._company_of(lane).begin(lane, time.monotonic()):
            lane.idle += 1
            self._spawn(f"lane {lane.name}", lambda: self._work(lane))

    def _company_of(self, lane: _Lane) -> ExtraWorkers[_Lane]:
        company = self._companies.get(lane.tenant_id)
        if company is None:
            company = ExtraWorkers(self._tenant_limit, lambda rich: rich.queue.put(None))
            self._companies[lane.tenant_id] = company
        return company

    def room_for_retries(self, key: EndpointKey) -> int:
        """Return how many retries an endpoint's queue takes now: half of it is for them, half for first tries."""
        lane = self._lanes.get(key)
        if lane is None:
            return self._limit // 2
        waiting: int = lane.queue.qsize() + lane.held
        return max(0, self._limit_of(lane) // 2 - waiting)

    def _limit_of(self, lane: _Lane) -> int:
        """Return how many may wait: as many as its endpoint takes in a while, and enough for two messages at least."""
        limit = lane.pace.queue_limit(self._limit)
        return limit if lane.batch is None else max(limit, 2 * lane.batch.events)

    def wait_for_room(self, key: EndpointKey, deadline: float) -> bool:
        """Wait for room while the endpoint is quick, until a monotonic moment; False when there is none."""
        lane = self._lanes[key]
        while not self._is_stopped and (now := time.monotonic()) < deadline and lane.pace.is_quick(now):
            lane.room.clear()
            if lane.room.wait(LOOK_SECONDS):
                return True
        return False

    def stop(self) -> list[Job]:
        """Let the workers end after what they do now; return what was never begun."""
        self._is_stopped = True
        rest: list[Job] = []
        for lane in self._lanes.values():
            while not lane.queue.empty():
                job = lane.queue.get_nowait()
                rest += [job] if job else []
            rest += [lane.carried] if lane.carried is not None else []
            lane.carried = None
            rest += [job for behind in lane.calls.values() for job in behind]
            lane.calls.clear()
            for _ in range(lane.workers):
                lane.queue.put(None)
        return rest

    def _work(self, lane: _Lane) -> None:
        connection, company = self._connect(), self._company_of(lane)
        try:
            while job := self._next(lane):
                self._take_out(lane, job)
                jobs = self._gathered(lane, job)
                began = time.monotonic()
                _wait_for_turn(lane)
                self._attempt(jobs, connection)
                now = time.monotonic()
                company.note_try(lane, now - began)
                for each in jobs:
                    lane.pace.complete(now)
                    _call_next(lane, each)
                if lane.leaving and lane.carried is None:
                    break
                lane.idle += 1
                self._grow(lane)
        finally:
            company.end(lane)
            connection.close()

    def _gathered(self, lane: _Lane, first: Job) -> list[Job]:
        """Return a delivery and those that go with it: what comes in time, up to the number that is wished."""
        wish, jobs = lane.batch, [first]
        if wish is None or first.delivery.members:
            return jobs
        size, until = len(first.delivery.payload), time.monotonic() + wish.wait_seconds
        while len(jobs) < wish.events and not self._is_stopped:
            job = _within(lane, until - time.monotonic())
            if job is None:
                break
            self._take_out(lane, job)
            size += len(job.delivery.payload)
            if job.delivery.members or size > MOST_BYTES:
                lane.carried = job
                self._hold(lane, len(job.delivery.payload))
                break
            jobs.append(job)
        return jobs

    def _take_out(self, lane: _Lane, job: Job) -> None:
        """Let others have the room that a delivery had."""
        self._hold(lane, -len(job.delivery.payload))
        lane.room.set()

    def _next(self, lane: _Lane) -> Job | None:
        """Return the next delivery for one that is idle, None when it is to end or nothing came for long."""
        try:
            if lane.carried is not None:
                carried, lane.carried = lane.carried, None
                return carried
            while True:
                try:
                    job: Job | None = lane.queue.get(timeout=IDLE_SECONDS)
                except Empty:
                    # Something may have come between the time's end and this greenlet's turn.
                    if lane.queue.empty():
                        return None
                else:
                    if job is not None or lane.leaving or self._is_stopped:
                        return job
        finally:
            lane.idle -= 1


def _wait_for_turn(lane: _Lane) -> None:
    """Wait until an endpoint's rate lets its next message go: at most a second for each worker before this one."""
    if lane.rate_per_second:
        now = time.monotonic()
        at = max(now, lane.next_at)
        lane.next_at = at + 1 / lane.rate_per_second
        gevent.sleep(at - now)


def _within(lane: _Lane, seconds: float) -> Job | None:
    """Return what comes within a time, None where nothing does or everything stops."""
    try:
        job: Job | None = lane.queue.get(timeout=seconds) if seconds > 0 else lane.queue.get_nowait()
    except Empty:
        return None
    if job is None:
        lane.queue.put(None)  # it is for the worker itself
    return job


def _leads(lane: _Lane, job: Job) -> bool:
    """Whether a delivery is the only one of its call here; else it waits for the one before it."""
    call_id = job.delivery.call_id
    if not call_id:
        return True
    if call_id in lane.calls:
        lane.calls[call_id].append(job)
        lane.held += 1
        return False
    lane.calls[call_id] = deque()
    return True


def _call_next(lane: _Lane, job: Job) -> None:
    behind = lane.calls.get(job.delivery.call_id)
    if behind:
        lane.queue.put(behind.popleft())
        lane.held -= 1
    elif behind is not None:
        del lane.calls[job.delivery.call_id]
