"""Norms over those who left a queue: whether they are kept (SPEC 8, as far as rules need it)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.webhooks.domain.rules.counting import Recent, Visit

LEAST_VISITS: Final = 10
_ANSWERED, _ABANDONED = "answered", "abandoned"


@dataclass(frozen=True, slots=True)
class Change:
    """A norm is broken from now on, or kept again."""

    is_violated: bool
    value: float
    norm: float


@dataclass(slots=True)
class Norm:
    """What a rule with `kpi` knows: the last visits of each queue.

    A norm counts as broken when the visit before left it broken within the span; when a span goes by without a visit
    nothing is known of it any more, and the next visit is judged anew.
    """

    kpi: tn.RuleKpi
    recent: Recent[Visit]

    def add(self, event_id: str, at_ms: int, facts: dict[str, Any]) -> Change | None:
        """Take a queue.left; return what it changes. Visits that the measure leaves out change nothing."""
        visit = _visit(event_id, at_ms, facts)
        if visit is None or self.kpi.queue_id not in ("", facts["queue"]):
            return None
        visits = self.recent.of(facts["queue"], at_ms)
        if any(earlier.event_id == event_id for earlier in visits):
            return None
        since_ms = at_ms - self.kpi.seconds * 1000
        was_over = bool(visits) and visits[-1].is_over and visits[-1].at_ms > since_ms
        counted = [one for one in visits if since_ms < one.at_ms <= at_ms] + [visit]
        value = _MEASURES[self.kpi.measure](counted)
        is_over = value is not None and len(counted) >= (self.kpi.least_visits or LEAST_VISITS) and self._breaks(value)
        visits.append(replace(visit, is_over=is_over))
        return Change(is_over, value or 0.0, self.allowed) if is_over != was_over else None

    @property
    def allowed(self) -> float:
        """The norm itself."""
        return self.kpi.at_least if self.kpi.HasField("at_least") else self.kpi.at_most

    def _breaks(self, value: float) -> bool:
        return value < self.kpi.at_least if self.kpi.HasField("at_least") else value > self.kpi.at_most


def _visit(event_id: str, at_ms: int, facts: dict[str, Any]) -> Visit | None:
    exit_way, fields = facts["event"].get("exit"), facts["event"]
    if exit_way not in (_ANSWERED, _ABANDONED):
        return None
    within = bool(fields.get("within_service_level"))
    return Visit(event_id, at_ms, exit_way == _ANSWERED, within, int(fields.get("wait_ms", 0)))


def _service_level(visits: Sequence[Visit]) -> float | None:
    return 100 * sum(visit.is_answered and visit.is_within for visit in visits) / len(visits)


def _abandon_rate(visits: Sequence[Visit]) -> float | None:
    return 100 * sum(not visit.is_answered for visit in visits) / len(visits)


def _average_wait(visits: Sequence[Visit]) -> float | None:
    waits = [visit.wait_ms for visit in visits if visit.is_answered]
    return sum(waits) / len(waits) / 1000 if waits else None


_MEASURES: Final[dict[int, Callable[[Sequence[Visit]], float | None]]] = {
    tn.RULE_MEASURE_SERVICE_LEVEL: _service_level,
    tn.RULE_MEASURE_ABANDON_RATE: _abandon_rate,
    tn.RULE_MEASURE_AVERAGE_WAIT: _average_wait,
}
