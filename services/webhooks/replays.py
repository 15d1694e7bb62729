import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.events import event_type
from services.shared.bus.record import Record
from services.shared.bus.topics import DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks import metrics
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.domain.erased import ErasedPersons
from services.webhooks.domain.payload import payload_of, written
from services.webhooks.handing_over import HandOver
from services.webhooks.waiting import StoreUnavailable

LOOK_SECONDS = 1.0
# A replay that says nothing of itself for so long belongs to a process that died: another one takes it up.
LEASE_MS = 30_000
BATCH = 200
# A replay that finds little says so often that it is under way, seconds.
SAVE_SECONDS = 5.0
OPEN = ("waiting", "running")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Replay:
    """An endpoint gets a part of the past once more. Moments are milliseconds of platform time; nothing means all."""

    replay_id: str
    tenant_id: str
    endpoint_id: str
    since_ms: int
    until_ms: int
    event_types: tuple[str, ...] = ()
    call_id: str = ""
    state: str = "waiting"
    """waiting, running, done, failed."""
    sent: int = 0
    reached_ms: int = 0
    """The moment of the last event that was looked at; a replay that is taken up again begins there."""
    error: str = ""
    asked_ms: int = 0
    failed_only: bool = False
    """Only what was given up, of what the delivery log still knows."""

    def wants(self, event: Event, kind: str) -> bool:
        """Whether an event is part of it."""
        if self.call_id and event.call_id != self.call_id:
            return False
        return not self.event_types or any(_matches(each, kind) for each in self.event_types)


class ReplayStore(Protocol):
    """Where replays are kept, so that one outlives the process that runs it."""

    def add(self, replay: Replay) -> None:
        """Keep a new one. Raises StoreUnavailable."""

    def take(self, now_ms: int, until_ms: int) -> Replay | None:
        """Take the oldest that nobody runs, until a moment. Raises StoreUnavailable."""

    def save(self, replay: Replay, until_ms: int) -> None:
        """Keep how far one is. Raises StoreUnavailable."""

    def newest(self, tenant_id: str, limit: int) -> list[Replay]:
        """Return a tenant's newest. Raises StoreUnavailable."""


class MemoryReplays:
    """The same contract in memory, for tests."""

    def __init__(self) -> None:
        self._replays: dict[str, tuple[int, Replay]] = {}

    def add(self, replay: Replay) -> None:
        """Keep a new one."""
        self._replays.setdefault(replay.replay_id, (0, replay))

    def take(self, now_ms: int, until_ms: int) -> Replay | None:
        """Take the oldest that nobody runs."""
        waiting = [one for lease, one in self._replays.values() if lease <= now_ms and one.state in OPEN]
        if not waiting:
            return None
        taken = replace(min(waiting, key=lambda one: one.asked_ms), state="running")
        self._replays[taken.replay_id] = (until_ms, taken)
        return taken

    def save(self, replay: Replay, until_ms: int) -> None:
        """Keep how far one is."""
        self._replays[replay.replay_id] = (until_ms, replay)

    def newest(self, tenant_id: str, limit: int) -> list[Replay]:
        """Return a tenant's newest."""
        own = [one for _, one in self._replays.values() if one.tenant_id == tenant_id]
        return sorted(own, key=lambda one: -one.asked_ms)[:limit]


Past = Callable[[str, int], Iterator[Record]]
"""A tenant's events from a moment on."""
States = Callable[[str, Sequence[str]], dict[str, str]]
"""What the log says of a tenant's deliveries. Raises StoreUnavailable."""
GIVEN_UP = "dead"


@dataclass(slots=True)
class Replays:
    """Runs replays one after another: events are matched anew, and have the ids that they had."""

    store: ReplayStore
    states: States
    past: Past
    directory: Directory
    hand_over: HandOver
    clock: Clock
    persons: ErasedPersons = field(default_factory=ErasedPersons)
    pause_seconds: float = LOOK_SECONDS

    def run(self, stopping: Flag) -> None:
        """Run what is asked for until stopped."""
        while not stopping.wait(self.pause_seconds):
            try:
                now_ms = self.clock.now_ms()
                replay = self.store.take(now_ms, self._lease(now_ms))
                if replay is not None:
                    self._play(replay, stopping)
            except (StoreUnavailable, BusUnavailable) as error:
                log.warning("replay_interrupted", reason=str(error))

    def _lease(self, now_ms: int) -> int:
        return now_ms + int(LEASE_MS * self.clock.speed)

    def _play(self, replay: Replay, stopping: Flag) -> None:
        self.directory.catch_up(LOOK_SECONDS)
        endpoint = self.directory.find(replay.tenant_id, replay.endpoint_id)
        if endpoint is None or not self.directory.is_open(endpoint):
            self.store.save(replace(replay, state="failed", error="The endpoint takes nothing."), 0)
            return
        batch: list[Delivery] = []
        reached, saved_at = replay.reached_ms, time.monotonic()
        for record in self.past(replay.tenant_id, max(replay.since_ms, replay.reached_ms)):
            if stopping.is_set():
                return
            if record.timestamp_ms >= replay.until_ms:
                # Records of one moment may lie in any order; much later ones can't hide an earlier one.
                if record.timestamp_ms >= replay.until_ms + LEASE_MS:
                    break
                continue
            reached = record.timestamp_ms
            delivery = _delivery(record, replay, endpoint, self.clock.now_ms())
            if delivery is not None and not self._names_erased(record, delivery):
                batch.append(delivery)
            if len(batch) == BATCH or time.monotonic() - saved_at > SAVE_SECONDS:
                replay = self._send(replay, batch, reached)
                batch, saved_at = [], time.monotonic()
        replay = self._send(replay, batch, reached)
        self.store.save(replace(replay, state="done"), 0)

    def _names_erased(self, record: Record, delivery: Delivery) -> bool:
        return self.persons.names(delivery.tenant_id, delivery.payload, record.timestamp_ms)

    def _send(self, replay: Replay, batch: list[Delivery], reached_ms: int) -> Replay:
        """Hand a batch over, then say so: after a kill in between it is sent twice, with the same ids."""
        if replay.failed_only and batch:
            states = self.states(replay.tenant_id, [one.delivery_id for one in batch])
            batch = [one for one in batch if states.get(one.delivery_id) == GIVEN_UP]
        if batch and not self.hand_over.to(DELIVERIES, *batch):
            raise BusUnavailable("the service stops")
        metrics.REPLAYED.labels(replay.tenant_id).inc(len(batch))
        replay = replace(replay, sent=replay.sent + len(batch), reached_ms=reached_ms, state="running")
        self.store.save(replay, self._lease(self.clock.now_ms()))
        return replay


def _delivery(record: Record, replay: Replay, endpoint: Endpoint, now_ms: int) -> Delivery | None:
    try:
        event = Event.FromString(record.value)
    except DecodeError:
        return None
    if event.WhichOneof("body") is None:
        return None
    kind = event_type(event)
    if not endpoint.wants(kind) or not replay.wants(event, kind):
        return None
    payload, error = written(lambda: payload_of(event, kind, endpoint.form))
    return Delivery(
        delivery_id=delivery_id_of(event.event_id, endpoint.endpoint_id),
        tenant_id=event.tenant_id,
        endpoint_id=endpoint.endpoint_id,
        event_type=kind,
        call_id=event.call_id,
        payload=payload,
        last_error=error,
        created_ms=now_ms,
    )


def _matches(pattern: str, kind: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith(".*") else pattern in (kind, "*")
