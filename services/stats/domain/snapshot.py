"""A tenant's live state as a document of lists, numbers and texts, and back (DESIGN rule 4)."""

import heapq
from typing import Any, Final

from services.stats.domain.completeness import Completeness
from services.stats.domain.live import TenantLive
from services.stats.domain.seen import Ledger, LineLive, QueueLive, SeenAgent, SeenCall, Stage
from services.stats.domain.shift import Shift
from services.stats.domain.tally import tally_of_list

# A snapshot of another form is not read: the log is replayed from its beginning instead.
FORM: Final = 2
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
        "estimates": {queue_id: queue.estimate for queue_id, queue in live.queues.items()},
        "lines": {number: _line_row(line) for number, line in live.lines.items()},
        "total": _ledger_rows(live.total),
        "calls_by_start": list(live.calls_by_start.quarters.items()),
        "trend": list(live.waiting_trend.levels.items()),
        "completeness": live.completeness.to_document(),
        "lacks_ms": live.lacks_ms,
    }


def from_document(document: dict[str, Any]) -> TenantLive | None:
    """Return the state; None when the document has another form."""
    if document.get("form") != FORM:
        return None
    live = TenantLive()
    for name, value in zip(_COUNTERS, document["counters"], strict=True):
        setattr(live, name, value)
    live.lacks_ms = document.get("lacks_ms", 0)  # a snapshot from before it was noted has none
    _read_ledger(live.total, document["total"], live.now_ms)
    for queue_id, rows in document["queues"].items():
        queue = live.queues[queue_id] = QueueLive()
        _read_ledger(queue.ledger, rows, live.now_ms)
        for call_id, since_ms in document["waiting"][queue_id].items():
            queue.line.join(call_id, since_ms)
        queue.estimate = tuple(document["estimates"][queue_id])
    for number, (calls, rows) in document["lines"].items():
        line = live.lines[number] = LineLive()
        line.calls.quarters = dict(calls)
        _read_ledger(line.ledger, rows, live.now_ms)
    for call_id, row in document["calls"].items():
        _read_call(live, call_id, row)
    heapq.heapify(live.ended)
    for agent_id, row in document["agents"].items():
        live.agents[agent_id] = _agent_of(row, live.now_ms)
    live.calls_by_start.quarters = dict(document["calls_by_start"])
    live.waiting_trend.levels = {minute: (highest, last) for minute, (highest, last) in document["trend"]}
    live.completeness = Completeness.from_document(document["completeness"])
    return live


def _call_row(call: SeenCall) -> list[Any]:
    # The bits are written in hexadecimal: there may be more of them than a number of JSON holds.
    told = [call.since_ms, call.line, call.agent_id, call.caller]
    return [f"{call.seen:x}", call.sequence, int(call.stage), call.queue_id, call.ended_ms, call.is_counted, *told]


def _read_call(live: TenantLive, call_id: str, row: list[Any]) -> None:
    seen, sequence, stage, queue_id, ended_ms, is_counted, since_ms, line, agent_id, caller = row
    call = live.calls[call_id] = SeenCall(int(seen, 16), sequence, Stage(stage), queue_id, ended_ms, is_counted)
    call.since_ms, call.line, call.agent_id, call.caller = since_ms, line, agent_id, (caller[0], caller[1])
    if call.stage is Stage.ENDED:
        live.ended.append((ended_ms or since_ms, call_id))
        return
    live.stages[call.stage] += 1
    live.open_calls[call_id] = call
    if call.is_counted:
        live.lines[line].in_progress += 1


def _line_row(line: LineLive) -> list[Any]:
    return [list(line.calls.quarters.items()), _ledger_rows(line.ledger)]


def _agent_row(agent: SeenAgent) -> list[Any]:
    state = [agent.state, agent.since_ms, agent.queue_id, agent.state_at]
    status = [agent.status, agent.reason, agent.status_at, agent.wrapped_at]
    return [*state, *status, agent.shift.to_rows(), _ledger_rows(agent.ledger)]


def _agent_of(row: list[Any], now_ms: int) -> SeenAgent:
    state, since_ms, queue_id, state_at, status, reason, status_at, wrapped_at, shift, rows = row
    agent = SeenAgent(state, since_ms, queue_id, tuple(state_at), status, reason, tuple(status_at), tuple(wrapped_at))
    agent.shift = Shift.from_rows(shift)
    _read_ledger(agent.ledger, rows, now_ms)
    return agent


def _ledger_rows(ledger: Ledger) -> list[Any]:
    return [
        [[second, *tally.as_list()] for second, tally in ledger.windows.seconds()],
        [[quarter, *tally.as_list()] for quarter, tally in ledger.book.quarters()],
    ]


def _read_ledger(ledger: Ledger, rows: list[Any], now_ms: int) -> None:
    seconds, quarters = rows
    ledger.windows.advance(now_ms // 1000)
    for second, *sums in seconds:
        ledger.windows.add(second, tally_of_list(sums))
    for quarter, *sums in quarters:
        ledger.book.of_quarter(quarter).add(tally_of_list(sums))
