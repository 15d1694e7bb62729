from deploy.dashboards.panels import QUEUE, TENANT, Bars, Board, Figure, Graph, Query, Row

_OF = 'tenant=~"$tenant", queue=~"$queue"'
_RECENT = f'{_OF}, window="last_15_min"'
_TODAY = f'{_OF}, window="today"'
_NAME = "{{tenant}} {{queue}}"

BOARD = Board(
    "queue",
    "Ringmaster / Queues",
    "How callers of the chosen queues are served: now, over 15 minutes, today.",
    (
        Row(
            "Now",
            (
                Figure("Waiting", "Callers.", (Query(f"sum(ringmaster_stats_queue_waiting{{{_OF}}})"),)),
                Figure(
                    "Longest wait",
                    "The first in line.",
                    (Query(f"max(ringmaster_stats_queue_longest_wait_seconds{{{_OF}}})"),),
                    "s",
                    worse_from=(60, 180),
                ),
                Figure("Free agents", "Idle now.", (Query(f"sum(ringmaster_stats_queue_free_agents{{{_OF}}})"),)),
                Figure(
                    "Answered today",
                    "Callers.",
                    (Query(f'sum(ringmaster_stats_queue_callers{{{_TODAY}, outcome="answered"}})'),),
                ),
                Figure(
                    "Abandoned today",
                    "Callers.",
                    (Query(f'sum(ringmaster_stats_queue_callers{{{_TODAY}, outcome="abandoned"}})'),),
                ),
                Figure(
                    "Estimated wait",
                    "Of who joins now, the longest.",
                    (Query(f"max(ringmaster_stats_queue_estimated_wait_seconds{{{_OF}}})"),),
                    "s",
                ),
            ),
        ),
        Row(
            "Over 15 minutes",
            (
                Graph(
                    "Service level",
                    "V3: A_T / (A + B - B_T).",
                    (Query(f"ringmaster_stats_queue_service_level_ratio{{{_RECENT}}}", _NAME),),
                    "percentunit",
                    better_from=(0.6, 0.8),
                ),
                Graph(
                    "Abandoned",
                    "Of all who left.",
                    (Query(f"ringmaster_stats_queue_abandon_ratio{{{_RECENT}}}", _NAME),),
                    "percentunit",
                    worse_from=(0.05, 0.1),
                ),
                Graph("Waiting", "Callers.", (Query(f"ringmaster_stats_queue_waiting{{{_OF}}}", _NAME),)),
                Graph(
                    "Wait of answered callers",
                    "Mean (ASA), and what 95 of 100 did not wait longer than.",
                    (
                        Query(f"ringmaster_stats_queue_mean_wait_seconds{{{_RECENT}}}", f"{_NAME} mean"),
                        Query(
                            f'ringmaster_stats_queue_wait_quantile_seconds{{{_RECENT}, quantile="0.95"}}',
                            f"{_NAME} 95 of 100",
                        ),
                    ),
                    "s",
                ),
                Graph(
                    "Handle time",
                    "AHT: talk, hold and wrap-up.",
                    (Query(f"ringmaster_stats_queue_mean_handle_seconds{{{_RECENT}}}", _NAME),),
                    "s",
                ),
                Graph(
                    "Occupancy",
                    "Handle / (handle + idle) of its agents.",
                    (Query(f"ringmaster_stats_queue_occupancy_ratio{{{_RECENT}}}", _NAME),),
                    "percentunit",
                    worse_from=(0.85, 0.95),
                ),
            ),
        ),
        Row(
            "Today",
            (
                Bars(
                    "Service level",
                    "V3.",
                    (Query(f"ringmaster_stats_queue_service_level_ratio{{{_TODAY}}}", _NAME),),
                    "percentunit",
                    better_from=(0.6, 0.8),
                ),
                Bars(
                    "Callers",
                    "How they left.",
                    (Query(f"sum by (outcome) (ringmaster_stats_queue_callers{{{_TODAY}}})", "{{outcome}}"),),
                ),
                Graph(
                    "Error of the estimated wait",
                    "Half of the callers waited so much longer than they were told, or shorter.",
                    (
                        Query(
                            "histogram_quantile(0.5, sum by (le, queue) (rate("
                            f"ringmaster_router_wait_estimate_error_seconds_bucket{{{_OF}}}[5m])))",
                            "{{queue}}",
                        ),
                    ),
                    "s",
                ),
            ),
        ),
    ),
    (TENANT, QUEUE),
)
