"""What GET /v1/live answers: one tenant's live numbers at a moment, as a document for JSON.

Times are milliseconds; a ratio is 0 to 1, or null when nobody counts for it; a mean is null when there is nothing.
"""

from collections.abc import Iterable
from heapq import nsmallest
from typing import Any, Final

from services.stats.domain.live import TenantLive
from services.stats.domain.profile import Profile, day_of
from services.stats.domain.quantiles import quantiles_ms
from services.stats.domain.seen import Ledger, LineLive, QueueLive, SeenAgent, SeenCall, Stage
from services.stats.domain.shift import WIDEST_MS, Worked, in_all
from services.stats.domain.tally import DEFAULT_SERVICE_LEVEL, ServiceLevel, Tally, service_level
from services.stats.domain.windows import QUARTER_MS

WINDOW_NAMES: Final = {300: "last_5_min", 900: "last_15_min"}
RECENT: Final = "last_15_min"
# Of the calls in progress so many are told one by one: those who wait first, the longest first.
MOST_CALLS_SHOWN: Final = 50
_ABANDONED: Final = ("abandoned", "short_abandoned")


def view_of(live: TenantLive, profile: Profile, now_ms: int, trouble: str = "") -> dict[str, Any]:
    """Return the document. `trouble` is a word for what the process itself lacks, for example that it catches up."""
    live.advance(now_ms)
    day = day_of(now_ms, profile.time_zone)
    agents = _agents(live, profile)
    return {
        "tenant": {"id": profile.tenant_id, "name": profile.name or profile.tenant_id, "time_zone": profile.time_zone},
        "now_ms": now_ms,
        "last_event_ms": live.newest_ms or None,
        "completeness": _completeness(live, day[0], now_ms, trouble),
        "calls": _calls_now(live),
        "today": {"from_ms": day[0], "until_ms": day[1], **_calls_of_day(live, day)},
        "queue_totals": _ledger(live.total, day),
        "queues": [_queue(live, profile, queue_id, day, now_ms) for queue_id in _queue_ids(live, profile)],
        "lines": [_line(live, profile, number, day) for number in _line_numbers(live, profile)],
        "agents": [_agent(profile, agent_id, agent, day, now_ms) for agent_id, agent in agents.items()],
        "agents_by_state": _by_state(agents.values()),
        "agents_time": _time(agents.values(), day, now_ms),
        "calls_now": [_call(call_id, call) for call_id, call in _shown_calls(live)],
        "service_level": {"variant": DEFAULT_SERVICE_LEVEL.name, "formula": DEFAULT_SERVICE_LEVEL.value},
        "series": {
            "quarters": _quarters(live, day, now_ms),
            "waiting_by_minute": live.waiting_trend.series(now_ms),
        },
    }


def _completeness(live: TenantLive, from_ms: int, now_ms: int, trouble: str) -> dict[str, Any]:
    marks = [
        {"kind": mark.kind, "node": mark.node, "from_ms": mark.from_ms, "until_ms": mark.until_ms}
        for mark in live.completeness.marks(from_ms, now_ms)
    ]
    if trouble:
        marks.append({"kind": trouble, "node": "", "from_ms": from_ms, "until_ms": None})
    if live.lacks_ms >= from_ms:
        marks.append({"kind": "late_events", "node": "", "from_ms": from_ms, "until_ms": now_ms})
    return {"is_complete": not marks, "marks": marks, "late_events": live.late, "dropped_calls": live.dropped_calls}


def _calls_now(live: TenantLive) -> dict[str, Any]:
    since = [queue.line.oldest_ms() for queue in live.queues.values()]
    return {
        "in_progress": sum(live.stages),
        "in_flow": live.stages[Stage.FLOW],
        "waiting": live.stages[Stage.WAITING],
        "talking": live.stages[Stage.TALKING],
        "longest_waiting_since_ms": min((each for each in since if each is not None), default=None),
    }


def _calls_of_day(live: TenantLive, day: tuple[int, int]) -> dict[str, Any]:
    counts = live.calls_by_start.total(*day)
    started = counts.pop("started", 0)
    return {"calls": {"started": started, **_by_outcome(counts), "by_exit": counts}}


def _by_outcome(counts: dict[str, int]) -> dict[str, int]:
    abandoned = sum(counts.get(name, 0) for name in _ABANDONED)
    answered, ended = counts.get("answered", 0), sum(counts.values())
    return {"answered": answered, "abandoned": abandoned, "other": ended - answered - abandoned}


def _ledger(ledger: Ledger, day: tuple[int, int]) -> dict[str, Any]:
    named = {name: _sums(ledger.windows.total(seconds)) for seconds, name in WINDOW_NAMES.items()}
    return {**named, "today": _sums(ledger.book.total(*day))}


def _sums(tally: Tally) -> dict[str, Any]:
    return {
        "offered": tally.offered,
        "answered": tally.answered,
        "answered_in_time": tally.answered_in_time,
        "abandoned": tally.abandoned,
        "abandoned_in_time": tally.abandoned_in_time,
        "short_abandoned": tally.short_abandoned,
        "other": tally.other,
        "mean_wait_ms": tally.mean_answered_wait_ms,
        "mean_talk_ms": tally.mean_talk_ms,
        "mean_handle_ms": tally.mean_handle_ms,
        "wait_quantiles_ms": quantiles_ms(tally.waits),
        "abandon_ratio": tally.abandon_ratio,
        "service_level": service_level(tally),
        "service_levels": {variant.name: service_level(tally, variant) for variant in ServiceLevel},
    }


def _queue_ids(live: TenantLive, profile: Profile) -> list[str]:
    """Return the document's queues in its order, then those that only events know and that still mean something."""
    others = sorted(queue_id for queue_id in live.queues if queue_id and queue_id not in profile.queues)
    return [*profile.queues, *others]


def _queue(live: TenantLive, profile: Profile, queue_id: str, day: tuple[int, int], now_ms: int) -> dict[str, Any]:
    queue = live.queues.get(queue_id) or _empty(now_ms)
    members = members_of(live, profile, queue_id)
    return {
        "id": queue_id,
        "threshold_seconds": profile.threshold_seconds(queue_id),
        "waiting": len(queue.line),
        "longest_waiting_since_ms": queue.line.oldest_ms(),
        "estimated_wait_ms": estimate_ms(queue, members, now_ms),
        "agents_by_state": _by_state(members),
        "agents_time": _time(members, day, now_ms),
        **_ledger(queue.ledger, day),
    }


def members_of(live: TenantLive, profile: Profile, queue_id: str) -> list[SeenAgent]:
    """Return the agents who serve a queue by the document; one of whom nothing was heard is offline."""
    return [live.agents.get(agent_id) or SeenAgent() for agent_id in profile.queues.get(queue_id, ())]


def estimate_ms(queue: QueueLive, members: list[SeenAgent], now_ms: int) -> int | None:
    """Return EWT: none at all while someone is free and nobody waits, else what who joined last was told; or None."""
    if not len(queue.line) and any(agent.state == "idle" for agent in members):
        return 0
    at_ms, estimate = queue.estimate
    return estimate if at_ms and now_ms - at_ms < WIDEST_MS else None


def _empty(now_ms: int) -> QueueLive:
    queue = QueueLive()
    queue.ledger.advance(now_ms)
    return queue


def _line_numbers(live: TenantLive, profile: Profile) -> list[str]:
    """Return the document's lines in its order, then those that only events know."""
    return [*profile.lines, *sorted(number for number in live.lines if number and number not in profile.lines)]


def _line(live: TenantLive, profile: Profile, number: str, day: tuple[int, int]) -> dict[str, Any]:
    line = live.lines.get(number) or LineLive()
    told = {"number": number, "label": profile.lines.get(number, ""), "in_progress": line.in_progress}
    return told | {"today": line_of_day(line, day)}


def line_of_day(line: LineLive, day: tuple[int, int]) -> dict[str, int]:
    """Return a line's calls that started on a day: started, and by outcome."""
    counts = line.calls.total(*day)
    return {"started": counts.pop("started", 0), **_by_outcome(counts)}


def _shown_calls(live: TenantLive) -> list[tuple[str, SeenCall]]:
    order = {Stage.WAITING: 0, Stage.TALKING: 1, Stage.FLOW: 2}
    return nsmallest(
        MOST_CALLS_SHOWN, live.open_calls.items(), key=lambda each: (order[each[1].stage], each[1].since_ms, each[0])
    )


def _call(call_id: str, call: SeenCall) -> dict[str, Any]:
    number, name = call.caller
    return {
        "id": call_id,
        "stage": call.stage.name.lower(),
        "since_ms": call.since_ms,
        "number": number,
        "name": name,
        "line": call.line,
        "queue_id": call.queue_id,
        "agent_id": call.agent_id,
    }


def _agents(live: TenantLive, profile: Profile) -> dict[str, SeenAgent]:
    """Return the document's agents; those that only events know are shown until they are offline."""
    found = {agent_id: live.agents.get(agent_id) or SeenAgent() for agent_id in profile.agents}
    for agent_id, agent in live.agents.items():
        if agent_id not in found and agent.state != "offline":
            found[agent_id] = agent
    return found


def _agent(profile: Profile, agent_id: str, agent: SeenAgent, day: tuple[int, int], now_ms: int) -> dict[str, Any]:
    agent.ledger.advance(now_ms)
    return {
        "id": agent_id,
        "name": profile.agents.get(agent_id, agent_id),
        "state": agent.state,
        "since_ms": agent.since_ms or None,
        "queue_id": agent.queue_id,
        "status": agent.status,
        "reason": agent.reason,
        RECENT: _work(agent.ledger.windows.total(WIDEST_MS // 1000), agent.shift.recent(now_ms)),
        "today": _work(agent.ledger.book.total(*day), agent.shift.of_day(*day, now_ms)),
    }


def _work(tally: Tally, time: Worked) -> dict[str, Any]:
    return {
        "answered": tally.answered,
        "missed": tally.missed,
        "mean_handle_ms": tally.mean_handle_ms,
        **_shares(time),
    }


def _shares(time: Worked) -> dict[str, Any]:
    return {
        "handled_ms": time.handled_ms,
        "idle_ms": time.idle_ms,
        "logged_in_ms": time.logged_in_ms,
        "occupancy": time.occupancy,
        "utilisation": time.utilisation,
    }


def _time(agents: Iterable[SeenAgent], day: tuple[int, int], now_ms: int) -> dict[str, Any]:
    return {
        RECENT: _shares(recent_time(agents, now_ms)),
        "today": _shares(time_of_day(agents, day, now_ms)),
    }


def recent_time(agents: Iterable[SeenAgent], now_ms: int) -> Worked:
    """Return the agents' time of the last 15 minutes, together."""
    return in_all([agent.shift.recent(now_ms) for agent in agents])


def time_of_day(agents: Iterable[SeenAgent], day: tuple[int, int], now_ms: int) -> Worked:
    """Return the agents' time of a day until now, together."""
    return in_all([agent.shift.of_day(*day, now_ms) for agent in agents])


def _by_state(agents: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for agent in agents:
        counts[agent.state] = counts.get(agent.state, 0) + 1
    return counts


def _quarters(live: TenantLive, day: tuple[int, int], now_ms: int) -> list[dict[str, Any]]:
    """Return the day's quarter hours until now: calls that started in each, service level of those who left then."""
    tallies = dict(live.total.book.quarters())
    found = []
    for quarter in range(day[0] // QUARTER_MS, min(day[1] // QUARTER_MS, now_ms // QUARTER_MS + 1)):
        counts = dict(live.calls_by_start.quarters.get(quarter, {}))
        started = counts.pop("started", 0)
        level = service_level(tallies.get(quarter, Tally()))
        found.append(
            {"from_ms": quarter * QUARTER_MS, "started": started, **_by_outcome(counts), "service_level": level}
        )
    return found
