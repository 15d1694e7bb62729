import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gevent.event import Event as Flag
from gevent.queue import Empty, SimpleQueue

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.domain.pace import Pace
from services.webhooks.waiting import endpoint_of

# A connection that was not used for so long is closed, seconds.
IDLE_SECONDS = 30.0
# How often an endpoint that is waited for is asked whether it is still quick, seconds.
LOOK_SECONDS = 0.02
Spawn = Callable[[str, Callable[..., object]], Any]


class Origin(Protocol):
    """Where a delivery came from, and so where its end is written down."""

    def delivered(self, delivery: Delivery) -> None:
        """Write down that the endpoint took it."""

    def put_off(self, delivery: Delivery) -> None:
        """Keep it until it is tried again at its `due_ms`."""

    def give_up(self, delivery: Delivery) -> None:
        """Bury it; `last_error` says why."""


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery to try now."""

    delivery: Delivery
    origin: Origin


@dataclass(slots=True)
class _Lane:
    """One endpoint's queue and workers."""

    queue: Any = field(default_factory=SimpleQueue)
    """Of jobs; None ends one worker."""
    room: Flag = field(default_factory=Flag)
    workers: int = 0
    idle: int = 0
    pace: Pace = field(default_factory=Pace)


class Lanes:
    """A queue and a few workers for each endpoint: what one endpoint does is never felt by another.

    A lane holds at most `limit` deliveries that wait, fewer when its endpoint is slow; who offers more is told so and
    keeps them elsewhere.
    """

    def __init__(
        self,
        spawn: Spawn,
        connect: Callable[[], EndpointConnection],
        attempt: Callable[[Job, EndpointConnection], None],
        concurrency: int,
        limit: int,
    ) -> None:
        self._spawn = spawn
        self._connect = connect
        self._attempt = attempt
        self._concurrency = concurrency
        self._limit = limit
        self._lanes: dict[EndpointKey, _Lane] = {}
        self._is_stopped = False

    def offer(self, job: Job) -> bool:
        """Queue a delivery; False when its endpoint's queue is full or everything stops."""
        key = endpoint_of(job.delivery)
        lane = self._lanes.get(key) or self._lanes.setdefault(key, _Lane())
        if self._is_stopped or lane.queue.qsize() >= lane.pace.queue_limit(self._limit):
            return False
        if lane.queue.empty() and lane.idle == lane.workers:
            lane.pace.begin(time.monotonic())
        lane.queue.put(job)
        if lane.queue.qsize() > lane.idle and lane.workers < self._concurrency:
            lane.workers += 1
            self._spawn(f"lane {key}", lambda: self._work(lane))
        return True

    def crowded(self, room: int) -> list[EndpointKey]:
        """Return the endpoints whose queues have less room than this, or than half of what they hold."""
        crowded = []
        for key, lane in self._lanes.items():
            limit = lane.pace.queue_limit(self._limit)
            if lane.queue.qsize() > limit - min(room, limit // 2):
                crowded.append(key)
        return crowded

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
            for _ in range(lane.workers):
                lane.queue.put(None)
        return rest

    def _work(self, lane: _Lane) -> None:
        connection = self._connect()
        try:
            while job := self._next(lane, connection):
                lane.room.set()
                self._attempt(job, connection)
                lane.pace.complete(time.monotonic())
        finally:
            connection.close()

    def _next(self, lane: _Lane, connection: EndpointConnection) -> Job | None:
        """Return the next delivery, None when everything stops; close a connection that rests too long."""
        lane.idle += 1
        try:
            while True:
                try:
                    job: Job | None = lane.queue.get(timeout=IDLE_SECONDS)
                except Empty:
                    connection.close()
                else:
                    return job
        finally:
            lane.idle -= 1
