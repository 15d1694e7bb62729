from deploy.dashboards.panels import TENANT, Board, Figure, Graph, Query, Row, quantile

_OF = 'tenant=~"$tenant"'


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{_OF}}}[$__rate_interval]))"


def _seldom(metric: str, by: str) -> str:
    return f"{_rate(metric, by)} or vector(0)"


BOARD = Board(
    "webhooks",
    "Ringmaster / Webhooks",
    "What goes to the companies' systems: made, tried, taken, given up.",
    (
        Row(
            "Now",
            (
                Figure("Waiting", "For their next try.", (Query("sum(ringmaster_webhooks_waiting_count)"),)),
                Figure("Unfinished", "Read and not settled.", (Query("sum(ringmaster_webhooks_unfinished_count)"),)),
                Figure(
                    "Resting endpoints",
                    "After failures.",
                    (Query("sum(ringmaster_webhooks_resting_endpoints_count)"),),
                    worse_from=(1, 5),
                ),
                Figure(
                    "Taken at the first try",
                    "Part of all tries that an endpoint took, over 5 minutes.",
                    (
                        Query(
                            f'sum(rate(ringmaster_webhooks_attempts_total{{{_OF}, outcome="2xx"}}[5m]))'
                            f" / sum(rate(ringmaster_webhooks_attempts_total{{{_OF}}}[5m]))"
                        ),
                    ),
                    "percentunit",
                    better_from=(0.9, 0.99),
                ),
                Figure(
                    "Given up, 1 h",
                    "Deliveries that went to the dead topic.",
                    (Query(f"sum(increase(ringmaster_webhooks_given_up_total{{{_OF}}}[1h])) or vector(0)"),),
                    worse_from=(1, 100),
                ),
                Figure(
                    "Log entries lost, 1 h",
                    "Tries that the delivery log could not keep.",
                    (Query("sum(increase(ringmaster_webhooks_log_dropped_total[1h]))"),),
                    worse_from=(1, 1),
                ),
            ),
        ),
        Row(
            "Flow",
            (
                Graph(
                    "Tries by answer",
                    "2xx is taken; 3xx, 4xx, 5xx and no answer come again.",
                    (Query(_rate("ringmaster_webhooks_attempts_total", "outcome"), "{{outcome}}"),),
                    "ops",
                    stacks=True,
                ),
                Graph(
                    "Delivered",
                    "The ten companies with most.",
                    (Query(f"topk(10, {_rate('ringmaster_webhooks_delivered_total', 'tenant')})", "{{tenant}}"),),
                    "ops",
                ),
                Graph(
                    "From the event to the first answer",
                    "Platform time.",
                    (
                        Query(quantile(0.5, "ringmaster_webhooks_first_try_lag_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_webhooks_first_try_lag_seconds"), "99 of 100"),
                    ),
                    "s",
                    worse_from=(1, 5),
                ),
                Graph(
                    "Time of a try",
                    "Until the endpoint answered.",
                    (
                        Query(quantile(0.5, "ringmaster_webhooks_attempt_seconds"), "half"),
                        Query(quantile(0.99, "ringmaster_webhooks_attempt_seconds"), "99 of 100"),
                    ),
                    "s",
                ),
                Graph(
                    "Put off",
                    "Overflowed: the queue was full. Diverted: it stayed so. Spared: it rests. Behind: in order.",
                    (
                        Query(_seldom("ringmaster_webhooks_diverted_total", "tenant"), "diverted {{tenant}}"),
                        Query(_seldom("ringmaster_webhooks_overflowed_total", "tenant"), "overflowed {{tenant}}"),
                        Query(_seldom("ringmaster_webhooks_spared_total", "tenant"), "spared {{tenant}}"),
                        Query(_seldom("ringmaster_webhooks_behind_total", "tenant"), "behind {{tenant}}"),
                    ),
                    "ops",
                ),
                Graph(
                    "Given up",
                    "By reason.",
                    (Query(_seldom("ringmaster_webhooks_given_up_total", "reason"), "{{reason}}"),),
                    "ops",
                ),
            ),
        ),
        Row(
            "In and out",
            (
                Graph(
                    "Events and deliveries",
                    "Matched with endpoints, and what was made of them.",
                    (
                        Query(_rate("ringmaster_webhooks_events_total", "tenant"), "{{tenant}} events"),
                        Query(_rate("ringmaster_webhooks_deliveries_created_total", "tenant"), "{{tenant}} deliveries"),
                    ),
                    "ops",
                    width=12,
                ),
                Graph(
                    "Document store",
                    "Operations that it refused.",
                    (Query("sum(rate(ringmaster_webhooks_store_failures_total[$__rate_interval]))", "a second"),),
                    "ops",
                    width=12,
                ),
            ),
        ),
    ),
    (TENANT,),
)
