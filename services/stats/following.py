"""Reads the topics: documents into profiles; events into live numbers at once and into the call log by the writer."""

import time
import zlib
from collections.abc import Callable
from typing import Final

import gevent
import orjson
import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.follower import Follower
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.bus.tenants import into_documents
from services.shared.bus.topics import CALLS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.erased import REQUESTED
from services.stats import metrics
from services.stats.committing import Commits
from services.stats.documents import add_to
from services.stats.domain.board import Board
from services.stats.domain.live import Outcome
from services.stats.domain.profile import profile_of
from services.stats.domain.snapshot import from_document, to_document
from services.stats.forgetting import Forgetting, wish_of_events
from services.stats.holding import Holding, Place
from services.stats.logs import LogReader, Logs
from services.stats.store import CallFields, FactFields, PartitionSnapshot, Store, StoreUnavailable, TenantSnapshot
from services.stats.writing import Batch, Writer, snapshot_batch, wish_batch

POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0
COMMIT_SECONDS: Final = 1.0
CATCHING_UP: Final = "catching_up"
_FASTEST: Final = 1

log = structlog.get_logger()


def profiles(connect: Callable[[], Reader], board: Board, notify: Callable[[], None]) -> Follower:
    """Return what follows ringmaster.tenants from its beginning into the board."""
    return Follower(
        connect,
        into_documents(
            lambda document: board.put_profile(document.tenant_id, profile_of(document)),
            lambda tenant_id: board.put_profile(tenant_id, None),
        ),
        taken=notify,
        unreadable=lambda record: metrics.INVALID.labels(record.topic).inc(),
    )


class Events:
    """Follows ringmaster.calls. A partition that becomes ours begins at its snapshot, or at the log's beginning.

    What a snapshot holds is never folded again, and the calls of every event before its offset were written before it
    was: a kill at any moment repeats only what changes nothing.
    """

    def __init__(
        self,
        board: Board,
        store: Store,
        writer: Writer,
        clock: Clock,
        snapshot_seconds: float,
        notify: Callable[[], None],
        forgetting: Forgetting,
    ) -> None:
        self._forgetting = forgetting
        self._board = board
        self._store = store
        self._writer = writer
        self._clock = clock
        self._snapshot_seconds = snapshot_seconds
        self._notify = notify
        self._held = Holding()
        self._logs = Logs(store)
        self._positions: dict[Place, int] = {}
        self._first_offsets: dict[str, int] = {}
        self._places: dict[str, Place] = {}
        self._changed: set[str] = set()
        # The start does not depend on it, a snapshot says where; lag and people do.
        self._commits = Commits(writer, COMMIT_SECONDS)
        self._snapshot_at = 0.0
        self.assigned = self._held.assigned

    @property
    def is_current(self) -> bool:
        """Whether everything that was in the log when we began is in the numbers."""
        return self._held.is_current

    def revoked(self, places: list[Place]) -> None:
        """Let partitions go."""
        lost = set(places)
        self._held.revoked(lost)
        self._commits.forget(lost)
        for place in lost:
            self._positions.pop(place, None)
        tenants = [tenant_id for tenant_id, place in self._places.items() if place in lost]
        self._board.forget_live(tenants)
        for tenant_id in tenants:
            del self._places[tenant_id]
            self._first_offsets.pop(tenant_id, None)
        self._changed -= set(tenants)

    def run(self, stopping: Flag, reader: LogReader, profiles: Flag) -> None:
        """Follow until stopped; thresholds come first, so that no caller is measured by a wrong one."""
        self._tell_trouble()
        while not stopping.is_set():
            try:
                if not profiles.wait(POLL_SECONDS):
                    continue
                self._let_go_of_former(reader)
                self._load(reader)
                records = [r for r in reader.poll(POLL_SECONDS) if (r.topic, r.partition) in self._held.ours]
                self._take(records)
                self._commits.tell(reader, self._held.ours)
            except (BusUnavailable, StoreUnavailable) as error:
                log.warning("events_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
            if time.monotonic() >= self._snapshot_at:
                self._snapshot()
        self._snapshot()
        self._writer.end()

    def _let_go_of_former(self, reader: LogReader) -> None:
        """Begin partitions again whose topic was made anew: what stands before where we are would never be read."""
        anew = sorted(self._logs.made_anew(reader, self._held.ours))
        if anew:
            self.revoked(anew)
            self.assigned(anew)

    def _load(self, reader: LogReader) -> None:
        places = self._held.to_begin(reader)
        topic_id = reader.topic_id(CALLS) if places else ""
        for place in places:
            end = reader.end_offset(*place)
            snapshot = self._store.load(place[1])
            first = self._logs.begin(place, topic_id, end, self._clock.now_ms(), snapshot.next_offset)
            if snapshot.next_offset < first:
                log.warning(
                    "snapshot_of_another_log", partition=place[1], next_offset=snapshot.next_offset, first=first
                )
                snapshot = PartitionSnapshot(first, [])
            # What has passed its time is not there to be read any more; where that is all, nothing ever comes.
            next_offset = max(self._restore(place, snapshot) - first, reader.offset_at(*place, 0))
            reader.seek(*place, next_offset)
            self._positions[place] = next_offset
            self._held.begin(place, next_offset, end)
            log.info("partition_begun", partition=place[1], next_offset=next_offset, end=end)
        self._tell_trouble()

    def _restore(self, place: Place, snapshot: PartitionSnapshot) -> int:
        """Put a snapshot's tenants in place; return where to read on: the beginning where one can't be read."""
        for tenant in snapshot.tenants:
            if tenant.next_offset < self._logs.first(place):
                continue  # of a former log: the partition's own is written last
            live = from_document(orjson.loads(zlib.decompress(tenant.data)))
            if live is None:
                return 0
            self._board.put_live(tenant.tenant_id, live)
            self._first_offsets[tenant.tenant_id] = tenant.next_offset
            self._places[tenant.tenant_id] = place
        return snapshot.next_offset

    def _take(self, records: list[Record]) -> None:
        calls: CallFields = {}
        facts: FactFields = {}
        now_ms = self._clock.now_ms()
        for record in records:
            if record.headers.get("ce_type") == REQUESTED:
                self._forget(record, Batch(calls, {}, facts))
                calls, facts = {}, {}
            else:
                self._take_one(record, now_ms, calls, facts)
            self._positions[record.topic, record.partition] = record.offset + 1
        if not records:
            return
        places = {(record.topic, record.partition) for record in records}
        self._writer.put(Batch(calls, {place: self._positions[place] for place in places}, facts))
        self._held.reached(self._positions)
        self._tell_trouble()
        self._notify()
        gevent.idle()

    def _take_one(self, record: Record, now_ms: int, calls: CallFields, facts: FactFields) -> None:
        try:
            event = Event.FromString(record.value)
        except DecodeError:
            metrics.INVALID.labels(record.topic).inc()
            log.warning("event_unreadable", partition=record.partition, offset=record.offset)
            return
        position = self._logs.first((record.topic, record.partition)) + record.offset
        add_to(event, position + 1, calls, facts)
        if position < self._first_offsets.get(event.tenant_id, 0):
            return
        outcome = self._board.fold(event, now_ms)
        metrics.EVENTS.labels(outcome.name.lower()).inc()
        self._places[event.tenant_id] = (record.topic, record.partition)
        self._changed.add(event.tenant_id)
        if outcome is Outcome.TAKEN and not self._held.is_behind:
            metrics.EVENT_AGE_SECONDS.observe(max(0, now_ms - event.time.ToMilliseconds()) / 1000)

    def _forget(self, record: Record, before: Batch) -> None:
        """Forget a person: in the live numbers and their snapshot, then in the documents, then say so.

        The snapshot is of the moment before this record, so a kill anywhere has the record read again.
        """
        place = (record.topic, record.partition)
        try:
            event = Event.FromString(record.value)
        except DecodeError:
            metrics.INVALID.labels(record.topic).inc()
            return
        position = self._logs.first(place) + record.offset
        wish = wish_of_events(event, position + 1)
        self._writer.put(before)
        if position >= self._first_offsets.get(event.tenant_id, 0):  # else the snapshot was taken after it
            self._board.forget(event.tenant_id, self._forgetting.numbers(wish))
            self._changed.add(event.tenant_id)
            self._places[event.tenant_id] = place
            self._positions[place] = record.offset
            self._keep(place)
        self._writer.put(wish_batch(wish))

    def _snapshot(self) -> None:
        self._snapshot_at = time.monotonic() + self._snapshot_seconds
        for place in self._held.ours:
            self._keep(place)

    def _keep(self, place: Place) -> None:
        """Have a snapshot of a partition's tenants kept, as of the next record."""
        changed = [each for each in self._changed if self._places.get(each) == place]
        if changed:
            next_offset, first = self._positions[place], self._logs.first(place)
            states = [self._state(each, first + next_offset) for each in changed]
            self._writer.put(snapshot_batch(place, next_offset, states, first))
            self._changed -= set(changed)

    def _state(self, tenant_id: str, position: int) -> TenantSnapshot:
        document = orjson.dumps(to_document(self._board.live(tenant_id)))
        return TenantSnapshot(tenant_id, position, zlib.compress(document, _FASTEST))

    def _tell_trouble(self) -> None:
        self._board.trouble = "" if self.is_current else CATCHING_UP
        metrics.CATCHING_UP.set(int(not self.is_current))
