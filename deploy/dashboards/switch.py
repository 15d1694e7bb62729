from deploy.dashboards.panels import Board, Figure, Graph, Query, Row, quantile, rate, seldom

_NODE = "{{instance}}"

BOARD = Board(
    "switch",
    "Ringmaster / Switches",
    "Each FreeSWITCH as its listener sees it: contact, events, commands, what waits for Kafka.",
    (
        Row(
            "Contact",
            (
                Figure(
                    "Connected",
                    "Nodes whose events flow.",
                    (Query("sum(ringmaster_listener_switch_connected_bool)"),),
                    better_from=(0.5, 1),
                ),
                Figure("Legs", "Live legs of companies.", (Query("sum(ringmaster_listener_legs_count)"),)),
                Figure(
                    "Sessions ended, 1 h",
                    "With FreeSWITCH, lost or failed.",
                    (Query("sum(increase(ringmaster_listener_reconnects_total[1h]))"),),
                    worse_from=(1, 5),
                ),
                Figure(
                    "Spool",
                    "Bytes on disk that wait for Kafka.",
                    (Query("sum(ringmaster_listener_spool_bytes)"),),
                    "bytes",
                    worse_from=(1, 100_000_000),
                ),
                Figure(
                    "Oldest unsent",
                    "Age of the oldest fact that Kafka has not taken.",
                    (Query("max(ringmaster_listener_oldest_unsent_seconds)"),),
                    "s",
                    worse_from=(5, 60),
                ),
                Figure(
                    "Discarded, 1 h",
                    "Events that were read and not told: the spool was full.",
                    (Query("sum(increase(ringmaster_listener_events_discarded_total[1h]))"),),
                    worse_from=(1, 1),
                ),
            ),
        ),
        Row(
            "Events",
            (
                Graph(
                    "Events read",
                    "From the event socket.",
                    (Query(rate("ringmaster_listener_events_total", "instance"), _NODE),),
                    "ops",
                ),
                Graph(
                    "Facts told",
                    "By kind.",
                    (Query(rate("ringmaster_listener_facts_total", "kind"), "{{kind}}"),),
                    "ops",
                    stacks=True,
                ),
                Graph(
                    "Lag",
                    "From FreeSWITCH's time of an event to its normalisation.",
                    (
                        Query(quantile(0.5, "ringmaster_listener_event_lag_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_listener_event_lag_seconds"), "99 of 100"),
                    ),
                    "s",
                    worse_from=(0.5, 2.5),
                ),
                Graph(
                    "Waiting",
                    "Events not normalised, inputs not acknowledged.",
                    (
                        Query("sum by (instance) (ringmaster_listener_esl_queue_events)", f"{_NODE} to normalise"),
                        Query("sum by (instance) (ringmaster_listener_publish_queue_records)", f"{_NODE} to send"),
                    ),
                ),
                Graph(
                    "Calls to no company's line",
                    "They are refused; many of them are a wrong number plan, or somebody who scans.",
                    (Query(rate("ringmaster_listener_unknown_line_calls_total"), "calls"),),
                    "ops",
                ),
                Graph(
                    "Derived after gaps",
                    "Facts that came of comparing with `show channels`.",
                    (Query(rate("ringmaster_listener_reconciled_facts_total"), "facts"),),
                    "ops",
                ),
            ),
        ),
        Row(
            "Commands",
            (
                Graph(
                    "By action",
                    "Executed a second.",
                    (Query(rate("ringmaster_listener_commands_total", "action"), "{{action}}"),),
                    "ops",
                    stacks=True,
                ),
                Graph(
                    "By outcome",
                    "How they ended.",
                    (Query(rate("ringmaster_listener_commands_total", "outcome"), "{{outcome}}"),),
                    "ops",
                ),
                Graph(
                    "Running",
                    "Read and not ended.",
                    (
                        Query("sum(ringmaster_listener_commands_running_count)", "running"),
                        Query(seldom("ringmaster_listener_commands_invalid_total"), "unreadable a second"),
                    ),
                ),
            ),
        ),
    ),
)
