"""Keeps the report tables up with the documents: reads what changed since, derives its rows, replaces them."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from services.stats import metrics
from services.stats.adapters.columns import Columns
from services.stats.domain.facts.kept import AGENT_FACTS, CALLBACKS, CALLS, HAPPENINGS
from services.stats.domain.facts.others import rows_of
from services.stats.domain.facts.rows import Rows, rows_of_call
from services.stats.store import Store

COLLECTIONS: Final = (CALLS, AGENT_FACTS, CALLBACKS, HAPPENINGS)
BATCH: Final = 500
_T = TypeVar("_T")


def threaded(work: Callable[..., _T], *arguments: Any) -> _T:
    """Do something that blocks in a thread, while the hub goes on."""
    result: _T = gevent.get_hub().threadpool.apply(work, arguments)
    return result


class Mirror:
    """Brings a tenant's tables up to date. A kill in between repeats only what changes nothing."""

    def __init__(self, store: Store, columns: Columns) -> None:
        self._store = store
        self._columns = columns
        self._locks: dict[str, BoundedSemaphore] = {}

    def update(self, tenant_id: str, wait_seconds: float) -> bool:
        """Read on for so long at most; True when everything that was written when it began is in the tables.

        Raises StoreUnavailable.
        """
        lock = self._locks.setdefault(tenant_id, BoundedSemaphore(1))
        with gevent.Timeout(wait_seconds, exception=False), lock:
            return self._update(tenant_id)
        return False

    def _update(self, tenant_id: str) -> bool:
        mark = self._store.mark(tenant_id)
        known = {each: threaded(self._columns.revision, tenant_id, each) for each in COLLECTIONS}
        if mark < max(known.values()):
            # The documents were rebuilt, or are of another log: nothing that we know counts.
            threaded(self._columns.clear, tenant_id)
            known = dict.fromkeys(COLLECTIONS, 0)
        for collection, revision in known.items():
            if revision < mark:
                self._read(tenant_id, collection, revision, mark)
        return True

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
    rows = rows_of(collection, document)
    for row in rows.get("happenings", []):
        row["event_id"] = document["key"]
    return rows
