"""Judges norms once a while and tells when one is broken or kept again: exactly once each, whatever dies in between.

The intent is kept before the event is told, and the event's id is derived from the turn: a kill between any two lines
repeats an event that everybody knows by its id, and loses none.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import structlog
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats import metrics
from services.stats.domain.board import Board
from services.stats.domain.kpi import Norm, Standing, judge
from services.stats.domain.reports.query import BadQuery
from services.stats.reporting import Reports, TooBusy, TooLong
from services.stats.store import Store, StoreUnavailable

NORMS: Final = "norms"
JUDGE_SECONDS: Final = 15.0
MINUTE_MS: Final = 60_000
# What says how many there were to judge by, for metrics of a source.
_COUNTS: Final = {
    "visits": "offered",
    "calls": "calls",
    "talks": "handled",
    "offers": "offers",
    "firsts": "first_calls",
}
Publish = Callable[[Event], None]

log = structlog.get_logger()


class Norms:
    """Follows the norms of every tenant whose events are ours. `publish` waits for the acknowledgement."""

    def __init__(self, board: Board, reports: Reports, store: Store, clock: Clock, publish: Publish) -> None:
        self._board = board
        self._reports = reports
        self._store = store
        self._clock = clock
        self._publish = publish

    def run(self, stopping: Flag) -> None:
        """Judge until stopped."""
        while not stopping.wait(JUDGE_SECONDS):
            for tenant_id in list(self._board.lives()):
                if self._board.profile(tenant_id).norms and not self._board.trouble:
                    self.judge_tenant(tenant_id)

    def judge_tenant(self, tenant_id: str) -> None:
        """Judge one tenant's norms once; what can't be judged now is judged the next time."""
        try:
            norms = self._board.profile(tenant_id).norms
            kept = self._store.kept(NORMS, tenant_id, [_key(norm) for norm in norms])
            known = {each["key"]: _standing(each) for each in kept}
            for norm in norms:
                self._judge(tenant_id, norm, known.get(_key(norm), Standing()))
        except (StoreUnavailable, BusUnavailable, TooBusy, TooLong) as error:
            log.warning("norms_not_judged", tenant_id=tenant_id, reason=str(error) or type(error).__name__)

    def _judge(self, tenant_id: str, norm: Norm, standing: Standing) -> None:
        if not standing.is_told:
            self._tell(tenant_id, norm, standing)
        now_ms = self._clock.now_ms()
        try:
            value, count = self._measure(tenant_id, norm, now_ms)
        except BadQuery as error:
            log.warning("norm_not_understood", tenant_id=tenant_id, kpi_id=norm.kpi_id, reason=str(error))
            return
        found = judge(norm, standing, value, count, now_ms)
        if found is not standing:
            self._store.keep(NORMS, tenant_id, _key(norm), asdict(found))
            self._tell(tenant_id, norm, found)

    def _tell(self, tenant_id: str, norm: Norm, standing: Standing) -> None:
        event = Event(event_id=f"kpi-{tenant_id}-{_key(norm)}-{standing.turn}", tenant_id=tenant_id)
        event.subject = f"kpi:{norm.kpi_id}"
        event.time.FromMilliseconds(standing.at_ms)
        body = event.kpi_violated if standing.is_violated else event.kpi_recovered
        body.kpi_id, body.subject, body.value, body.norm = norm.kpi_id, norm.subject, standing.value, standing.norm
        self._publish(event)
        self._store.keep(NORMS, tenant_id, _key(norm), {"is_told": True})
        metrics.NORMS_TOLD.labels("violated" if standing.is_violated else "recovered").inc()

    def _measure(self, tenant_id: str, norm: Norm, now_ms: int) -> tuple[float | None, int]:
        """Return the metric's value over the window, and how many it is over."""
        dictionary = self._reports.dictionary
        if norm.metric not in dictionary.metrics:
            raise BadQuery("unknown-metric", "metric", f"There is no metric {norm.metric}.")
        source = dictionary.sources_of([norm.metric])[0]
        count = _COUNTS.get(source, "")
        asked: dict[str, Any] = {
            "from": now_ms - norm.window_minutes * MINUTE_MS,
            "until": now_ms,
            "groups": [],
            "metrics": list(dict.fromkeys([norm.metric, *([count] if count else [])])),
        }
        kind, _, subject = norm.subject.partition(":")
        if kind in ("queue", "agent"):
            asked["filters"] = {kind: [subject]}
        query = self._reports.query(tenant_id, "summary", asked)
        if self._reports.refresh(tenant_id):
            return None, 0
        totals = self._reports.totals(tenant_id, query)
        value = totals[norm.metric]
        return (value if isinstance(value, int | float) else None), int(totals[count]) if count else norm.least_count


def _key(norm: Norm) -> str:
    return f"{norm.kpi_id}-{norm.subject.replace(':', '-')}"


def _standing(document: dict[str, Any]) -> Standing:
    return Standing(**{name: document[name] for name in asdict(Standing()) if name in document})
