from prometheus_client import Counter, Gauge, Histogram

DOCUMENTS = Counter(
    "ringmaster_console_documents_total", "Tenants' documents that were sent here, by outcome.", ["outcome"]
)
OUTBOX = Gauge("ringmaster_console_outbox_versions", "Versions that are stored and not yet known to be on the bus.")
REQUESTS = Counter(
    "ringmaster_console_requests_total", "Requests to the router: accepted, refused or late.", ["request", "outcome"]
)
DOCUMENT_REQUESTS = Counter(
    "ringmaster_console_document_requests_total",
    "Requests of other services' pages to see or change a part of a document, by outcome.",
    ["request", "outcome"],
)
REPLY_SECONDS = Histogram(
    "ringmaster_console_reply_seconds",
    "From writing a request to the router's reply, or to giving up.",
    ["request"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0),
)
DENIED = Counter("ringmaster_console_denied_total", "Requests without a valid token or without the right.", ["reason"])
INVALID = Counter("ringmaster_console_invalid_records_total", "Records that could not be read.", ["topic"])
DIRECTORY = Counter(
    "ringmaster_console_directory_total", "Questions of FreeSWITCH by section and outcome.", ["section", "outcome"]
)
STREAMS = Gauge("ringmaster_console_streams", "Agents' desks that are followed.")
STREAMS_REFUSED = Counter("ringmaster_console_streams_refused_total", "Streams refused because too many are open.")
SLOW_READERS = Counter("ringmaster_console_slow_readers_total", "Streams ended because their reader did not read.")
