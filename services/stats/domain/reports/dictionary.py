"""The dictionary: sources, measures, metrics, dimensions and reports, read from the catalogue."""

from dataclasses import dataclass, field
from typing import Any, Final

from services.stats.domain.facts.tables import TABLES
from services.stats.domain.reports.formula import Formula

LANGUAGES: Final = ("en", "uk")
Names = dict[str, str]


class BadDictionary(ValueError):
    """The dictionary contradicts itself: our own fault, found at start and in tests."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is counted: rows of a table, placed in time by a moment, or by an interval that is cut at the edges."""

    id: str
    table: str
    time: str
    names: Names
    where: str = ""
    until: str = ""
    open_state: str = ""

    @property
    def is_interval(self) -> bool:
        """Whether its rows have a beginning and an end."""
        return bool(self.until)

    @property
    def columns(self) -> dict[str, str]:
        """Its columns and their types."""
        return TABLES["calls" if self.table == "firsts" else self.table]


@dataclass(frozen=True, slots=True)
class Measure:
    """A sum, count or quantile over a source, an SQL aggregate."""

    id: str
    source: str
    sql: str
    about: str


@dataclass(frozen=True, slots=True)
class Metric:
    """What people read: a formula over measures. `unit` is count, ratio, seconds, number, bytes or moment.

    `not_by` are dimensions by which it has no value: what it is divided by is not told apart by them.
    """

    id: str
    formula: Formula
    unit: str
    names: Names
    about: str
    examples: list[dict[str, float]]
    not_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dimension:
    """What rows are grouped or filtered by. `kind`: time, text, number, flag, seconds or moment.

    `words` are what people read for values of a fixed list; a value without one is shown as it is.
    """

    id: str
    column: str
    kind: str
    names: Names
    via: str = ""
    words: dict[str, Names] = field(default_factory=dict, compare=False)

    def words_in(self, language: str) -> dict[str, str]:
        """Return the words of one language by value."""
        return {value: names[language] for value, names in self.words.items()}


@dataclass(frozen=True, slots=True)
class Report:
    """One report. With columns it lists a source's rows; else it counts metrics by groups."""

    id: str
    section: str
    names: Names
    groups: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    source: str = ""
    columns: tuple[str, ...] = ()
    where: str = ""
    where_of: dict[str, str] = field(default_factory=dict)
    order: str = ""
    kind: str = "count"

    @property
    def is_list(self) -> bool:
        """Whether it lists rows."""
        return bool(self.columns)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Everything, by id, in the order of the files."""

    sources: dict[str, Source]
    measures: dict[str, Measure]
    metrics: dict[str, Metric]
    dimensions: dict[str, Dimension]
    reports: dict[str, Report]

    def sources_of(self, metric_ids: list[str] | tuple[str, ...]) -> list[str]:
        """Return the sources that metrics are computed from, in the order of the file."""
        needed = {self.measures[name].source for each in metric_ids for name in self.metrics[each].formula.names}
        return [each for each in self.sources if each in needed]

    def has(self, source_id: str, dimension: Dimension) -> bool:
        """Whether rows of a source can be grouped by a dimension."""
        return dimension.kind == "time" or dimension.column in self.sources[source_id].columns


def dictionary_of(
    metrics: dict[str, Any], dimensions: dict[str, Any], reports: dict[str, Any], words: dict[str, Any]
) -> Dictionary:
    """Read the four files. Raises BadDictionary, BadFormula."""
    found = Dictionary(
        {name: _source(name, raw) for name, raw in metrics["source"].items()},
        {name: Measure(name, raw["source"], raw["sql"], raw["en"]) for name, raw in metrics["measure"].items()},
        {name: _metric(name, raw) for name, raw in metrics["metric"].items()},
        {
            **_times(dimensions["time"]),
            **{name: _dimension(name, raw, words) for name, raw in dimensions["dimension"].items()},
        },
        {name: _report(name, raw) for name, raw in reports.items()},
    )
    _check(found)
    if unknown := words.keys() - {each.column for each in found.dimensions.values()}:
        raise BadDictionary(f"words are given for columns that no dimension reads: {', '.join(sorted(unknown))}")
    return found


def _names(raw: dict[str, Any]) -> Names:
    return {language: raw[language] for language in LANGUAGES}


def _source(name: str, raw: dict[str, Any]) -> Source:
    time = raw.get("time") or raw["from"]
    return Source(
        name, raw["table"], time, _names(raw), raw.get("where", ""), raw.get("until", ""), raw.get("open_state", "")
    )


def _metric(name: str, raw: dict[str, Any]) -> Metric:
    examples, not_by = raw.get("examples", []), tuple(raw.get("not_by", ()))
    return Metric(name, Formula(raw["formula"]), raw["unit"], _names(raw), raw["about"], examples, not_by)


def _times(raw: dict[str, Any]) -> dict[str, Dimension]:
    return {name: Dimension(name, "", "time", _names(each)) for name, each in raw.items()}


def _dimension(name: str, raw: dict[str, Any], words: dict[str, Any]) -> Dimension:
    own = {value: _names(each) for value, each in words.get(raw["column"], {}).items()}
    return Dimension(name, raw["column"], raw.get("kind", "text"), _names(raw), raw.get("via", ""), own)


def _report(name: str, raw: dict[str, Any]) -> Report:
    known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    names: Names = {language: known.pop(language) for language in LANGUAGES}
    return Report(id=name, names=names, **known)


def _check(found: Dictionary) -> None:
    for measure in found.measures.values():
        if measure.source not in found.sources:
            raise BadDictionary(f"measure {measure.id} is of an unknown source {measure.source}")
    for metric in found.metrics.values():
        if unknown := set(metric.formula.names) - found.measures.keys():
            raise BadDictionary(f"metric {metric.id} needs unknown measures: {', '.join(sorted(unknown))}")
    for report in found.reports.values():
        _check_report(found, report)


def _check_report(found: Dictionary, report: Report) -> None:
    unknown = {*report.groups, *report.columns} - found.dimensions.keys() | set(report.metrics) - found.metrics.keys()
    if unknown:
        raise BadDictionary(f"report {report.id} names what is not there: {', '.join(sorted(unknown))}")
    sources = [report.source] if report.is_list else found.sources_of(report.metrics)
    for name in (*report.groups, *report.columns):
        if not any(found.has(source, found.dimensions[name]) for source in sources):
            raise BadDictionary(f"report {report.id} can't be grouped by {name}")
