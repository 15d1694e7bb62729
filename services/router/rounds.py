"""Keeps snapshots beside the loop: tenants are captured a few between two batches, and written by a greenlet.

Captured all at once, 5,000 live calls held up every decision for 120 ms, three times in a hundred at 50 calls/s.
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import gevent
import structlog

from services.router import metrics
from services.router.adapters.snapshots import Snapshots, SnapshotsUnavailable, TenantSnapshot
from services.router.core_identity import core_identity
from services.router.domain.erasing import open_erasures
from services.router.partition import Partition
from services.shared.contracts.ringmaster.v1.input_pb2 import PersonForgotten

CAPTURE_SECONDS = 0.004
"""So much is captured between two batches, and one tenant at least."""

log = structlog.get_logger()


@dataclass(slots=True)
class Round:
    """One partition's changed tenants.

    Each is captured at `next_offset` or later, so reading on from there is right: it leaves out what it knows already.
    """

    partition: Partition
    next_offset: int
    left: list[str]
    taken: list[str] = field(default_factory=list)
    forgotten: list[tuple[str, PersonForgotten]] = field(default_factory=list)
    """Tenant, and whom its captured state does not know any more."""


class SnapshotRounds:
    """The rounds that are under way, one after the other. A store that is away only makes a recovery longer."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._rounds: deque[Round] = deque()
        self._writing: gevent.Greenlet[..., None] | None = None
        self._forgotten: list[tuple[str, PersonForgotten]] = []

    @property
    def are_under_way(self) -> bool:
        """Whether what the last rounds began over is not all kept yet."""
        return bool(self._rounds)

    def begin(self, partitions: Iterable[Partition]) -> None:
        """Begin a round over each partition that changed; none may be under way."""
        for partition in partitions:
            if partition.inputs_since_snapshot and partition.is_caught_up:
                self._rounds.append(Round(partition, partition.next_offset, partition.changed_tenants()))

    def step(self) -> None:
        """Capture a little more, unless the store is still busy with what was captured before.

        To be called when all outputs are acknowledged: what a snapshot knows is never sent again.
        """
        if self._writing is not None:
            if not self._writing.ready():
                return
            self._writing.get()
            self._writing = None
        if self._rounds:
            one = self._rounds[0]
            self._writing = gevent.spawn(self._write, one, _capture(one))

    def drop(self, partition: Partition) -> None:
        """Forget a partition that was taken from us: somebody else keeps its snapshots now."""
        self._rounds = deque(one for one in self._rounds if one.partition is not partition)

    def forgotten(self) -> list[tuple[str, PersonForgotten]]:
        """Return, each once, whom a snapshot that is kept now does not know any more (ADR 26)."""
        told, self._forgotten = self._forgotten, []
        return told

    def keep(self, partitions: Iterable[Partition]) -> None:
        """Keep partitions as they are now, and end every round before. Nothing may be decided meanwhile."""
        self.finish()
        self.begin(partitions)
        self.finish()

    def finish(self) -> None:
        """Go on until every round has ended."""
        while self._rounds or self._writing is not None:
            self.step()
            if self._writing is not None:
                self._writing.join()

    def _write(self, one: Round, captured: list[TenantSnapshot]) -> None:
        number = one.partition.number
        try:
            self._snapshots.save_tenants(number, captured)
            if not one.left:
                self._snapshots.save_place(number, one.next_offset, core_identity(), one.partition.log)
        except SnapshotsUnavailable as error:
            metrics.SNAPSHOT_FAILURES.inc()
            log.warning("snapshot_not_kept", partition=number, reason=str(error))
            one.partition.not_kept(one.taken + one.left)
            self.drop(one.partition)
        else:
            self._forgotten += one.forgotten
            one.forgotten = []
            if not one.left:
                self.drop(one.partition)


def _capture(one: Round) -> list[TenantSnapshot]:
    began = time.perf_counter()
    captured: list[TenantSnapshot] = []
    with metrics.CAPTURE_SECONDS.time():
        while one.left and (not captured or time.perf_counter() - began < CAPTURE_SECONDS):
            tenant_id = one.left.pop()
            one.taken.append(tenant_id)
            captured.append(one.partition.capture(tenant_id))
            one.forgotten += [(tenant_id, each) for each in open_erasures(one.partition.states[tenant_id])]
    return captured
