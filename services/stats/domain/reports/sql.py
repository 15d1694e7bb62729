"""From a checked question to SQL over the report tables. Every name comes from the dictionary, every text is bound."""

import re
from dataclasses import dataclass
from typing import Any, Final

from services.stats.domain.reports import calendar
from services.stats.domain.reports.dictionary import Dictionary, Source
from services.stats.domain.reports.query import Query, sources_of
from services.stats.domain.tally import DEFAULT_THRESHOLD_SECONDS

_BEFORE_MS: Final = 2 * calendar.DAY_MS
"""No state in which an agent serves a queue lasts so long."""
_TELLS_APART: Final = (
    "call_id",
    "offer_id",
    "recording_id",
    "leg_id",
    "callback_id",
    "attempt",
    "agent_id",
    "subject",
    "sequence",
    "field",
)
"""Columns that tell rows of one moment apart, in the tables that have them."""
_FILTER: Final = re.compile(r"filter \(where (.*)\)(?: / 1000\.0|, 0\) / 1000\.0|, 0\))?$")


@dataclass(frozen=True, slots=True)
class Profiled:
    """What of the tenant's document a question needs: groups of agents, and queues with a threshold of their own."""

    groups: dict[str, tuple[str, ...]]
    with_threshold: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with the values of its named parameters, and the columns of its result."""

    text: str
    values: dict[str, Any]
    columns: list[str]


class Compiler:
    """Compiles one question."""

    def __init__(self, dictionary: Dictionary, query: Query, profiled: Profiled) -> None:
        self._dictionary = dictionary
        self._query = query
        self._profiled = profiled
        self._values: dict[str, Any] = {}
        self._offsets = calendar.offsets(query.zone, query.from_ms, query.until_ms)

    def count(self, *, limit: int | None, offset: int = 0) -> Statement:
        """Return rows of groups and metrics, and `row_total`: how many rows there are in all."""
        query = self._query
        order = self._order()
        paged = f" limit {limit} offset {offset}" if limit is not None else ""
        names = ", ".join([*map(_quoted, query.groups), *self._formulas(), "count(*) over () as row_total"])
        text = f"{self._joined()} select {names} from joined{order}{paged}"
        return Statement(text, self._values, [*query.groups, *query.metrics, "row_total"])

    def count_of(self, cells: list[dict[str, Any]]) -> Statement:
        """Return the rows of these cells alone, each told by the keys of all groups."""
        query = self._query
        names = [*query.groups, *query.metrics, "row_total"]
        if not query.groups:
            return self.count(limit=None)
        matches = [
            " and ".join(f"{_quoted(name)} is not distinct from {self._bind(key)}" for name, key in cell.items())
            for cell in cells
        ]
        chosen = ", ".join([*map(_quoted, query.groups), *self._formulas(), "0 as row_total"])
        where = " or ".join(f"({each})" for each in matches) or "false"
        text = f"{self._joined()} select {chosen} from joined where {where}"
        return Statement(text, self._values, names)

    def rows(self, *, limit: int | None, offset: int = 0) -> Statement:
        """Return rows of the report's source."""
        report = self._query.report
        source = self._dictionary.sources[report.source]
        where = [report.where] if report.where else []
        return self._list(source, report.columns, where, self._order(), limit, offset)

    def drill(
        self, cell: dict[str, Any], metric_id: str, columns: tuple[str, ...], limit: int, offset: int
    ) -> Statement:
        """Return the rows behind a cell: those of the metric's first source that its measures count."""
        source = self._dictionary.sources[self._dictionary.sources_of([metric_id])[0]]
        where = [f"({self._query.report.where_of[source.id]})"] if source.id in self._query.report.where_of else []
        counted = [
            measure.sql
            for measure in map(self._dictionary.measures.__getitem__, self._dictionary.metrics[metric_id].formula.names)
            if measure.source == source.id
        ]
        matches = [_FILTER.search(sql) for sql in counted]
        if all(matches):
            where.append("(" + " or ".join(f"({match[1]})" for match in matches if match) + ")")
        where += [
            f"{self._group(source, name)} is not distinct from {self._bind(value)}" for name, value in cell.items()
        ]
        time = "part_from_ms" if source.is_interval else source.time
        return self._list(source, columns, where, f" order by {time} desc", limit, offset)

    def _list(
        self, source: Source, columns: tuple[str, ...], where: list[str], order: str, limit: int | None, offset: int
    ) -> Statement:
        chosen = [f"{self._dictionary.dimensions[name].column} as {_quoted(name)}" for name in columns]
        total = ", count(*) over () as row_total" if limit is not None else ""
        paged = f"{_settled(source, order)} limit {limit} offset {offset}" if limit is not None else order
        conditions = " and ".join([*self._conditions(source), *where]) or "true"
        table = self._from(source, columns)
        text = f"select {', '.join(chosen)}{total} from {table} where {conditions}{paged}"
        return Statement(text, self._values, [*columns, *(["row_total"] if limit is not None else [])])

    def _joined(self) -> str:
        query = self._query
        parts, measures = [], []
        for source_id in sources_of(self._dictionary, query):
            text, names = self._one(self._dictionary.sources[source_id])
            parts.append(f"s_{source_id} as ({text})")
            measures += names
        union = " union all by name ".join(f"from s_{each}" for each in sources_of(self._dictionary, query))
        groups = ", ".join(map(_quoted, query.groups))
        summed = ", ".join([*map(_quoted, query.groups), *(self._whole(name) for name in measures)])
        grouped = f" group by {groups}" if groups else ""
        return f"with {', '.join(parts)}, joined as (select {summed} from ({union}){grouped})"

    def _one(self, source: Source) -> tuple[str, list[str]]:
        needed = {name for each in self._query.metrics for name in self._dictionary.metrics[each].formula.names}
        measures = [
            each for each in self._dictionary.measures.values() if each.source == source.id and each.id in needed
        ]
        groups = [f"{self._group(source, name)} as {_quoted(name)}" for name in self._query.groups]
        sums = [f"{self._option(measure.sql)} as {_quoted(measure.id)}" for measure in measures]
        where = self._conditions(source)
        if source.id in self._query.report.where_of:
            where.append(f"({self._query.report.where_of[source.id]})")
        grouped = f" group by {', '.join(str(n + 1) for n in range(len(groups)))}" if groups else ""
        conditions = " and ".join(where) or "true"
        text = f"select {', '.join([*groups, *sums])} from {self._from(source)} where {conditions}{grouped}"
        return text, [measure.id for measure in measures]

    def _whole(self, name: str) -> str:
        """Return a measure over all sources: a sum of nothing is 0, a highest or a quantile of nothing is nothing."""
        sql = self._dictionary.measures[name].sql
        is_sum = sql.startswith(("count(", "coalesce("))
        return (
            f"coalesce(max({_quoted(name)}), 0) as {_quoted(name)}"
            if is_sum
            else f"max({_quoted(name)}) as {_quoted(name)}"
        )

    def _formulas(self) -> list[str]:
        metrics = (self._dictionary.metrics[each] for each in self._query.metrics)
        used = set(self._used())
        return [
            f"{'null::double' if used & set(each.not_by) else each.formula.sql()} as {_quoted('m_' + each.id)}"
            for each in metrics
        ]

    def _order(self) -> str:
        names = []
        for name, is_descending in self._query.order:
            column = f"m_{name}" if name in self._query.metrics else name
            names.append(f"{_quoted(column)} {'desc' if is_descending else 'asc'} nulls last")
        return f" order by {', '.join(names)}" if names else ""

    def _group(self, source: Source, name: str) -> str:
        dimension = self._dictionary.dimensions[name]
        if dimension.kind == "time":
            return calendar.bucket_sql(name, "part_from_ms" if source.is_interval else source.time, self._offsets)
        if dimension.via:
            return "group_id"
        return f"coalesce({dimension.column}, '')" if dimension.kind == "text" else dimension.column

    def _conditions(self, source: Source) -> list[str]:
        query = self._query
        found = [] if source.is_interval else [f"{source.time} >= {query.from_ms} and {source.time} < {query.until_ms}"]
        if source.where:
            found.append(f"({source.where})")
        for word, chosen in (("in", query.filters), ("not in", query.exclude)):
            found += [self._chosen(source, name, word, values) for name, values in chosen.items()]
        return found

    def _chosen(self, source: Source, name: str, word: str, values: list[Any]) -> str:
        """Return the condition that a row is among those with some values of a dimension, or is not.

        An agent of two groups is in a report twice where it is grouped by them, and once where they only choose rows.
        """
        bound = ", ".join(map(self._bind, values))
        dimension = self._dictionary.dimensions[name]
        if not dimension.via or name in self._query.groups:
            chosen = f"{self._group(source, name)} {word} ({bound})"
            # Of what is not known nobody can say that it is one of these: it is not left out with them.
            return chosen if word == "in" else f"coalesce({chosen}, true)"
        members = f"select member_id from {self._groups()} where group_id in ({bound})"
        return f"coalesce({dimension.column}, '') {word} ({members})"

    def _from(self, source: Source, columns: tuple[str, ...] = ()) -> str:
        table = self._intervals(source, {*self._used(), *columns}) if source.is_interval else self._table(source)
        if any(self._dictionary.dimensions[name].via for name in self._query.groups):
            table = f"(select t.*, g.group_id from {table} t join {self._groups()} g on t.agent_id = g.member_id)"
        return table

    def _table(self, source: Source) -> str:
        if source.table == "firsts":
            return self._firsts()
        if source.table == "visits":
            return f"(select *, {self._in_time()} as is_in_time from visits)"
        return source.table

    def _in_time(self) -> str:
        """Return whether a wait was in time: by the word of then, or by the threshold that the report was asked for."""
        if self._query.threshold_ms is not None:
            return f"wait_ms <= {self._query.threshold_ms}"
        known = ", ".join(map(self._bind, self._profiled.with_threshold)) or "''"
        # The list of texts is compared only where it decides: the whole summary takes a third of the time (0.11 s).
        return (
            f"(case when in_time then true when wait_ms > {DEFAULT_THRESHOLD_SECONDS * 1000} then false "
            f"else queue_id not in ({known}) end)"
        )

    def _intervals(self, source: Source, used: set[str]) -> str:
        """Return the source's intervals, the open one of each agent until now, cut into the parts of the period."""
        query = self._query
        end = min(query.until_ms, query.now_ms)
        told = self._with_own_queue(source) if "queue" in used else f"select * from {source.table}"
        whole = f"{told} union all by name {self._still_open(source, end)}"
        unit = self._finest()
        parts = (
            calendar.edges(unit, query.zone, query.from_ms, query.until_ms)
            if unit
            else [(query.from_ms, query.until_ms)]
        )
        values = ", ".join(f"({low}, {high})" for low, high in parts)
        return (
            f"(select i.*, greatest(i.from_ms, b.low) as part_from_ms, least(i.until_ms, b.high) as part_until_ms, "
            f"least(i.until_ms, b.high) - greatest(i.from_ms, b.low) as overlap_ms from "
            f"(select * from ({whole}) where from_ms < {query.until_ms} and until_ms > {query.from_ms}) i "
            f"join (values {values}) b(low, high) on i.from_ms < b.high and i.until_ms > b.low)"
        )

    def _with_own_queue(self, source: Source) -> str:
        """Return intervals with the queue that was served in them: each change tells the one after it."""
        query = self._query
        return (
            f"select * replace (coalesce(lag(queue_id) over (partition by agent_id order by sequence), '') "
            f"as queue_id) from {source.table} "
            f"where until_ms > {query.from_ms - _BEFORE_MS} and from_ms < {query.until_ms}"
        )

    def _still_open(self, source: Source, end: int) -> str:
        """Return what goes on: the state after each agent's last word, until the end of the period or now."""
        told = ("agent_id", "sequence", "from_ms", "until_ms", "state")
        last = "".join(f"arg_max({name}, sequence) as {name}, " for name in source.columns if name not in told)
        state = f"arg_max({source.open_state}, sequence)"
        return (
            f"select agent_id, max(sequence) as sequence, {last}{state} as state, "
            f"max(until_ms) as from_ms, {end} as until_ms from {source.table} group by agent_id "
            f"having {state} not in ('offline', 'unspecified') and max(until_ms) < {end}"
        )

    def _finest(self) -> str:
        units = [name for name in self._used() if self._dictionary.dimensions[name].kind == "time"]
        clock = {name: "hour" if name == "hour_of_day" else name for name in units}
        steps = sorted(clock.values(), key=lambda name: calendar.CLOCK_MS.get(name, calendar.DAY_MS))
        return steps[0] if steps else ""

    def _used(self) -> tuple[str, ...]:
        return (*self._query.groups, *self._query.filters, *self._query.exclude)

    def _firsts(self) -> str:
        """Return inbound calls with a queue, each with its neighbours of the same client and queue."""
        query = self._query
        reach = query.fcr_hours * calendar.HOUR_MS
        resolved = " ".join(
            f"when disposition in ({', '.join(map(self._bind, names))}) then {word}"
            for names, word in ((query.resolved, "true"), (query.unresolved, "false"))
            if names
        )
        repeat = f"(after_ms is null or after_ms - started_ms > {reach})"
        return (
            f"(select *, (before_ms is null or started_ms - before_ms > {reach}) as is_first, "
            f"{f'case {resolved} else {repeat} end' if resolved else repeat} as is_resolved from "
            f"(select *, lag(started_ms) over w as before_ms, lead(started_ms) over w as after_ms from calls "
            f"where direction = 'inbound' and client <> '' and queue_id <> '' "
            f"and started_ms >= {query.from_ms - reach} and started_ms < {query.until_ms + reach} "
            f"window w as (partition by client, {self._queue_group()} order by started_ms, call_id)))"
        )

    def _queue_group(self) -> str:
        """Return what a repeat is looked for in: the queue, or the first of those that count as one with it."""
        cases = "".join(
            f" when queue_id in ({', '.join(map(self._bind, group))}) then {self._bind(group[0])}"
            for group in self._query.fcr_queues
            if group
        )
        return f"(case{cases} else queue_id end)" if cases else "queue_id"

    def _groups(self) -> str:
        pairs = [(group, agent) for group, agents in self._profiled.groups.items() for agent in agents]
        values = ", ".join(f"({self._bind(group)}, {self._bind(agent)})" for group, agent in pairs)
        return f"(select * from (values {values or '(null, null)'}) v(group_id, member_id))"

    def _option(self, sql: str) -> str:
        free, first, step = self._query.tariff
        return (
            sql.replace("$tariff_free", str(free))
            .replace("$tariff_first", str(first))
            .replace("$tariff_step", str(step))
        )

    def _bind(self, value: Any) -> str:
        name = f"v{len(self._values)}"
        self._values[name] = value
        return f"${name}"


def _settled(source: Source, order: str) -> str:
    """Return an order in which no two rows stand equal, so that pages neither share a row nor leave one out."""
    time = "part_from_ms" if source.is_interval else source.time
    ties = ", ".join([time, *(name for name in _TELLS_APART if name in source.columns)])
    return f"{order}, {ties}" if order else f" order by {ties}"


def _quoted(name: str) -> str:
    return f'"{name}"'
