"""Everything the statistics service measures. What the calls say is in LiveCollector, read when it is scraped."""

from collections.abc import Callable, Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.stats.domain.board import Board
from services.stats.domain.live import Stage, TenantLive
from services.stats.domain.profile import day_of
from services.stats.domain.tally import service_level
from services.stats.domain.view import WINDOW_NAMES

EVENTS = Counter(
    "ringmaster_stats_events_total", "Public events read, by what became of them in the live numbers.", ["outcome"]
)
EVENT_AGE_SECONDS = Histogram(
    "ringmaster_stats_event_age_seconds",
    "Platform time from an event to its place in the live numbers; not while a replay catches up.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
DOCUMENTS = Counter("ringmaster_stats_documents_written_total", "Documents of the call log written or changed.")
STORE_FAILURES = Counter("ringmaster_stats_store_failures_total", "Tries to use the document store that failed.")
BATCHES_WAITING = Gauge("ringmaster_stats_batches_waiting", "Batches that wait to be written to the document store.")
SNAPSHOTS = Counter("ringmaster_stats_snapshots_total", "Snapshots of live numbers kept.")
CATCHING_UP = Gauge("ringmaster_stats_catching_up", "1 while the log is replayed and the live numbers are not whole.")
STREAMS = Gauge("ringmaster_stats_streams", "Open streams of live numbers.")
STREAMS_REFUSED = Counter("ringmaster_stats_streams_refused_total", "Streams refused because too many are open.")
SLOW_READERS = Counter("ringmaster_stats_slow_readers_total", "Streams ended because their reader did not read.")
DENIED = Counter("ringmaster_stats_requests_denied_total", "Requests without a token or without the right.", ["reason"])
INVALID = Counter("ringmaster_stats_records_invalid_total", "Records that can't be read.", ["topic"])


class LiveCollector(Collector):
    """The live numbers as gauges. Labels are bounded by the tenants' documents: tenant, queue, state, exit, window."""

    def __init__(self, board: Board, now_ms: Callable[[], int]) -> None:
        self._board = board
        self._now_ms = now_ms

    def describe(self) -> list[Metric]:
        """Return nothing: the names are known only while it collects."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return every gauge."""
        families = _families()
        now_ms = self._now_ms()
        for tenant_id, live in self._board.lives().items():
            live.advance(now_ms)
            self._add_tenant(families, tenant_id, live, now_ms)
            _add_queues(families, tenant_id, live, now_ms)
        yield from families.values()

    def _add_tenant(
        self, families: dict[str, GaugeMetricFamily], tenant_id: str, live: TenantLive, now_ms: int
    ) -> None:
        day = day_of(now_ms, self._board.profile(tenant_id).time_zone)
        for stage in (Stage.FLOW, Stage.WAITING, Stage.TALKING):
            families["calls"].add_metric([tenant_id, stage.name.lower()], live.stages[stage])
        for what, count in live.calls_by_start.total(*day).items():
            families["calls_today"].add_metric([tenant_id, what], count)
        states: dict[str, int] = {}
        for agent in live.agents.values():
            states[agent.state] = states.get(agent.state, 0) + 1
        for state, count in states.items():
            families["agents"].add_metric([tenant_id, state], count)
        families["complete"].add_metric([tenant_id], int(not live.completeness.marks(day[0], now_ms)))


def _add_queues(families: dict[str, GaugeMetricFamily], tenant_id: str, live: TenantLive, now_ms: int) -> None:
    for queue_id, queue in live.queues.items():
        families["waiting"].add_metric([tenant_id, queue_id], len(queue.line))
        oldest = queue.line.oldest_ms()
        waited = 0.0 if oldest is None else max(0, now_ms - oldest) / 1000
        families["longest"].add_metric([tenant_id, queue_id], waited)
        for seconds, name in WINDOW_NAMES.items():
            total = queue.ledger.windows.total(seconds)
            level = service_level(total)
            if level is not None:
                families["level"].add_metric([tenant_id, queue_id, name], level)
            if total.mean_answered_wait_ms is not None:
                families["wait"].add_metric([tenant_id, queue_id, name], total.mean_answered_wait_ms / 1000)


def _families() -> dict[str, GaugeMetricFamily]:
    definitions = {
        "calls": ("calls", "Calls now, by what they are doing.", ["tenant", "stage"]),
        "calls_today": ("calls_today", "Calls that started today: started, and by exit.", ["tenant", "what"]),
        "agents": ("agents", "Agents now, by state.", ["tenant", "state"]),
        "complete": ("complete", "0 while a gap touches the day's numbers.", ["tenant"]),
        "waiting": ("queue_waiting", "Callers who wait in a queue.", ["tenant", "queue"]),
        "longest": ("queue_longest_wait_seconds", "How long the first of them waits.", ["tenant", "queue"]),
        "level": ("queue_service_level_ratio", "Service level V3, 0 to 1.", ["tenant", "queue", "window"]),
        "wait": ("queue_mean_wait_seconds", "Mean wait of answered callers.", ["tenant", "queue", "window"]),
    }
    return {
        key: GaugeMetricFamily(f"ringmaster_stats_{name}", text, labels=labels)
        for key, (name, text, labels) in definitions.items()
    }
