"""The staffing report: each period's traffic, the agents it needs, and what a number of agents would have done."""

from typing import Any, Final

from services.stats.domain import erlang
from services.stats.domain.reports.answer import Column
from services.stats.domain.reports.calendar import CLOCK_MS
from services.stats.domain.reports.query import BadQuery, Query

_NAMES: Final = {
    "traffic": ("number", "Traffic, erlangs", "Трафік, ерланги"),
    "agents_needed": ("count", "Agents needed (Erlang C)", "Потрібно операторів (Ерланг C)"),
    "in_time_c": ("ratio", "In time with N agents (Erlang C)", "Вчасно з N операторами (Ерланг C)"),
    "wait_c": ("seconds", "Mean wait with N agents (Erlang C)", "Очікування з N операторами (Ерланг C)"),
    "in_time_a": ("ratio", "In time with N agents (Erlang A)", "Вчасно з N операторами (Ерланг A)"),
    "wait_a": ("seconds", "Mean wait with N agents (Erlang A)", "Очікування з N операторами (Ерланг A)"),
    "abandoned_a": ("ratio", "Abandoned with N agents (Erlang A)", "Втрачено з N операторами (Ерланг A)"),
}
DEFAULT_THRESHOLD_MS: Final = 20_000


def check(query: Query) -> None:
    """Refuse what has no traffic. Raises BadQuery."""
    units = [name for name in query.groups if name in CLOCK_MS]
    if len(units) != 1 or set(query.metrics) != {"offered", "aht"}:
        raise BadQuery(
            "bad-groups",
            "groups",
            "Staffing is by one of quarter_hour, half_hour, hour, and from offered and aht alone.",
        )


def columns(language: str) -> list[Column]:
    """Return the columns that are computed."""
    place = 1 if language == "en" else 2
    return [Column(name, "metric", each[0], each[place]) for name, each in _NAMES.items()]


def values(query: Query, offered: float, aht: float | None) -> list[Any]:
    """Return the values of one period. Where nothing was handled the load is not known."""
    if aht is None or aht <= 0:
        return [None] * len(_NAMES)
    seconds = next(CLOCK_MS[name] for name in query.groups if name in CLOCK_MS) / 1000
    load = offered * aht / seconds
    threshold = (DEFAULT_THRESHOLD_MS if query.threshold_ms is None else query.threshold_ms) / 1000
    needed = erlang.agents_needed(load, aht, threshold, query.target_percent / 100)
    agents = query.agents if query.agents is not None else needed or 0
    waits = erlang.erlang_c(agents, load, aht, threshold)
    leaves = erlang.erlang_a(agents, load, aht, query.patience_seconds, threshold)
    mean_wait = None if waits.mean_wait == float("inf") else waits.mean_wait
    return [load, needed, waits.in_time, mean_wait, leaves.in_time, leaves.mean_wait, leaves.abandoned]
