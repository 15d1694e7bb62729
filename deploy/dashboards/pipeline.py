from deploy.dashboards.panels import Board, Figure, Graph, Query, Row, quantile, rate, seldom

BOARD = Board(
    "pipeline",
    "Ringmaster / Pipeline",
    "From a fact to a decision to a number: how far everybody who reads Kafka is behind, and what was put aside.",
    (
        Row(
            "Kafka",
            (
                Graph(
                    "Behind",
                    "Records that were not read yet, by reader and topic.",
                    (Query("sum by (reader, topic) (ringmaster_bus_lag_records)", "{{reader}} {{topic}}"),),
                    width=16,
                ),
                Figure(
                    "Put aside, 1 h",
                    "Inputs that the router could not decide.",
                    (Query("sum(increase(ringmaster_router_dead_letters_total[1h]))"),),
                    worse_from=(1, 1),
                ),
                Figure(
                    "Unreadable, 1 h",
                    "Records that a service could not read.",
                    (
                        Query(
                            'sum(increase({__name__=~"ringmaster_.+_(invalid_records|records_invalid)_total"}[1h]))'
                            " or vector(0)"
                        ),
                    ),
                    worse_from=(1, 1),
                ),
            ),
        ),
        Row(
            "Router",
            (
                Graph(
                    "Inputs",
                    "Decided a second, by kind.",
                    (Query(rate("ringmaster_router_inputs_total", "kind"), "{{kind}}"),),
                    "ops",
                    stacks=True,
                ),
                Graph(
                    "Age of inputs",
                    "Platform time from an input to its decision.",
                    (
                        Query(quantile(0.5, "ringmaster_router_input_age_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_router_input_age_seconds"), "99 of 100"),
                    ),
                    "s",
                    worse_from=(0.25, 1),
                ),
                Graph(
                    "Time to decide",
                    "One input.",
                    (
                        Query(quantile(0.5, "ringmaster_router_decide_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_router_decide_seconds"), "99 of 100"),
                    ),
                    "s",
                ),
                Graph(
                    "Commands",
                    "Sent a second, by action.",
                    (Query(rate("ringmaster_router_commands_total", "action"), "{{action}}"),),
                    "ops",
                ),
                Graph(
                    "State",
                    "Calls that are not over, callers in queues.",
                    (
                        Query("sum(ringmaster_router_live_calls)", "calls"),
                        Query("sum(ringmaster_router_waiting_callers)", "waiting"),
                    ),
                ),
                Graph(
                    "Snapshots",
                    "What decisions waited for while tenants were captured; failures.",
                    (
                        Query(
                            "sum(rate(ringmaster_router_capture_seconds_sum[$__rate_interval]))", "waited, s a second"
                        ),
                        Query(rate("ringmaster_router_snapshot_failures_total"), "failures a second"),
                    ),
                ),
                Graph(
                    "Timers",
                    "Became due a second.",
                    (Query(rate("ringmaster_router_timers_fired_total"), "timers"),),
                    "ops",
                ),
                Graph(
                    "Questions to CRMs",
                    "By outcome.",
                    (Query(rate("ringmaster_router_lookups_total", "outcome"), "{{outcome}}"),),
                    "ops",
                ),
                Graph(
                    "Sessions",
                    "Times that the log was taken up, an hour.",
                    (Query("sum(increase(ringmaster_router_sessions_total[1h]))", "sessions"),),
                ),
            ),
        ),
        Row(
            "Statistics",
            (
                Graph(
                    "Events",
                    "By what became of them.",
                    (Query(rate("ringmaster_stats_events_total", "outcome"), "{{outcome}}"),),
                    "ops",
                ),
                Graph(
                    "Age of events",
                    "Platform time from an event to its place in the live numbers.",
                    (
                        Query(quantile(0.5, "ringmaster_stats_event_age_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_stats_event_age_seconds"), "99 of 100"),
                    ),
                    "s",
                    worse_from=(1, 5),
                ),
                Graph(
                    "Document store",
                    "Documents written a second, batches that wait, failures.",
                    (
                        Query(rate("ringmaster_stats_documents_written_total"), "documents a second"),
                        Query("sum(ringmaster_stats_batches_waiting)", "batches waiting"),
                        Query(rate("ringmaster_stats_store_failures_total"), "failures a second"),
                    ),
                ),
                Graph(
                    "Live pages",
                    "Open streams; readers who did not read.",
                    (
                        Query("sum(ringmaster_stats_streams)", "live numbers"),
                        Query("sum(ringmaster_console_streams)", "agents' desks"),
                        Query("sum(ringmaster_webhooks_streams_count)", "delivery logs"),
                        Query(rate('{__name__=~"ringmaster_.+_slow_readers_total"}'), "slow readers a second"),
                        Query(rate('{__name__=~"ringmaster_.+_streams_refused_total"}'), "refused a second"),
                    ),
                ),
                Graph(
                    "Series",
                    "Of the live numbers, and what was too much for one scrape.",
                    (
                        Query("sum(ringmaster_stats_series_of_tenant)", "told"),
                        Query("sum by (detail) (ringmaster_stats_series_left_out)", "left out: {{detail}}"),
                    ),
                ),
                Graph(
                    "Catching up",
                    "Processes that replay the log: their numbers are not whole.",
                    (Query("sum(ringmaster_stats_catching_up)", "processes"),),
                ),
            ),
        ),
        Row(
            "Console",
            (
                Graph(
                    "Requests to the router",
                    "By outcome.",
                    (Query(rate("ringmaster_console_requests_total", "outcome"), "{{outcome}}"),),
                    "ops",
                ),
                Graph(
                    "Reply",
                    "From a request to the router's reply.",
                    (
                        Query(quantile(0.5, "ringmaster_console_reply_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_console_reply_seconds"), "99 of 100"),
                    ),
                    "s",
                ),
                Graph(
                    "Documents and refusals",
                    "Versions on their way to the bus; requests without a token or a right.",
                    (
                        Query("sum(ringmaster_console_outbox_versions)", "versions waiting"),
                        Query(seldom("ringmaster_console_denied_total", "reason"), "denied: {{reason}}"),
                    ),
                ),
            ),
        ),
    ),
)
