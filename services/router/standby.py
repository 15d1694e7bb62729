"""Follows the tenants that other routers decide, so that a dead one's are taken over within moments (ADR 17).

What is followed is decided like in a replay, without any effect, and only as far as the group has committed: there
every output is with the broker. So who takes it over goes on exactly where a snapshot of that offset would begin.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import gevent
import structlog

from services.router import metrics
from services.router.adapters.bus import Follower
from services.router.adapters.log import Log
from services.router.adapters.snapshots import Place, Snapshots, SnapshotsUnavailable, UnreadableSnapshot
from services.router.core_identity import core_identity
from services.router.domain.errors import RefusedInput
from services.router.epochs import AnotherLog, Found, known_epoch
from services.router.partition import Partition
from services.shared.bus.errors import BusError
from services.shared.bus.positions import LogName, offset_of
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS

POLL_SECONDS = 0.2
RETRY_SECONDS = 5.0
CLOSE_SECONDS = 2.0
YIELD_SECONDS = 0.004
MOST_WAITING = 20_000
"""So many records wait for their commit at most: whoever decides them is far behind, and nothing is read meanwhile."""

log = structlog.get_logger()


class Following(Protocol):
    """Where a standby gets its reader from."""

    def follower(self) -> Follower:
        """Connect without joining the group; raises BusUnavailable."""


@dataclass(slots=True)
class Copy:
    """A partition as of what is committed, and the records behind that."""

    partition: Partition
    waiting: deque[Record] = field(default_factory=deque)
    committed: int = 0
    """Up to where the group has, as far as was asked: below that nobody needs to be asked."""
    is_current: bool = False
    """Whether it has once known all that was committed."""


class Standby:
    """Copies of the partitions that others have. A copy is a help and no duty: without it a snapshot is read."""

    def __init__(self, bus: Following, snapshots: Snapshots) -> None:
        self._bus = bus
        self._snapshots = snapshots
        self._wanted: frozenset[int] = frozenset()
        self._copies: dict[int, Copy] = {}
        self._not_before: dict[int, float] = {}
        self._is_interrupted = False
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def follow(self, numbers: frozenset[int]) -> None:
        """Follow these partitions and no others; returns at once."""
        if self._greenlet is not None and self._greenlet.ready():
            self._greenlet.get()  # a fault of ours ends the process, as any greenlet's does
        if numbers == self._wanted:
            return
        self._wanted = numbers
        for number in self._copies.keys() - numbers:
            del self._copies[number]
        if numbers and self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def take(self, number: int, place: Place) -> Partition | None:
        """Give a copy away, None when there is none that a router may go on from, whose newest snapshot is there."""
        self._wanted -= {number}
        copy = self._copies.pop(number, None)
        if copy is None:
            return None
        is_current = _is_ours(place.next_offset, place.core) and place.next_offset <= copy.partition.next_offset
        return copy.partition if is_current and copy.partition.leaves_out(place.skipped) else None

    def is_warm(self) -> bool:
        """Whether everything that is to be followed, and can be, has once been up to date."""
        if self._is_interrupted:
            return True
        copies = (self._copies.get(number) for number in self._wanted - self._not_before.keys())
        return all(copy is not None and copy.is_current for copy in copies)

    def close(self) -> None:
        """Follow nothing any more, and wait until the reader is closed."""
        self._wanted = frozenset()
        self._copies.clear()
        greenlet = self._greenlet
        if greenlet is not None:
            greenlet.join(CLOSE_SECONDS)
            greenlet.kill()

    # -- the greenlet ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wanted:
            try:
                self._follow_until_alone()
            except (BusError, SnapshotsUnavailable) as error:
                self._copies.clear()
                self._is_interrupted = True
                log.warning("standby_interrupted", reason=str(error), advice="a take-over reads snapshots meanwhile")
                gevent.sleep(RETRY_SECONDS)
                self._is_interrupted = False
        self._greenlet = None

    def _follow_until_alone(self) -> None:
        reader = self._bus.follower()
        inputs = Log(reader)
        try:
            fetched = inputs.assigned()
            while self._wanted:
                self._begin_copies(inputs)
                self._fetch_only(reader, fetched)
                self._step(inputs)
        finally:
            reader.close()
            metrics.FOLLOWED_PARTITIONS.set(0)

    def _begin_copies(self, reader: Log) -> None:
        now = time.monotonic()
        wanted = [n for n in sorted(self._wanted - self._copies.keys()) if now >= self._not_before.get(n, 0.0)]
        found = reader.find(wanted) if wanted else {}
        places = self._snapshots.places(wanted) if wanted else {}
        for number in wanted:
            partition = self._restored(reader, number, found[number], places[number])
            if partition is None:
                self._not_before[number] = time.monotonic() + RETRY_SECONDS  # whoever has it now will write another one
            elif number in self._wanted:
                self._copies[number] = Copy(partition)
                reader.seek(number, partition.next_offset)
                log.info("partition_followed", partition=number, snapshot=offset_of(partition.next_offset))
        metrics.FOLLOWED_PARTITIONS.set(len(self._copies))

    def _restored(self, reader: Log, number: int, found: Found, place: Place) -> Partition | None:
        """Return a partition as its snapshot says, None where that is not for this core to go on from."""
        try:
            epoch = known_epoch(found, place)
            snapshot = self._snapshots.load(number)
            if not _is_ours(snapshot.next_offset, snapshot.core) or (snapshot.tenants and not snapshot.next_offset):
                return None
            # Thousands of calls take tenths of a second to restore: our own tenants' callers do not wait for that.
            restored: Partition = gevent.get_hub().threadpool.apply(Partition, (number, snapshot, found.topic_id))
        except (UnreadableSnapshot, AnotherLog):  # a newer version has begun to write; nobody may decide it
            return None
        if epoch is None:
            return None  # nobody has begun it yet
        reader.begin(number, LogName(epoch, found.topic_id))
        restored.pass_over(reader.first(number))
        return restored

    def _fetch_only(self, reader: Follower, fetched: set[int]) -> None:
        for number in fetched - self._copies.keys():
            reader.pause(INPUTS, number)
        for number in self._copies.keys() - fetched:
            reader.resume(INPUTS, number)
        fetched.clear()
        fetched.update(self._copies)

    def _step(self, reader: Log) -> None:
        """Read what has come, and decide what was committed meanwhile."""
        if not self._copies or sum(len(copy.waiting) for copy in self._copies.values()) >= MOST_WAITING:
            gevent.sleep(POLL_SECONDS)
        else:
            for record in reader.poll(POLL_SECONDS):
                copy = self._copies.get(record.partition)
                if copy is not None:
                    copy.waiting.append(record)
        asked = [number for number, copy in self._copies.items() if _must_ask(copy)]
        found = reader.committed_of(asked) if asked else {}
        committed = {number: found.get(number, reader.first(number)) for number in asked}
        for number in list(self._copies):
            self._decide(number, committed.get(number))
        metrics.FOLLOWED_BEHIND.set(sum(len(copy.waiting) for copy in self._copies.values()))

    def _decide(self, number: int, committed: int | None) -> None:
        """Decide what is committed: up to where was just asked for, else as far as was known before."""
        copy = self._copies.get(number)
        if copy is not None and committed is not None:
            copy.committed = committed
        began = time.monotonic()
        while copy is not None and copy.waiting and copy.waiting[0].offset < copy.committed:
            if not self._take(copy):
                self._copies.pop(number, None)
                self._not_before[number] = time.monotonic() + RETRY_SECONDS
                return
            if time.monotonic() - began > YIELD_SECONDS:
                gevent.idle()
                began = time.monotonic()
                copy = self._copies.get(number)  # it may have been taken over meanwhile
        if copy is not None and committed is not None and copy.partition.next_offset >= committed:
            copy.is_current = True

    def _take(self, copy: Copy) -> bool:
        """Decide the next record; False when the copy is spoilt: whoever decided it first has left it out by now."""
        record = copy.waiting.popleft()
        if copy.partition.goes_back(record):
            return False
        try:
            copy.partition.take(record)
        except RefusedInput:
            pass
        except Exception as bug:  # noqa: BLE001 - a copy is no reason to stop those whom we serve
            log.warning("copy_spoilt", partition=record.partition, offset=offset_of(record.offset), reason=str(bug))
            return False
        return True


def _must_ask(copy: Copy) -> bool:
    """Whether what the group has committed is to be asked for: a question for every hundred records cost 0.3 s of 0.9.

    What waits below what is known to be committed may be decided without.
    """
    if not copy.waiting:
        return not copy.is_current
    return copy.waiting[-1].offset + 1 >= copy.committed


def _is_ours(next_offset: int, core: str) -> bool:
    """Whether what was kept at an offset was decided by this very core; another one's log is not ours to replay."""
    return next_offset == 0 or core == core_identity()
