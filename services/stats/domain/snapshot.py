"""A tenant's live state as a document of lists, numbers and texts, and back (DESIGN rule 4)."""

import heapq
from typing import Any, Final

from services.stats.domain.completeness import Completeness
from services.stats.domain.live import Ledger, QueueLive, SeenAgent, SeenCall, Stage, TenantLive
from services.stats.domain.tally import Tally

# A snapshot of another form is not read: the log is replayed from its beginning instead.
FORM: Final = 1
_COUNTERS: Final = ("now_ms", "newest_ms", "floor_ms", "late", "dropped_calls")


def to_document(live: TenantLive) -> dict[str, Any]:
    """Return the whole state."""
    return {
        "form": FORM,
        "counters": [getattr(live, name) for name in _COUNTERS],
        "calls": {call_id: _call_row(call) for call_id, call in live.calls.items()},
        "waiting": {queue_id: queue.line.members() for queue_id, queue in live.queues.items()},
        "agents": {agent_id: _agent_row(agent) for agent_id, agent in live.agents.items()},
        "queues": {queue_id: _ledger_rows(queue.ledger) for queue_id, queue in live.queues.items()},
        "total": _ledger_rows(live.total),
        "calls_by_start": list(live.calls_by_start.quarters.items()),
        "trend": list(live.waiting_trend.levels.items()),
        "completeness": live.completeness.to_document(),
    }


def from_document(document: dict[str, Any]) -> TenantLive | None:
    """Return the state; None when the document has another form."""
    if document.get("form") != FORM:
        return None
    live = TenantLive()
    for name, value in zip(_COUNTERS, document["counters"], strict=True):
        setattr(live, name, value)
    _read_ledger(live.total, document["total"], live.now_ms)
    for queue_id, rows in document["queues"].items():
        queue = live.queues[queue_id] = QueueLive()
        _read_ledger(queue.ledger, rows, live.now_ms)
        for call_id, since_ms in document["waiting"][queue_id].items():
            queue.line.join(call_id, since_ms)
    for call_id, row in document["calls"].items():
        _read_call(live, call_id, row)
    heapq.heapify(live.ended)
    for agent_id, row in document["agents"].items():
        live.agents[agent_id] = _agent_of(row)
    live.calls_by_start.quarters = dict(document["calls_by_start"])
    live.waiting_trend.levels = {minute: (highest, last) for minute, (highest, last) in document["trend"]}
    live.completeness = Completeness.from_document(document["completeness"])
    return live


def _call_row(call: SeenCall) -> list[Any]:
    # The bits are written in hexadecimal: there may be more of them than a number of JSON holds.
    return [f"{call.seen:x}", call.sequence, int(call.stage), call.queue_id, call.ended_ms, call.is_counted]


def _read_call(live: TenantLive, call_id: str, row: list[Any]) -> None:
    seen, sequence, stage, queue_id, ended_ms, is_counted = row
    call = live.calls[call_id] = SeenCall(int(seen, 16), sequence, Stage(stage), queue_id, ended_ms, is_counted)
    if call.stage is Stage.ENDED:
        live.ended.append((ended_ms, call_id))
    else:
        live.stages[call.stage] += 1


def _agent_row(agent: SeenAgent) -> list[Any]:
    return [agent.state, agent.since_ms, agent.queue_id, agent.state_at, agent.status, agent.reason, agent.status_at]


def _agent_of(row: list[Any]) -> SeenAgent:
    state, since_ms, queue_id, state_at, status, reason, status_at = row
    return SeenAgent(state, since_ms, queue_id, tuple(state_at), status, reason, tuple(status_at))


def _ledger_rows(ledger: Ledger) -> list[Any]:
    return [
        [[second, *tally.as_list()] for second, tally in ledger.windows.seconds()],
        [[quarter, *tally.as_list()] for quarter, tally in ledger.book.quarters()],
    ]


def _read_ledger(ledger: Ledger, rows: list[Any], now_ms: int) -> None:
    seconds, quarters = rows
    ledger.windows.advance(now_ms // 1000)
    for second, *sums in seconds:
        ledger.windows.add(second, Tally(*sums))
    for quarter, *sums in quarters:
        ledger.book.of_quarter(quarter).add(Tally(*sums))
