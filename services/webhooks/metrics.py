from prometheus_client import Counter, Gauge

from services.shared.chassis.quick_metrics import QuickCounter, QuickHistogram

EVENTS = Counter("ringmaster_webhooks_events_total", "Public events that were matched with endpoints", ["tenant"])
HELD_UP = Counter(
    "ringmaster_webhooks_held_up_total",
    "Times that a part of the service could not make its effects of public events safe",
    ["part"],
)
INVALID = Counter("ringmaster_webhooks_invalid_records_total", "Records that could not be read", ["topic"])
CREATED = Counter("ringmaster_webhooks_deliveries_created_total", "Deliveries made of events", ["tenant"])
ATTEMPTS = QuickCounter(
    "ringmaster_webhooks_attempts_total",
    "Tries by how they ended: 2xx, 3xx, 4xx, 5xx, no_answer",
    ["tenant", "outcome"],
)
ATTEMPT_SECONDS = QuickHistogram(
    "ringmaster_webhooks_attempt_seconds",
    "How long a try took, seconds of real time",
    buckets=(0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 15),
)
LAG_SECONDS = QuickHistogram(
    "ringmaster_webhooks_first_try_lag_seconds",
    "From the event to the answer of its first try, seconds of platform time",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 300),
)
DELIVERED = QuickCounter("ringmaster_webhooks_delivered_total", "Deliveries that an endpoint took", ["tenant"])
DIVERTED = Counter(
    "ringmaster_webhooks_diverted_total", "First tries put off because their endpoint's queue stayed full", ["tenant"]
)
OVERFLOWED = Counter(
    "ringmaster_webhooks_overflowed_total",
    "First tries that went to the overflow topic: their endpoint's queue was full",
    ["tenant"],
)
LEFT_IN_LOG = Gauge(
    "ringmaster_webhooks_left_in_log_count",
    "Endpoints whose deliveries stay in the log until the document store takes them",
)
GIVEN_UP = Counter(
    "ringmaster_webhooks_given_up_total",
    "Deliveries that went to the dead topic: exhausted, gone, disabled, removed",
    ["tenant", "reason"],
)
REPLAYED = Counter("ringmaster_webhooks_replayed_total", "Deliveries made once more of past events", ["tenant"])
SPARED = Counter(
    "ringmaster_webhooks_spared_total",
    "Tries that were not made: their endpoint rested after failures",
    ["tenant"],
)
BEHIND = Counter("ringmaster_webhooks_behind_total", "Deliveries put behind an earlier one of their call", ["tenant"])
BREAKERS_OPEN = Gauge("ringmaster_webhooks_resting_endpoints_count", "Endpoints that rest after failures")
WAITING = Gauge("ringmaster_webhooks_waiting_count", "Deliveries that wait for their next try")
DENIED = Counter("ringmaster_webhooks_denied_total", "Requests of the API refused, by token or role", ["why"])
STREAMS = Gauge("ringmaster_webhooks_streams_count", "Browsers that follow the delivery log")
STREAMS_REFUSED = Counter("ringmaster_webhooks_streams_refused_total", "Streams refused because too many are open")
SLOW_READERS = Counter("ringmaster_webhooks_slow_readers_total", "Streams ended because their reader did not read")
UNFINISHED = Gauge("ringmaster_webhooks_unfinished_count", "Deliveries that were read and are not settled yet")
LOG_DROPPED = Counter("ringmaster_webhooks_log_dropped_total", "Tries that the delivery log could not keep")
STORE_FAILURES = Counter("ringmaster_webhooks_store_failures_total", "Operations that the document store refused")
RULES_FIRED = Counter("ringmaster_webhooks_rules_fired_total", "Times that a rule of a tenant fired", ["tenant"])
RULES_CUT = Counter(
    "ringmaster_webhooks_rules_cut_total", "Messages of one event beyond what a tenant may send", ["tenant"]
)
FEED_RECORDS = Counter("ringmaster_webhooks_feed_records_total", "Events written into a tenant's own topic", ["tenant"])
