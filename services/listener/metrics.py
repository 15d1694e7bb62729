"""Every metric of the listener."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("ringmaster_listener_events_total", "Events read from FreeSWITCH.")
FACTS = Counter("ringmaster_listener_facts_total", "Facts told, by kind.", ["kind"])
EVENTS_DISCARDED = Counter(
    "ringmaster_listener_events_discarded_total",
    "Events read and not told because the spool was full; a gap is told and reconciled when it has room again.",
)
UNKNOWN_LINES = Counter(
    "ringmaster_listener_unknown_line_calls_total", "Inbound calls to a number that is no tenant's line."
)
EVENT_LAG = Histogram(
    "ringmaster_listener_event_lag_seconds",
    "From FreeSWITCH's time of an event to its normalisation; the last event of each batch.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
ESL_QUEUE = Gauge("ringmaster_listener_esl_queue_events", "Events read from the socket and not yet normalised.")
PUBLISH_QUEUE = Gauge("ringmaster_listener_publish_queue_records", "Inputs not yet acknowledged by Kafka nor spooled.")
SPOOL_BYTES = Gauge("ringmaster_listener_spool_bytes", "Bytes on disk that wait for Kafka.")
SPOOL_FULL = Gauge("ringmaster_listener_spool_full_bool", "1 while the spool is full and events are discarded.")
OLDEST_UNSENT = Gauge(
    "ringmaster_listener_oldest_unsent_seconds", "Age of the oldest input that Kafka has not acknowledged."
)
COMMANDS = Counter(
    "ringmaster_listener_commands_total", "Commands of this node, by action and outcome.", ["action", "outcome"]
)
COMMANDS_RUNNING = Gauge("ringmaster_listener_commands_running_count", "Commands read and not ended.")
COMMANDS_INVALID = Counter(
    "ringmaster_listener_commands_invalid_total", "Records of this node's commands that are not a command."
)
RECONNECTS = Counter("ringmaster_listener_reconnects_total", "Sessions with FreeSWITCH that ended or failed.")
CONNECTED = Gauge("ringmaster_listener_switch_connected_bool", "1 while events flow.")
LEGS = Gauge("ringmaster_listener_legs_count", "Live legs of tenants.")
RECONCILED = Counter("ringmaster_listener_reconciled_facts_total", "Facts derived after a gap.")
