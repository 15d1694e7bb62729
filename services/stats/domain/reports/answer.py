"""From rows of SQL to what people read: columns with names and units, values, and the cell that leads to the calls."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.stats.domain.reports import calendar
from services.stats.domain.reports.dictionary import Dictionary, Dimension
from services.stats.domain.reports.query import Query

_RATIO_DIGITS: Final = 5
_NUMBER_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `role` is group, metric or field; `unit` is a unit of metrics, or a kind of dimensions.

    `words` are what people read for its values; answers hold the values themselves.
    """

    id: str
    role: str
    unit: str
    name: str
    words: dict[str, str] = field(default_factory=dict, compare=False)

    def value(self, raw: Any, zone: ZoneInfo) -> Any:
        """Return what people read for a raw value; None stays None: nothing is known, which is not 0."""
        read = _READ.get((self.role, self.unit)) or _READ.get(("", self.unit))
        if raw is None or read is None:
            return raw
        return calendar.word(self.id, int(raw), zone) if self.unit == "time" else read(raw, zone)


_READ: Final[dict[tuple[str, str], Callable[[Any, ZoneInfo], Any]]] = {
    ("", "time"): lambda raw, _: raw,
    ("", "moment"): lambda raw, zone: calendar.moment(int(raw), zone),
    ("field", "seconds"): lambda raw, _: raw / 1000,
    ("", "ratio"): lambda raw, _: round(float(raw), _RATIO_DIGITS),
    ("", "seconds"): lambda raw, _: round(float(raw), _NUMBER_DIGITS),
    ("", "number"): lambda raw, _: raw if isinstance(raw, int) else round(float(raw), _NUMBER_DIGITS),
    ("", "count"): lambda raw, _: int(raw),
    ("", "bytes"): lambda raw, _: int(raw),
}


def columns_of(dictionary: Dictionary, query: Query) -> list[Column]:
    """Return the columns of a report."""
    if query.report.is_list:
        return fields_of(dictionary, query.report.columns, query.language)
    groups = [_of_dimension(dictionary.dimensions[name], "group", query.language) for name in query.groups]
    metrics = (dictionary.metrics[name] for name in query.metrics)
    return groups + [Column(each.id, "metric", each.unit, each.names[query.language]) for each in metrics]


def fields_of(dictionary: Dictionary, names: tuple[str, ...], language: str) -> list[Column]:
    """Return the columns of a list of rows."""
    return [_of_dimension(dictionary.dimensions[name], "field", language) for name in names]


def _of_dimension(dimension: Dimension, role: str, language: str) -> Column:
    return Column(dimension.id, role, dimension.kind, dimension.names[language], dimension.words_in(language))


def with_names(dictionary: Dictionary, columns: list[Column], names: Mapping[str, str]) -> list[Column]:
    """Return the columns with people's names for the ids of agents; who shares a name is told by both."""
    times = Counter(names.values())
    words = {each: name if times[name] == 1 else f"{name} ({each})" for each, name in names.items() if name != each}
    return [replace(column, words=words) if _is_of_agents(dictionary, column) else column for column in columns]


def _is_of_agents(dictionary: Dictionary, column: Column) -> bool:
    dimension = dictionary.dimensions.get(column.id) if column.role != "metric" else None
    return dimension is not None and dimension.column.endswith("agent_id") and not dimension.via


def described(column: Column, rows: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return what answers say of a column; where rows are given, only the words that these need."""
    told: dict[str, Any] = {"id": column.id, "role": column.role, "unit": column.unit, "name": column.name}
    if rows is None:
        words = column.words
    else:
        shown = {row["values"][column.id] for row in rows} if column.words else set()
        words = {value: column.words[value] for value in shown & column.words.keys()}
    return told | {"words": words} if words else told


def row_of(columns: list[Column], raw: tuple[Any, ...], zone: ZoneInfo) -> dict[str, Any]:
    """Return one row: values by column, and the keys of its groups as the drill takes them."""
    pairs = list(zip(columns, raw, strict=False))
    row: dict[str, Any] = {"values": {column.id: column.value(value, zone) for column, value in pairs}}
    cell = {column.id: value for column, value in pairs if column.role == "group"}
    return {**row, "cell": cell} if cell else row


def catalogue_of(dictionary: Dictionary, language: str) -> dict[str, Any]:
    """Return what GET /v1/reports answers: reports, groups, metrics, by name, in a language."""
    return {
        "reports": [
            {
                "id": report.id,
                "name": report.names[language],
                "section": report.section,
                "kind": "list" if report.is_list else report.kind,
                "groups": list(report.groups),
                "metrics": list(report.metrics),
                "columns": list(report.columns),
                "sources": [report.source] if report.is_list else dictionary.sources_of(report.metrics),
            }
            for report in dictionary.reports.values()
        ],
        "groups": [
            {
                "id": each.id,
                "name": each.names[language],
                "kind": each.kind,
                "words": each.words_in(language),
                "sources": [source for source in dictionary.sources if dictionary.has(source, each)],
            }
            for each in dictionary.dimensions.values()
        ],
        "metrics": [
            {
                "id": each.id,
                "name": each.names[language],
                "unit": each.unit,
                "sources": dictionary.sources_of([each.id]),
            }
            for each in dictionary.metrics.values()
        ],
    }


def explained(dictionary: Dictionary, language: str) -> dict[str, Any]:
    """Return what GET /v1/reports/dictionary answers: each metric with formula, unit, source, measures and examples."""
    return {
        "metrics": [
            {
                "id": metric.id,
                "name": metric.names[language],
                "formula": metric.formula.text,
                "unit": metric.unit,
                "about": metric.about,
                "sources": dictionary.sources_of([metric.id]),
                "measures": {name: dictionary.measures[name].about for name in metric.formula.names},
                "examples": metric.examples,
            }
            for metric in dictionary.metrics.values()
        ],
        "sources": [{"id": each.id, "name": each.names[language]} for each in dictionary.sources.values()],
    }
