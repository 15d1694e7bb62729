from collections.abc import Callable
from functools import partial

import structlog
from gevent.event import Event as Flag
from gevent.queue import Queue

from services.stats import metrics
from services.stats.documents import merged
from services.stats.forgetting import Wish
from services.stats.store import CallFields, FactFields, Store, StoreUnavailable, TenantSnapshot

# Batches that may wait while the store is away or slow: 100 events each; then reading waits too.
MOST_BATCHES = 400
RETRY_SECONDS = 1.0
# A call changes several times in a short while: what is written of it together costs one write.
COLLECT_SECONDS = 5.0

log = structlog.get_logger()


class Batch:
    """What was read together: fields of calls, and the offsets that are done once these are written."""

    __slots__ = ("calls", "facts", "kept_at", "partition", "positions", "snapshot", "wish")

    def __init__(
        self, calls: CallFields, positions: dict[tuple[str, int], int], facts: FactFields | None = None
    ) -> None:
        self.calls = calls
        self.facts: FactFields = {} if facts is None else facts
        self.positions = positions
        self.partition = -1
        self.kept_at = 0
        self.snapshot: list[TenantSnapshot] | None = None
        self.wish: Wish | None = None


def wish_batch(wish: Wish) -> Batch:
    """Return a batch that forgets a person: everything handed in before is written first, what comes after waits."""
    batch = Batch({}, {})
    batch.wish = wish
    return batch


def snapshot_batch(place: tuple[str, int], next_offset: int, changed: list[TenantSnapshot], first: int = 0) -> Batch:
    """Return a batch that keeps a snapshot; it waits its turn, so the calls before its offset are written first.

    `first` is the position of the log's first offset.
    """
    batch = Batch({}, {place: next_offset})
    batch.partition, batch.snapshot, batch.kept_at = place[1], changed, first + next_offset
    return batch


class Writer:
    """Writes batches in order, again and again until the store takes them. `written` is what may be committed."""

    def __init__(
        self,
        store: Store,
        collect_seconds: float = COLLECT_SECONDS,
        forget: Callable[[Wish], None] = lambda _wish: None,
    ) -> None:
        """`forget` forgets a person in what is written, and tells it; raises StoreUnavailable."""
        self._store = store
        self._forget = forget
        self._collect_seconds = collect_seconds
        self._batches: Queue[Batch | None] = Queue(MOST_BATCHES)
        self.written: dict[tuple[str, int], int] = {}
        self.trouble = ""

    def put(self, batch: Batch) -> None:
        """Hand in a batch; waits while too many are waiting."""
        self._batches.put(batch)
        metrics.BATCHES_WAITING.set(self._batches.qsize())

    def end(self) -> None:
        """Hand in nothing more."""
        self._batches.put(None)

    def run(self, stopping: Flag) -> None:
        """Write until `end`; after the stop the store gets one more try for each batch."""
        if not self._keep(stopping, self._store.prepare):
            return
        while (batch := self._batches.get()) is not None:
            if self._batches.qsize() < MOST_BATCHES // 2:
                stopping.wait(self._collect_seconds)
            whole, snapshots = self._gather(batch)
            if not self._keep(stopping, partial(self._store.write, whole.calls, whole.facts)):
                return
            metrics.DOCUMENTS.inc(len(whole.calls) + len(whole.facts))
            if not all(self._save(stopping, each) for each in snapshots):
                return
            if whole.wish is not None and not self._keep(stopping, partial(self._forget, whole.wish)):
                return
            self._done(whole)

    def _gather(self, batch: Batch) -> tuple[Batch, list[Batch]]:
        """Take all that waits: one big write is a third of the work of many small ones.

        A wish to forget somebody ends it: what comes after may be of the same person, who has called again.
        A snapshot may come after documents that are newer than it is: it wants those before its offset only.
        """
        whole, snapshots = Batch({}, {}), list[Batch]()
        while True:
            if batch.snapshot is not None:
                snapshots.append(batch)
            for key, fields in batch.calls.items():
                whole.calls[key] = merged(whole.calls.get(key, {}), fields)
            for place, fields in batch.facts.items():
                whole.facts[place] = merged(whole.facts.get(place, {}), fields)
            whole.positions |= batch.positions
            whole.wish = batch.wish
            # The word that nothing more comes stays for whoever asked for it.
            following = None if self._batches.empty() else self._batches.peek()
            if following is None or whole.wish is not None:
                return whole, snapshots
            batch = following
            self._batches.get()

    def _save(self, stopping: Flag, batch: Batch) -> bool:
        changed = batch.snapshot or []
        if not self._keep(stopping, lambda: self._store.save(batch.partition, batch.kept_at, changed)):
            return False
        metrics.SNAPSHOTS.inc(len(changed))
        return True

    def _done(self, batch: Batch) -> None:
        self.written |= batch.positions
        metrics.BATCHES_WAITING.set(self._batches.qsize())

    def _keep(self, stopping: Flag, work: Callable[[], None]) -> bool:
        """Do something with the store until it succeeds; False when the service stops before that."""
        while True:
            try:
                work()
            except StoreUnavailable as error:
                metrics.STORE_FAILURES.inc()
                if not self.trouble:
                    log.warning("store_unavailable", reason=str(error))
                self.trouble = str(error)
                if stopping.wait(RETRY_SECONDS):
                    return False
            else:
                if self.trouble:
                    log.info("store_is_back")
                self.trouble = ""
                return True
