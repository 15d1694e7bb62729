"""What GET /v1/live answers: one tenant's live numbers at a moment, as a document for JSON.

Times are milliseconds; a ratio is 0 to 1, or null when nobody counts for it; a mean is null when there is nothing.
"""

from typing import Any, Final

from services.stats.domain.live import Ledger, QueueLive, SeenAgent, Stage, TenantLive
from services.stats.domain.profile import Profile, day_of
from services.stats.domain.tally import DEFAULT_SERVICE_LEVEL, ServiceLevel, Tally, service_level
from services.stats.domain.windows import QUARTER_MS

WINDOW_NAMES: Final = {300: "last_5_min", 900: "last_15_min"}
_ABANDONED: Final = ("abandoned", "short_abandoned")


def view_of(live: TenantLive, profile: Profile, now_ms: int, trouble: str = "") -> dict[str, Any]:
    """Return the document. `trouble` is a word for what the process itself lacks, for example that it catches up."""
    live.advance(now_ms)
    day = day_of(now_ms, profile.time_zone)
    return {
        "tenant": {"id": profile.tenant_id, "name": profile.name or profile.tenant_id, "time_zone": profile.time_zone},
        "now_ms": now_ms,
        "last_event_ms": live.newest_ms or None,
        "completeness": _completeness(live, day[0], now_ms, trouble),
        "calls": _calls_now(live),
        "today": {"from_ms": day[0], "until_ms": day[1], **_calls_of_day(live, day)},
        "queue_totals": _ledger(live.total, day),
        "queues": [_queue(live, profile, queue_id, day, now_ms) for queue_id in _queue_ids(live, profile)],
        "agents": [_agent(profile, agent_id, agent) for agent_id, agent in _agents(live, profile).items()],
        "agents_by_state": _by_state(_agents(live, profile).values()),
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
    if live.late or live.dropped_calls:
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
        "service_level": service_level(tally),
        "service_levels": {variant.name: service_level(tally, variant) for variant in ServiceLevel},
    }


def _queue_ids(live: TenantLive, profile: Profile) -> list[str]:
    """Return the document's queues in its order, then those that only events know and that still mean something."""
    others = sorted(queue_id for queue_id in live.queues if queue_id and queue_id not in profile.queues)
    return [*profile.queues, *others]


def _queue(live: TenantLive, profile: Profile, queue_id: str, day: tuple[int, int], now_ms: int) -> dict[str, Any]:
    queue = live.queues.get(queue_id) or _empty(now_ms)
    members = [live.agents.get(agent_id, SeenAgent()) for agent_id in profile.queues.get(queue_id, ())]
    return {
        "id": queue_id,
        "threshold_seconds": profile.threshold_seconds(queue_id),
        "waiting": len(queue.line),
        "longest_waiting_since_ms": queue.line.oldest_ms(),
        "agents_by_state": _by_state(members),
        **_ledger(queue.ledger, day),
    }


def _empty(now_ms: int) -> QueueLive:
    queue = QueueLive()
    queue.ledger.windows.advance(now_ms // 1000)
    return queue


def _agents(live: TenantLive, profile: Profile) -> dict[str, SeenAgent]:
    """Return the document's agents; those that only events know are shown until they are offline."""
    found = {agent_id: live.agents.get(agent_id) or SeenAgent() for agent_id in profile.agents}
    for agent_id, agent in live.agents.items():
        if agent_id not in found and agent.state != "offline":
            found[agent_id] = agent
    return found


def _agent(profile: Profile, agent_id: str, agent: SeenAgent) -> dict[str, Any]:
    return {
        "id": agent_id,
        "name": profile.agents.get(agent_id, agent_id),
        "state": agent.state,
        "since_ms": agent.since_ms or None,
        "queue_id": agent.queue_id,
        "status": agent.status,
        "reason": agent.reason,
    }


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
