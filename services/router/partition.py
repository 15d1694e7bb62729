"""One partition of the log in memory: its tenants' states, its timers, and how far it has been read. No I/O."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heappop, heappush

import orjson
from google.protobuf.message import DecodeError

from services.router import metrics
from services.router.adapters.snapshots import PartitionSnapshot, TenantSnapshot, UnreadableSnapshot
from services.router.domain.decide import Outputs, decide
from services.router.domain.errors import UnreadableInput
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.state import TenantState
from services.router.domain.turn import Position, SetTimer
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of, parts_of

FOLLOWED = sys.maxsize
"""`emit_from` of a partition that somebody else decides."""


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer whose moment has come."""

    key: str
    """Of the tenant's log that set it."""
    timer_id: str
    due_ms: int


class Partition:
    """Takes records in; `emit_from` is the first offset whose outputs were perhaps not sent by whoever read before.

    At first it is somebody else's: nothing is sent and no timer is due until it is taken over. Where this version can't
    read the snapshot it raises UnreadableSnapshot.
    """

    def __init__(self, number: int, snapshot: PartitionSnapshot, log: str = "") -> None:
        self.number = number
        self.log = log
        """The id of the topic that it is read from."""
        self.emit_from = FOLLOWED
        self.next_offset = snapshot.next_offset
        self.inputs_since_snapshot = 0
        self.states: dict[str, TenantState] = {}
        self._known_until: dict[str, int] = {}
        self._skipped = snapshot.skipped
        self._changed: set[str] = set()
        self._heap: list[tuple[int, int, str, str]] = []
        """When to bring a timer back by our clock, when it is due in its log's time, key, timer."""
        for tenant in snapshot.tenants:
            self.states[tenant.tenant_id] = _state_of(number, tenant)
            self._known_until[tenant.tenant_id] = tenant.next_offset

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that was decided before has been taken in again."""
        return self.next_offset >= self.emit_from

    def emits(self, offset: int) -> bool:
        """Whether the outputs of an input are to be sent."""
        return offset >= self.emit_from

    def leaves_out(self, offsets: frozenset[int]) -> bool:
        """Whether it knows of all these inputs that they must be left out."""
        return offsets <= self._skipped

    def goes_back(self, record: Record) -> bool:
        """Whether a record stands where others have stood: decided on top of those it would spoil the state."""
        return record.offset < self.next_offset

    def pass_over(self, offset: int) -> None:
        """Take note that the log has nothing before this offset any more."""
        self.next_offset = max(self.next_offset, offset)

    def take(self, record: Record, now_ms: int = 0) -> Outputs | None:
        """Decide a record; None for one that the state knows already or that must be left out.

        `now_ms` is our clock; of a partition that somebody else decides it is not looked at.

        Raises RefusedInput for one that changes nothing and never will; after any other error the partition is spoilt
        and must be built again.
        """
        self.next_offset = record.offset + 1
        if record.offset in self._skipped or record.offset < self._known_until.get(record.key, 0):
            return None
        given = _parse(record)
        state = self.states.get(record.key)
        if state is None:
            state = self.states[record.key] = TenantState(*parts_of(record.key))
        self.inputs_since_snapshot += 1
        self._changed.add(record.key)
        outputs = decide(state, Position(self.number, record.offset), record.timestamp_ms, given)
        if self.emit_from != FOLLOWED:
            self._note_timers(record.key, outputs, now_ms)
        if self.emits(record.offset):
            metrics.INPUTS.labels(given.WhichOneof("input") or "none").inc()
        return outputs

    def take_over(self, emit_from: int, now_ms: int) -> None:
        """Take what somebody else decided: outputs from an offset on, and all timers, are ours to send."""
        self.emit_from = emit_from
        self.inputs_since_snapshot = min(1, self.inputs_since_snapshot)
        self._heap = sorted(
            (_moment(due_ms, state.now_ms, now_ms), due_ms, tenant_id, timer_id)
            for tenant_id, state in self.states.items()
            for timer_id, due_ms in state.timers.items()
        )

    def _note_timers(self, tenant_id: str, outputs: Outputs, now_ms: int) -> None:
        log_ms = self.states[tenant_id].now_ms
        for timer in outputs.timers:
            if isinstance(timer, SetTimer):
                moment = _moment(timer.due_ms, log_ms, now_ms)
                heappush(self._heap, (moment, timer.due_ms, tenant_id, timer.timer_id))

    def due(self, now_ms: int, most: int) -> list[DueTimer]:
        """Return the first timers that became due, each once in the life of this object; cancelled ones are dropped."""
        found: list[DueTimer] = []
        while self._heap and self._heap[0][0] <= now_ms and len(found) < most:
            _, due_ms, tenant_id, timer_id = heappop(self._heap)
            if self.states[tenant_id].timers.get(timer_id) == due_ms:
                found.append(DueTimer(tenant_id, timer_id, due_ms))
        return found

    def next_due_ms(self) -> int | None:
        """Return when to look for due timers again."""
        return self._heap[0][0] if self._heap else None

    def changed_tenants(self) -> list[str]:
        """Return the tenants that changed since this was last asked: a snapshot of them is about to be taken."""
        changed = list(self._changed)
        self._changed.clear()
        self.inputs_since_snapshot = 0
        self._drop_stale_timers()
        return changed

    def capture(self, tenant_id: str) -> TenantSnapshot:
        """Return a tenant as it is now."""
        return TenantSnapshot(tenant_id, self.next_offset, orjson.dumps(to_snapshot(self.states[tenant_id])))

    def not_kept(self, tenant_ids: list[str]) -> None:
        """Take note that a snapshot of them could not be kept: the next one has to try again."""
        self._changed.update(tenant_ids)
        self.inputs_since_snapshot = max(1, self.inputs_since_snapshot)

    def _drop_stale_timers(self) -> None:
        """Build the heap again: timers set anew leave their former entries behind."""
        self._heap = sorted(
            (moment, due_ms, tenant_id, timer_id)
            for moment, due_ms, tenant_id, timer_id in set(self._heap)
            if self.states[tenant_id].timers.get(timer_id) == due_ms
        )


def _moment(due_ms: int, log_ms: int, now_ms: int) -> int:
    """Return when to bring a timer back by our clock.

    A log's time is that of its furthest input. A machine whose clock is ahead takes all timers of the company along,
    which then came as much too late: leases of callers ran out. Where the log is ahead of us a timer lasts as long as
    it was set for, and an eighth longer: so the log's time comes back to ours in nine times what it was ahead.
    """
    if log_ms <= now_ms:
        return due_ms
    return min(due_ms, now_ms + (due_ms - log_ms) * 9 // 8)


def _state_of(number: int, tenant: TenantSnapshot) -> TenantState:
    try:
        with _made_to_stay():
            return from_snapshot(orjson.loads(tenant.data))
    except (ValueError, TypeError, KeyError) as error:
        reason = f"partition {number}: this version can't read what is kept of {tenant.tenant_id}: {error}"
        raise UnreadableSnapshot(reason) from error


@contextmanager
def _made_to_stay() -> Iterator[None]:
    """Make many objects that live on: to look through them again and again takes longer than to make them.

    They are out of collections at once (shared/chassis/heap.py), not with its next look seconds later: the first full
    one after a take-over of 5,000 calls took 0.4 s in which their callers waited.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


def _parse(record: Record) -> Input:
    try:
        given = Input.FromString(record.value)
    except DecodeError as error:
        raise UnreadableInput("the record is no Input") from error
    if not record.key or key_of(given.tenant_id, given.domain) != record.key:
        raise UnreadableInput("the input's tenant is not the record's key")
    return given
