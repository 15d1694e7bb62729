"""Keeps the report tables up with the documents: reads what changed since, derives its rows, replaces them."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import gevent
import structlog
from gevent.event import Event as Flag

from services.stats import metrics
from services.stats.adapters.columns import Columns
from services.stats.domain.facts.kept import AGENT_FACTS, CALLBACKS, CALLS, HAPPENINGS
from services.stats.domain.facts.legs import LEGS, rows_of_legs
from services.stats.domain.facts.others import rows_of
from services.stats.domain.facts.rows import Rows, rows_of_call
from services.stats.store import Store, StoreUnavailable

COLLECTIONS: Final = (CALLS, AGENT_FACTS, CALLBACKS, HAPPENINGS, LEGS)
BATCH: Final = 500
# How often tables are brought up to date when nobody asks: who asks then waits for little.
FOLLOW_SECONDS: Final = 5.0
FORGET_EVERY: Final = 720
DAY_MS: Final = 86_400_000
_T = TypeVar("_T")

log = structlog.get_logger()


def threaded(work: Callable[..., _T], *arguments: Any) -> _T:
    """Do something that blocks in a thread, while the hub goes on."""
    result: _T = gevent.get_hub().threadpool.apply(work, arguments)
    return result


class Mirror:
    """Brings a tenant's tables up to date. A kill in between repeats only what changes nothing.

    One reading a tenant runs at a time, to its end: who does not want to wait for it leaves it running.
    """

    def __init__(self, store: Store, columns: Columns, retention_days: int = 0) -> None:
        self._store = store
        self._columns = columns
        self._retention_days = retention_days
        self._readings: dict[str, gevent.Greenlet] = {}

    def run(self, stopping: Flag, tenants: Callable[[], Iterable[str]], now_ms: Callable[[], int]) -> None:
        """Follow the documents of some tenants until stopped."""
        rounds = 0
        while not stopping.wait(FOLLOW_SECONDS):
            for tenant_id in list(tenants()):
                try:
                    self.update(tenant_id, FOLLOW_SECONDS)
                    if self._retention_days and rounds % FORGET_EVERY == 0:
                        before = now_ms() - self._retention_days * DAY_MS
                        threaded(self._columns.forget_before, tenant_id, before)
                except StoreUnavailable as error:
                    log.warning("documents_not_mirrored", tenant_id=tenant_id, reason=str(error))
            rounds += 1

    def update(self, tenant_id: str, wait_seconds: float) -> bool:
        """Wait for so long at most; True when everything that was written when it began is in the tables.

        Raises StoreUnavailable.
        """
        with gevent.Timeout(wait_seconds, exception=False):
            # A reading that is under way may have begun before what the caller wants to see was written.
            while (running := self._readings.get(tenant_id)) is not None and not running.ready():
                running.join()
            reading = self._readings[tenant_id] = gevent.spawn(self._update, tenant_id)
            failure = reading.get()
            if failure is not None:
                raise failure
            return True
        return False

    def _update(self, tenant_id: str) -> StoreUnavailable | None:
        """Read on to the mark; return what the store lacks, for whoever still waits."""
        try:
            generation = self._store.generation(tenant_id)
            marks = {each: self._store.mark(tenant_id, each) for each in (CALLS, LEGS)}
            mark_of = {each: marks.get(each, marks[CALLS]) for each in COLLECTIONS}
            known = {each: threaded(self._columns.revision, tenant_id, each) for each in COLLECTIONS}
            is_other = generation != threaded(self._columns.generation, tenant_id)
            if is_other or any(mark_of[each] < known[each] for each in COLLECTIONS):
                # The documents were rebuilt, or are of another log: nothing that we know counts.
                threaded(self._columns.clear, tenant_id, generation)
                known = dict.fromkeys(COLLECTIONS, 0)
            for collection, revision in known.items():
                if revision < mark_of[collection]:
                    self._read(tenant_id, collection, revision, mark_of[collection])
        except StoreUnavailable as error:
            return error
        return None

    def _read(self, tenant_id: str, collection: str, revision: int, mark: int) -> None:
        rows: Rows = {}
        count = 0
        for document in self._store.changed(tenant_id, collection, revision):
            for table, fresh in _rows(collection, document).items():
                rows.setdefault(table, []).extend(fresh)
            count += 1
            if count % BATCH == 0:
                # Sorted by revision, but several documents may share one: the next reading begins with it again.
                done = min(document["rev"] - 1, mark)
                threaded(self._columns.put, tenant_id, collection, rows, done)
                rows = {}
            elif count % 50 == 0:
                gevent.sleep(0.0005)
        threaded(self._columns.put, tenant_id, collection, rows, mark)
        metrics.MIRRORED.inc(count)


def _rows(collection: str, document: dict[str, Any]) -> Rows:
    if collection == CALLS:
        return rows_of_call(document["call_id"], document.get("facts", {}))
    if collection == LEGS:
        return rows_of_legs(document)
    rows = rows_of(collection, document)
    for row in rows.get("happenings", []):
        row["event_id"] = document["key"]
    return rows
