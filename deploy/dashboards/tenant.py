from deploy.dashboards.panels import TENANT, Bars, Board, Figure, Graph, Query, Row

_OF = 'tenant=~"$tenant"'

BOARD = Board(
    "tenant",
    "Ringmaster / Companies",
    "What each company uses of the platform, and how its callers fare.",
    (
        Row(
            "Calls",
            (
                Figure("Now", "In progress.", (Query(f"sum(ringmaster_stats_calls{{{_OF}}})"),)),
                Figure("Today", "Started.", (Query(f'sum(ringmaster_stats_calls_today{{{_OF}, what="started"}})'),)),
                Figure(
                    "Answered today",
                    "Talked with an agent.",
                    (Query(f'sum(ringmaster_stats_calls_today{{{_OF}, what="answered"}})'),),
                ),
                Figure(
                    "Occupancy",
                    "Of their agents, 15 minutes.",
                    (Query(f'avg(ringmaster_stats_occupancy_ratio{{{_OF}, window="last_15_min"}})'),),
                    "percentunit",
                ),
                Figure("Agents", "At work.", (Query(f'sum(ringmaster_stats_agents{{{_OF}, state!="offline"}})'),)),
                Figure(
                    "Numbers not whole",
                    "Companies that a gap touches today.",
                    (Query(f"count(ringmaster_stats_complete{{{_OF}}}) - sum(ringmaster_stats_complete{{{_OF}}})"),),
                    worse_from=(1, 2),
                ),
                Graph(
                    "Calls in progress",
                    "The ten companies with most.",
                    (Query(f"topk(10, sum by (tenant) (ringmaster_stats_calls{{{_OF}}}))", "{{tenant}}"),),
                    stacks=True,
                ),
                Graph(
                    "Service level, 15 min",
                    "V3 of all queues, each counted by its callers.",
                    (Query(f"ringmaster:tenant_service_level:ratio15m{{{_OF}}}", "{{tenant}}"),),
                    "percentunit",
                    better_from=(0.6, 0.8),
                ),
                Graph(
                    "Occupancy, 15 min",
                    "Handle / (handle + idle).",
                    (Query(f'ringmaster_stats_occupancy_ratio{{{_OF}, window="last_15_min"}}', "{{tenant}}"),),
                    "percentunit",
                ),
            ),
        ),
        Row(
            "Lines",
            (
                Bars(
                    "Calls now",
                    "The twenty lines with most.",
                    (Query(f"topk(20, ringmaster_stats_line_calls{{{_OF}}})", "{{line}}"),),
                    width=12,
                ),
                Bars(
                    "Calls today",
                    "The twenty lines with most.",
                    (Query(f'topk(20, ringmaster_stats_line_calls_today{{{_OF}, what="started"}})', "{{line}}"),),
                    width=12,
                ),
            ),
        ),
        Row(
            "What it costs",
            (
                Graph(
                    "Webhooks",
                    "Delivered a second.",
                    (
                        Query(
                            f"sum by (tenant) (rate(ringmaster_webhooks_delivered_total{{{_OF}}}[$__rate_interval]))",
                            "{{tenant}}",
                        ),
                    ),
                    "ops",
                    width=12,
                ),
                Bars(
                    "Series in Prometheus",
                    "The twenty companies with most.",
                    (Query(f"topk(20, ringmaster_stats_series_of_tenant{{{_OF}}})", "{{tenant}}"),),
                    width=12,
                ),
            ),
        ),
    ),
    (TENANT,),
)
