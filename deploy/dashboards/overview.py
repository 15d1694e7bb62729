from deploy.dashboards.panels import Bars, Board, Figure, Graph, Query, Row, quantile, rate

BOARD = Board(
    "overview",
    "Ringmaster / Overview",
    "Is the platform well, and are the callers? One look for everybody.",
    (
        Row(
            "Now",
            (
                Figure("Calls", "Calls in progress.", (Query("sum(ringmaster_stats_calls)"),)),
                Figure("Waiting", "Callers in queues.", (Query('sum(ringmaster_stats_calls{stage="waiting"})'),)),
                Figure(
                    "Longest wait",
                    "Of all queues.",
                    (Query("max(ringmaster_stats_queue_longest_wait_seconds)"),),
                    "s",
                    worse_from=(60, 180),
                ),
                Figure(
                    "Service level, 15 min",
                    "V3 of all queues, each counted by its callers.",
                    (Query("ringmaster:service_level:ratio15m"),),
                    "percentunit",
                    better_from=(0.6, 0.8),
                ),
                Figure(
                    "Agents at work",
                    "All who are not offline.",
                    (Query('sum(ringmaster_stats_agents{state!="offline"})'),),
                ),
                Figure("Calls today", "Started today.", (Query('sum(ringmaster_stats_calls_today{what="started"})'),)),
            ),
        ),
        Row(
            "Callers",
            (
                Graph(
                    "Calls by stage",
                    "In the flow, waiting, talking.",
                    (Query("sum by (stage) (ringmaster_stats_calls)", "{{stage}}"),),
                    stacks=True,
                ),
                Graph(
                    "Agents by state",
                    "What the system sees of them.",
                    (Query("sum by (state) (ringmaster_stats_agents)", "{{state}}"),),
                    stacks=True,
                ),
                Bars(
                    "Calls today by exit",
                    "How they ended.",
                    (Query('sum by (what) (ringmaster_stats_calls_today{what!="started"})', "{{what}}"),),
                ),
            ),
        ),
        Row(
            "Platform",
            (
                Bars(
                    "Services that are ready",
                    "Processes of each that say so; 0 is an outage of what it does.",
                    (Query("sum by (service) (ringmaster_service_ready_bool)", "{{service}}"),),
                    better_from=(0.5, 1),
                ),
                Graph(
                    "From an event to its decision",
                    "Age of inputs when the router decides them.",
                    (
                        Query(quantile(0.5, "ringmaster_router_input_age_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_router_input_age_seconds"), "99 of 100"),
                    ),
                    "s",
                    worse_from=(0.25, 1),
                ),
                Graph(
                    "Events",
                    "Facts of the switches, decisions, public events.",
                    (
                        Query(rate("ringmaster_listener_facts_total"), "facts"),
                        Query(rate("ringmaster_router_inputs_total"), "inputs"),
                        Query(rate("ringmaster_router_events_total"), "events"),
                    ),
                    "ops",
                ),
                Graph(
                    "Processor",
                    "Of each process.",
                    (
                        Query(
                            "sum by (service) (rate(process_cpu_seconds_total[$__rate_interval])"
                            " * on (instance) group_left (service) (ringmaster_service_ready_bool * 0 + 1))",
                            "{{service}}",
                        ),
                    ),
                    "percentunit",
                ),
                Graph(
                    "Memory",
                    "Of each process.",
                    (
                        Query(
                            "sum by (service) (process_resident_memory_bytes"
                            " * on (instance) group_left (service) (ringmaster_service_ready_bool * 0 + 1))",
                            "{{service}}",
                        ),
                    ),
                    "bytes",
                ),
                Bars(
                    "Numbers that are not whole",
                    "Companies whose day a gap touches.",
                    (Query("count(ringmaster_stats_complete) - sum(ringmaster_stats_complete)", "companies"),),
                    worse_from=(1, 10),
                ),
            ),
        ),
    ),
)
