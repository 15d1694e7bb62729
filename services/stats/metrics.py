"""Everything the statistics service measures."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "ringmaster_stats_events_total", "Public events read, by what became of them in the live numbers.", ["outcome"]
)
EVENT_AGE_SECONDS = Histogram(
    "ringmaster_stats_event_age_seconds",
    "Platform time from an event to its place in the live numbers; not while a replay catches up.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
DOCUMENTS = Counter("ringmaster_stats_documents_written_total", "Documents of the call log written or changed.")
MIRRORED = Counter("ringmaster_stats_documents_mirrored_total", "Documents whose rows went into the report tables.")
REPORTS = Counter("ringmaster_stats_reports_total", "Questions to reports, by what became of them.", ["outcome"])
REPORT_SECONDS = Histogram(
    "ringmaster_stats_report_seconds",
    "How long a report's question took, without bringing its tables up to date.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
EXPORTED_ROWS = Counter("ringmaster_stats_exported_rows_total", "Rows written into exports.", ["format"])
NORMS_TOLD = Counter("ringmaster_stats_norms_told_total", "Norms that were broken or kept again, and told.", ["what"])
MAILS = Counter("ringmaster_stats_mails_total", "Mailed reports, by what became of each letter.", ["state"])
STORE_FAILURES = Counter("ringmaster_stats_store_failures_total", "Tries to use the document store that failed.")
BATCHES_WAITING = Gauge("ringmaster_stats_batches_waiting", "Batches that wait to be written to the document store.")
SNAPSHOTS = Counter("ringmaster_stats_snapshots_total", "Snapshots of live numbers kept.")
CATCHING_UP = Gauge("ringmaster_stats_catching_up", "1 while the log is replayed and the live numbers are not whole.")
STREAMS = Gauge("ringmaster_stats_streams", "Open streams of live numbers.")
STREAMS_REFUSED = Counter("ringmaster_stats_streams_refused_total", "Streams refused because too many are open.")
SLOW_READERS = Counter("ringmaster_stats_slow_readers_total", "Streams ended because their reader did not read.")
DENIED = Counter("ringmaster_stats_requests_denied_total", "Requests without a token or without the right.", ["reason"])
INVALID = Counter("ringmaster_stats_records_invalid_total", "Records that can't be read.", ["topic"])
SERIES_LEFT_OUT = Gauge(
    "ringmaster_stats_series_left_out",
    "Series of the last scrape that were too many, by what they tell of; JSON and the stream have all of them.",
    ["detail"],
)

LIVE: Final = {
    # Of a tenant.
    "calls": ("Calls now, by what they are doing.", ("tenant", "stage")),
    "calls_today": ("Calls that started today: started, and by exit.", ("tenant", "what")),
    "agents": ("Agents now, by state.", ("tenant", "state")),
    "occupancy_ratio": ("Handle / (handle + idle) of all agents.", ("tenant", "window")),
    "service_level_callers": ("Callers of V3: served well, and all who count.", ("tenant", "window", "part")),
    "longest_wait_seconds": ("How long the first of all who wait in queues waits.", ("tenant",)),
    "service_level_ratio": ("Service level V3 of all queues, 0 to 1.", ("tenant", "window")),
    "abandon_ratio": ("Abandoned / offered of all queues.", ("tenant", "window")),
    "mean_wait_seconds": ("ASA: mean wait of answered callers of all queues.", ("tenant", "window")),
    "mean_handle_seconds": ("AHT: talk, hold and wrap-up a talk.", ("tenant", "window")),
    "complete": ("0 while a gap touches the day's numbers.", ("tenant",)),
    "series_of_tenant": ("Series of this tenant that the scrape has.", ("tenant",)),
    # Of a queue.
    "queue_waiting": ("Callers who wait in a queue.", ("tenant", "queue")),
    "queue_longest_wait_seconds": ("How long the first of them waits.", ("tenant", "queue")),
    "queue_estimated_wait_seconds": ("Estimated wait of a caller who joins now.", ("tenant", "queue")),
    "queue_free_agents": ("Agents of the queue who are idle.", ("tenant", "queue")),
    "queue_agents": ("Its agents now, by state.", ("tenant", "queue", "state")),
    "queue_callers": ("Callers who left, by how.", ("tenant", "queue", "window", "outcome")),
    "queue_service_level_ratio": ("Service level V3, 0 to 1.", ("tenant", "queue", "window")),
    "queue_abandon_ratio": ("Abandoned / offered.", ("tenant", "queue", "window")),
    "queue_mean_wait_seconds": ("ASA: mean wait of answered callers.", ("tenant", "queue", "window")),
    "queue_wait_quantile_seconds": ("Wait of answered callers.", ("tenant", "queue", "window", "quantile")),
    "queue_mean_handle_seconds": ("AHT: talk, hold and wrap-up a talk.", ("tenant", "queue", "window")),
    "queue_occupancy_ratio": ("Handle / (handle + idle) of its agents.", ("tenant", "queue", "window")),
    # Of a line.
    "line_calls": ("Calls of a line now.", ("tenant", "line")),
    "line_calls_today": ("Its calls that started today: started, and by outcome.", ("tenant", "line", "what")),
    # Of an agent.
    "agent_state": ("1 for the state that the agent is in.", ("tenant", "agent", "state")),
    "agent_occupancy_ratio": ("Handle / (handle + idle).", ("tenant", "agent", "window")),
    "agent_mean_handle_seconds": ("AHT: talk, hold and wrap-up a talk.", ("tenant", "agent", "window")),
    "agent_answered_today": ("Calls that the agent answered today.", ("tenant", "agent")),
    "agent_missed_today": ("Offers that the agent let ring out today.", ("tenant", "agent")),
}
"""Gauges that are read of the live numbers when they are scraped (collecting.py): help and labels by name."""
