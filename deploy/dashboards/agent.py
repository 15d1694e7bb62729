from deploy.dashboards.panels import AGENT, TENANT, Bars, Board, Figure, Graph, Query, Row

_OF = 'tenant=~"$tenant", agent=~"$agent"'
_NAME = "{{agent}}"

BOARD = Board(
    "agent",
    "Ringmaster / Agents",
    "What the chosen agents do, and how their day goes.",
    (
        Row(
            "Now",
            (
                Figure(
                    "Free", "Idle.", (Query(f'sum(ringmaster_stats_agent_state{{{_OF}, state="idle"}}) or vector(0)'),)
                ),
                Figure(
                    "On a call",
                    "Talking or holding.",
                    (Query(f'sum(ringmaster_stats_agent_state{{{_OF}, state=~"talking|holding"}}) or vector(0)'),),
                ),
                Figure(
                    "Wrapping up",
                    "After a call.",
                    (Query(f'sum(ringmaster_stats_agent_state{{{_OF}, state="wrap_up"}}) or vector(0)'),),
                ),
                Figure(
                    "Away",
                    "Present, not ready.",
                    (Query(f'sum(ringmaster_stats_agent_state{{{_OF}, state="away"}}) or vector(0)'),),
                ),
                Figure(
                    "Unreachable",
                    "Their phones.",
                    (Query(f'sum(ringmaster_stats_agent_state{{{_OF}, state="unreachable"}}) or vector(0)'),),
                    worse_from=(1, 3),
                ),
                Figure("Known", "All who were heard of.", (Query(f"count(ringmaster_stats_agent_state{{{_OF}}})"),)),
            ),
        ),
        Row(
            "Work",
            (
                Graph(
                    "States",
                    "Agents by state.",
                    (Query(f"sum by (state) (ringmaster_stats_agent_state{{{_OF}}})", "{{state}}"),),
                    width=12,
                    stacks=True,
                ),
                Graph(
                    "Occupancy, 15 min",
                    "Handle / (handle + idle).",
                    (Query(f'ringmaster_stats_agent_occupancy_ratio{{{_OF}, window="last_15_min"}}', _NAME),),
                    "percentunit",
                    width=12,
                    worse_from=(0.85, 0.95),
                ),
                Bars(
                    "Occupancy today",
                    "Handle / (handle + idle).",
                    (Query(f'ringmaster_stats_agent_occupancy_ratio{{{_OF}, window="today"}}', _NAME),),
                    "percentunit",
                ),
                Bars(
                    "Answered today",
                    "The twenty who answered most.",
                    (Query(f"topk(20, ringmaster_stats_agent_answered_today{{{_OF}}})", _NAME),),
                ),
                Bars(
                    "Missed today",
                    "Offers that rang out, the twenty with most.",
                    (Query(f"topk(20, ringmaster_stats_agent_missed_today{{{_OF}}})", _NAME),),
                    worse_from=(3, 10),
                ),
            ),
        ),
    ),
    (TENANT, AGENT),
)
