"""Everything the router measures."""

from prometheus_client import Counter, Gauge, Histogram

INPUTS = Counter("ringmaster_router_inputs_total", "Inputs decided, by what they are.", ["kind"])
REPLAYED = Counter("ringmaster_router_replayed_inputs_total", "Inputs taken in again after a start, without outputs.")
COMMANDS = Counter("ringmaster_router_commands_total", "Commands sent, by action.", ["action"])
EVENTS = Counter("ringmaster_router_events_total", "Public events sent.")
ESTIMATE_ERROR_SECONDS = Histogram(
    "ringmaster_router_wait_estimate_error_seconds",
    "Answered callers' wait less the wait that was estimated when they joined the queue (SPEC 3.6).",
    ["tenant", "queue"],
    buckets=(-300, -120, -60, -30, -10, 0, 10, 30, 60, 120, 300),
)
DEAD_LETTERS = Counter("ringmaster_router_dead_letters_total", "Inputs put aside, by reason.", ["reason"])
DECIDE_SECONDS = Histogram(
    "ringmaster_router_decide_seconds",
    "Time to decide one input.",
    buckets=(0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05),
)
INPUT_AGE_SECONDS = Histogram(
    "ringmaster_router_input_age_seconds",
    "Platform time from an input's timestamp to its decision.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
INPUTS_AHEAD = Counter(
    "ringmaster_router_inputs_ahead_total",
    "Inputs decided more than two seconds before the time that they bear: somebody's clock is ahead.",
)
TIMERS_FIRED = Counter("ringmaster_router_timers_fired_total", "Timers that became due.")
CAPTURE_SECONDS = Histogram(
    "ringmaster_router_capture_seconds",
    "Time for which decisions waited while tenants were captured for a snapshot.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
SNAPSHOT_FAILURES = Counter("ringmaster_router_snapshot_failures_total", "Snapshots that could not be written.")
LIVE_CALLS = Gauge("ringmaster_router_live_calls", "Calls that are not over.")
WAITING_CALLERS = Gauge("ringmaster_router_waiting_callers", "Callers in queues.")
FOLLOWED_PARTITIONS = Gauge("ringmaster_router_followed_partitions", "Partitions of others that are followed.")
FOLLOWED_BEHIND = Gauge("ringmaster_router_followed_inputs_behind", "Inputs of followed partitions not decided yet.")
LOOKUPS = Counter("ringmaster_router_lookups_total", "Questions to tenants' CRMs, by outcome.", ["outcome"])
SESSIONS = Counter("ringmaster_router_sessions_total", "Times that the log was taken up, the first included.")

# What seldom or never happens is told as 0 from the start: a panel without it would be empty, an alert blind.
for reason in ("refused", "failed"):
    DEAD_LETTERS.labels(reason)
for outcome in ("answered", "failed"):
    LOOKUPS.labels(outcome)
