"""The live numbers as Prometheus gauges (SPEC 8.1), read when they are scraped."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import gevent
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.stats.domain.board import Board
from services.stats.domain.live import TenantLive
from services.stats.domain.profile import Profile, day_of
from services.stats.domain.quantiles import quantile_ms
from services.stats.domain.seen import Ledger, SeenAgent, Stage
from services.stats.domain.shift import Worked
from services.stats.domain.tally import Tally, service_level, service_level_parts
from services.stats.domain.view import (
    RECENT,
    WINDOW_NAMES,
    estimate_ms,
    line_of_day,
    members_of,
    recent_time,
    time_of_day,
)
from services.stats.metrics import LIVE, SERIES_LEFT_OUT

MOST_SERIES: Final = 200_000
"""Of one scrape. Prometheus takes as many from one place easily; what goes beyond is left out, finest detail first."""
DETAILS: Final = ("tenant", "queue", "line", "agent")
QUANTILES: Final = ("0.5", "0.95")
_WINDOW_SECONDS: Final = 900
_NOW_SECONDS: Final = 300
"""The shortest window of which a ratio still says something: what SPEC 8.1 calls the service level now."""
NOW: Final = WINDOW_NAMES[_NOW_SECONDS]
Sample = tuple[str, tuple[str, ...], float]
Day = tuple[int, int]


class LiveCollector(Collector):
    """Labels come from the tenants' documents alone, so nothing that a caller does makes a series.

    A detail (DETAILS) is told of all tenants or of none: a panel never shows half of them without a word.
    """

    def __init__(self, board: Board, now_ms: Callable[[], int], most_series: int = MOST_SERIES) -> None:
        self._board = board
        self._now_ms = now_ms
        self._most_series = most_series

    def describe(self) -> list[Metric]:
        """Return nothing: the names are known only while it collects."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return every gauge. Others have their turn between two tenants and between two gauges."""
        families = {
            name: GaugeMetricFamily(f"ringmaster_stats_{name}", text, labels=labels)
            for name, (text, labels) in LIVE.items()
        }
        for name, labels, value in self._within_bounds():
            families[name].add_metric(labels, value)
        for family in families.values():
            gevent.idle()
            yield family

    def _within_bounds(self) -> Iterator[Sample]:
        told, counts = 0, dict.fromkeys(self._board.tenant_ids(), 0)
        for detail in DETAILS:
            found = self._samples(detail)
            fits = told + len(found) <= self._most_series
            SERIES_LEFT_OUT.labels(detail).set(0 if fits else len(found))
            if not fits:
                continue
            told += len(found)
            for sample in found:
                counts[sample[1][0]] += 1
            yield from found
        yield from (("series_of_tenant", (tenant_id,), count) for tenant_id, count in counts.items())

    def _samples(self, detail: str) -> list[Sample]:
        found: list[Sample] = []
        now_ms = self._now_ms()
        for tenant_id in self._board.tenant_ids():
            gevent.idle()
            live = self._board.lives().get(tenant_id)
            if live is None:
                continue
            profile = self._board.profile(tenant_id)
            live.advance(now_ms)
            found += _TOLD[detail](live, profile, day_of(now_ms, profile.time_zone), now_ms)
        return found


def _of_tenant(live: TenantLive, profile: Profile, day: Day, now_ms: int) -> Iterator[Sample]:
    tenant = profile.tenant_id
    for stage in (Stage.FLOW, Stage.WAITING, Stage.TALKING):
        yield "calls", (tenant, stage.name.lower()), live.stages[stage]
    for what, count in ({"started": 0} | live.calls_by_start.total(*day)).items():
        yield "calls_today", (tenant, what), count
    everybody = [live.agents.get(agent_id) or SeenAgent() for agent_id in profile.agents]
    for state, count in Counter(agent.state for agent in everybody).items():
        yield "agents", (tenant, state), count
    agents = [agent for agent_id in profile.agents if (agent := live.agents.get(agent_id))]
    yield from _occupancy("occupancy_ratio", (tenant,), agents, day, now_ms)
    for window, sums in _windows(live.total, day):
        served, counted = service_level_parts(sums)
        yield "service_level_callers", (tenant, window, "served"), served
        yield "service_level_callers", (tenant, window, "counted"), counted
        yield from _ratio("abandon_ratio", (tenant, window), sums.abandon_ratio)
        yield from _seconds("mean_wait_seconds", (tenant, window), sums.mean_answered_wait_ms)
        yield from _seconds("mean_handle_seconds", (tenant, window), sums.mean_handle_ms)
    yield from _levels("service_level_ratio", (tenant,), live.total, day)
    since = [at_ms for queue in live.queues.values() if (at_ms := queue.line.oldest_ms()) is not None]
    yield "longest_wait_seconds", (tenant,), max(0, now_ms - min(since, default=now_ms)) / 1000
    yield "complete", (tenant,), int(not live.completeness.marks(day[0], now_ms))


def _of_queues(live: TenantLive, profile: Profile, day: Day, now_ms: int) -> Iterator[Sample]:
    for queue_id in profile.queues:
        labels = (profile.tenant_id, queue_id)
        queue = live.queue(queue_id)
        members = members_of(live, profile, queue_id)
        oldest_ms = queue.line.oldest_ms()
        yield "queue_waiting", labels, len(queue.line)
        yield "queue_longest_wait_seconds", labels, 0 if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000
        yield "queue_free_agents", labels, sum(agent.state == "idle" for agent in members)
        for state, count in Counter(agent.state for agent in members).items():
            yield "queue_agents", (*labels, state), count
        yield from _seconds("queue_estimated_wait_seconds", labels, estimate_ms(queue, members, now_ms))
        yield from _occupancy("queue_occupancy_ratio", labels, members, day, now_ms)
        yield from _levels("queue_service_level_ratio", labels, queue.ledger, day)
        for window, sums in _windows(queue.ledger, day):
            yield from _of_window((*labels, window), sums)


def _of_window(labels: tuple[str, ...], sums: Tally) -> Iterator[Sample]:
    for outcome in ("answered", "abandoned", "other"):
        yield "queue_callers", (*labels, outcome), getattr(sums, outcome)
    yield from _ratio("queue_abandon_ratio", labels, sums.abandon_ratio)
    yield from _seconds("queue_mean_wait_seconds", labels, sums.mean_answered_wait_ms)
    yield from _seconds("queue_mean_handle_seconds", labels, sums.mean_handle_ms)
    for quantile in QUANTILES:
        wait_ms = quantile_ms(sums.waits, float(quantile))
        yield from _seconds("queue_wait_quantile_seconds", (*labels, quantile), wait_ms)


def _of_lines(live: TenantLive, profile: Profile, day: Day, _now_ms: int) -> Iterator[Sample]:
    for number in profile.lines:
        line = live.line(number)
        yield "line_calls", (profile.tenant_id, number), line.in_progress
        for what, count in line_of_day(line, day).items():
            yield "line_calls_today", (profile.tenant_id, number, what), count


def _of_agents(live: TenantLive, profile: Profile, day: Day, now_ms: int) -> Iterator[Sample]:
    for agent_id in profile.agents:
        agent = live.agents.get(agent_id)
        if agent is None:
            continue
        labels = (profile.tenant_id, agent_id)
        today = agent.ledger.book.total(*day)
        yield "agent_state", (*labels, agent.state), 1
        yield "agent_answered_today", labels, today.answered
        yield "agent_missed_today", labels, today.missed
        yield from _occupancy("agent_occupancy_ratio", labels, [agent], day, now_ms)
        agent.ledger.advance(now_ms)
        for window, sums in _windows(agent.ledger, day):
            yield from _seconds("agent_mean_handle_seconds", (*labels, window), sums.mean_handle_ms)


def _levels(name: str, labels: tuple[str, ...], ledger: Ledger, day: Day) -> Iterator[Sample]:
    for window, sums in [(NOW, ledger.windows.total(_NOW_SECONDS)), *_windows(ledger, day)]:
        yield from _ratio(name, (*labels, window), service_level(sums))


def _windows(ledger: Ledger, day: Day) -> list[tuple[str, Tally]]:
    return [(RECENT, ledger.windows.total(_WINDOW_SECONDS)), ("today", ledger.book.total(*day))]


def _occupancy(name: str, labels: tuple[str, ...], agents: list[SeenAgent], day: Day, now_ms: int) -> Iterator[Sample]:
    times: list[tuple[str, Worked]] = [
        (RECENT, recent_time(agents, now_ms)),
        ("today", time_of_day(agents, day, now_ms)),
    ]
    for window, time in times:
        yield from _ratio(name, (*labels, window), time.occupancy)


def _ratio(name: str, labels: tuple[str, ...], ratio: float | None) -> Iterator[Sample]:
    """Tell a ratio; where nobody counts for it there is none."""
    if ratio is not None:
        yield name, labels, ratio


def _seconds(name: str, labels: tuple[str, ...], milliseconds: int | None) -> Iterator[Sample]:
    if milliseconds is not None:
        yield name, labels, milliseconds / 1000


_TOLD: Final = {"tenant": _of_tenant, "queue": _of_queues, "line": _of_lines, "agent": _of_agents}
