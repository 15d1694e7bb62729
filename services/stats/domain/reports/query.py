"""What somebody asks of a report, checked: everything that reaches the report tables was named by the dictionary."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.stats.domain.reports import calendar
from services.stats.domain.reports.dictionary import LANGUAGES, Dictionary, Report

LONGEST_DAYS: Final = 1_100
EARLIEST_MS: Final = 946_684_800_000  # 2000
LATEST_MS: Final = 4_102_444_800_000  # 2100
MOST_GROUPS: Final = 5
MOST_METRICS: Final = 40
MOST_FILTERS: Final = 20
MOST_VALUES: Final = 200
LONGEST_VALUE: Final = 200
MOST_ROWS: Final = 1_000
MOST_PARTS: Final = 30_000
MOST_OFFSET: Final = 10_000_000
DEFAULT_TARIFF: Final = (0, 1, 1)
PERIODS: Final = (
    "today",
    "yesterday",
    "this_week",
    "last_week",
    "this_month",
    "last_month",
    "last_7_days",
    "last_30_days",
)
_OPTIONS: Final = frozenset(
    {"period", "from", "until", "tz", "groups", "metrics", "filters", "exclude", "order", "limit", "offset", "lang"}
    | {"threshold_seconds", "fcr_hours", "fcr_queues", "resolved", "unresolved", "tariff", "cell", "metric"}
    | {"agents", "target_percent", "patience_seconds", "compare"}
)


class BadQuery(ValueError):
    """Somebody asks for what a report can't answer. `kind` and the sentence are shown to him; `at` names the part."""

    def __init__(self, kind: str, at: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.at = at


@dataclass(frozen=True, slots=True)
class Query:
    """One checked question. Times are ms since 1970 UTC, [from, until)."""

    report: Report
    from_ms: int
    until_ms: int
    now_ms: int
    zone: ZoneInfo
    groups: tuple[str, ...]
    metrics: tuple[str, ...]
    filters: dict[str, list[Any]] = field(default_factory=dict)
    exclude: dict[str, list[Any]] = field(default_factory=dict)
    order: tuple[tuple[str, bool], ...] = ()
    limit: int = 100
    offset: int = 0
    language: str = "en"
    threshold_ms: int | None = None
    fcr_hours: int = 72
    resolved: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    tariff: tuple[int, int, int] = DEFAULT_TARIFF
    agents: int | None = None
    target_percent: int = 80
    patience_seconds: int = 120
    fcr_queues: tuple[tuple[str, ...], ...] = ()
    """Queues that count as one where a client calls again."""
    compares: bool = False
    """Whether each value is wanted beside that of the period before."""

    def before(self) -> "Query":
        """Return the same question about the period before.

        Whole months are compared with as many months, other whole local days with as many days, else it is as long.
        """
        start, end = self._local(self.from_ms), self._local(self.until_ms)
        days, months = (end.date() - start.date()).days, _month(end) - _month(start)
        former = self.from_ms - (self.until_ms - self.from_ms)
        if days and _is_midnight(start) and _is_midnight(end):
            first = start.date() - timedelta(days=days)
            if start.day == end.day == 1:
                year, month = divmod(_month(start) - months, 12)
                first = date(year, month + 1, 1)
            former = calendar.midnight_ms(first, self.zone)
        return replace(self, from_ms=former, until_ms=self.from_ms, compares=False)

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone)


def _is_midnight(at: datetime) -> bool:
    return (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)


def _month(at: datetime) -> int:
    return at.year * 12 + at.month - 1


def query_of(dictionary: Dictionary, report_id: str, asked: Mapping[str, Any], now_ms: int, time_zone: str) -> Query:
    """Check a question. `time_zone` is the tenant's own. Raises BadQuery."""
    report = dictionary.reports.get(report_id)
    if report is None:
        raise BadQuery(
            "unknown-report", "report", f"There is no report {_shown(report_id)}; GET /v1/reports lists them."
        )
    if unknown := sorted(str(name) for name in asked.keys() - _OPTIONS):
        raise BadQuery("unknown-option", _shown(unknown[0]), f"There is no option {_shown(unknown[0])}.")
    zone_name = _text(asked, "tz") or time_zone
    zone = calendar.zone_of(zone_name)
    if zone is None:
        raise BadQuery("unknown-time-zone", "tz", f"{_shown(zone_name)} is no time zone of the IANA database.")
    from_ms, until_ms = _period(asked, zone, now_ms)
    groups, metrics = _groups(dictionary, report, asked), _metrics(dictionary, report, asked)
    query = Query(
        report,
        from_ms,
        until_ms,
        now_ms,
        zone,
        groups,
        metrics,
        _filters(dictionary, asked, "filters"),
        _filters(dictionary, asked, "exclude"),
        _order(asked, report, groups, metrics),
        _number(asked, "limit", 100, 1, MOST_ROWS),
        _number(asked, "offset", 0, 0, MOST_OFFSET),
        _language(asked),
        _threshold(asked),
        _number(asked, "fcr_hours", 72, 1, 24 * 60),
        _texts(asked, "resolved"),
        _texts(asked, "unresolved"),
        _tariff(asked),
        _number(asked, "agents", 0, 0, 5_000) if "agents" in asked else None,
        _number(asked, "target_percent", 80, 1, 99),
        _number(asked, "patience_seconds", 120, 1, 86_400),
        _queues_together(asked),
        _compares(asked, report),
    )
    _check_sources(dictionary, query)
    return query


def sources_of(dictionary: Dictionary, query: Query) -> list[str]:
    """Return the sources that a question reads."""
    return [query.report.source] if query.report.is_list else dictionary.sources_of(query.metrics)


def cell_of(dictionary: Dictionary, query: Query, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cell that is looked into: keys of groups, as a row's `cell` told them. Raises BadQuery."""
    cell = asked.get("cell", {})
    if not isinstance(cell, Mapping):
        raise BadQuery("bad-cell", "cell", "The cell is an object of groups and their keys, as a row tells it.")
    found: dict[str, Any] = {}
    for name, value in cell.items():
        if name not in query.groups:
            raise BadQuery("bad-cell", f"cell.{_shown(name)}", f"The report is not grouped by {_shown(name)}.")
        # A row of which the group is not known has it as null, and so has the address of its cell, where it is empty.
        is_unknown = value is None or (value == "" and dictionary.dimensions[name].kind != "text")
        found[str(name)] = None if is_unknown else _check_value(dictionary, str(name), value, "cell")
    return found


def _period(asked: Mapping[str, Any], zone: ZoneInfo, now_ms: int) -> tuple[int, int]:
    named = _text(asked, "period")
    if named and ("from" in asked or "until" in asked):
        raise BadQuery("bad-period", "period", "Give either period, or from and until.")
    if named and named not in PERIODS:
        raise BadQuery("bad-period", "period", f"The period is one of {', '.join(PERIODS)}.")
    if named or "from" not in asked:
        return _named(named or "today", zone, now_ms)
    from_ms = _moment(asked, "from", zone)
    until_ms = _moment(asked, "until", zone) if "until" in asked else now_ms
    if until_ms <= from_ms:
        raise BadQuery("bad-period", "until", "The period ends before it begins: until is the first moment after it.")
    if until_ms - from_ms > LONGEST_DAYS * calendar.DAY_MS:
        raise BadQuery("bad-period", "until", f"A report is over {LONGEST_DAYS} days at most.")
    return from_ms, until_ms


def _named(name: str, zone: ZoneInfo, now_ms: int) -> tuple[int, int]:
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    last_first = (first - timedelta(days=1)).replace(day=1)
    start, end = {
        "today": (today, today + timedelta(days=1)),
        "yesterday": (today - timedelta(days=1), today),
        "this_week": (monday, monday + timedelta(days=7)),
        "last_week": (monday - timedelta(days=7), monday),
        "this_month": (first, (first + timedelta(days=32)).replace(day=1)),
        "last_month": (last_first, first),
        "last_7_days": (today - timedelta(days=7), today),
        "last_30_days": (today - timedelta(days=30), today),
    }[name]
    return calendar.midnight_ms(start, zone), calendar.midnight_ms(end, zone)


def _moment(asked: Mapping[str, Any], name: str, zone: ZoneInfo) -> int:
    """Return an instant: ms since 1970, a date (its local midnight), or a date and time, local where no offset is."""
    value = asked[name]
    at_ms: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        at_ms = value
    elif isinstance(value, str):
        at_ms = int(value) if re.fullmatch(r"[0-9]{12,13}", value, re.ASCII) else _parsed(value, zone)
    if at_ms is None or not EARLIEST_MS <= at_ms < LATEST_MS:
        raise BadQuery(
            "bad-period", name, f"{name} is a date, a date and time (ISO 8601), or ms since 1970, of 2000 to 2099."
        )
    return at_ms


def _parsed(text: str, zone: ZoneInfo) -> int | None:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            return calendar.midnight_ms(date.fromisoformat(text), zone)
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def _groups(dictionary: Dictionary, report: Report, asked: Mapping[str, Any]) -> tuple[str, ...]:
    groups = _texts(asked, "groups") if "groups" in asked else report.groups
    for name in groups:
        if name not in dictionary.dimensions:
            raise BadQuery("unknown-group", "groups", f"There is no group {_shown(name)}; GET /v1/reports lists them.")
    if len(groups) > MOST_GROUPS or len(set(groups)) < len(groups):
        raise BadQuery("bad-groups", "groups", f"A report is grouped by {MOST_GROUPS} different groups at most.")
    if report.is_list and groups:
        raise BadQuery("bad-groups", "groups", f"Report {report.id} lists rows; it has no groups.")
    return groups


def _metrics(dictionary: Dictionary, report: Report, asked: Mapping[str, Any]) -> tuple[str, ...]:
    metrics = _texts(asked, "metrics") if "metrics" in asked else report.metrics
    for name in metrics:
        if name not in dictionary.metrics:
            raise BadQuery(
                "unknown-metric",
                "metrics",
                f"There is no metric {_shown(name)}; GET /v1/reports lists them.",
            )
    if len(metrics) > MOST_METRICS or len(set(metrics)) < len(metrics):
        raise BadQuery("bad-metrics", "metrics", f"A report has {MOST_METRICS} different metrics at most.")
    if report.is_list and metrics:
        raise BadQuery("bad-metrics", "metrics", f"Report {report.id} lists rows; it has no metrics.")
    if not report.is_list and not metrics:
        raise BadQuery("bad-metrics", "metrics", "Name one metric at least.")
    return metrics


def _filters(dictionary: Dictionary, asked: Mapping[str, Any], name: str) -> dict[str, list[Any]]:
    raw = asked.get(name) or {}
    if not isinstance(raw, Mapping) or len(raw) > MOST_FILTERS:
        raise BadQuery("bad-filter", name, f"{name} is an object of at most {MOST_FILTERS} groups and lists of values.")
    found: dict[str, list[Any]] = {}
    for key, given in raw.items():
        values = given if isinstance(given, list) else [given]
        if not 0 < len(values) <= MOST_VALUES:
            raise BadQuery("bad-filter", f"{name}.{_shown(key)}", f"A filter has 1 to {MOST_VALUES} values.")
        if key not in dictionary.dimensions:
            raise BadQuery(
                "unknown-filter", name, f"There is no filter {_shown(key)}; GET /v1/reports lists the groups."
            )
        found[str(key)] = [_check_value(dictionary, str(key), value, name) for value in values]
    return found


def _check_value(dictionary: Dictionary, name: str, value: Any, at: str) -> Any:
    kind = dictionary.dimensions[name].kind
    if kind == "text":
        if isinstance(value, str) and len(value) <= LONGEST_VALUE and "\x00" not in value:
            return value
        raise BadQuery(
            "bad-filter", f"{at}.{name}", f"A value of {name} is a text of {LONGEST_VALUE} characters at most."
        )
    if kind == "flag":
        if value in (True, False, "true", "false"):
            return value in (True, "true")
        raise BadQuery("bad-filter", f"{at}.{name}", f"A value of {name} is true or false.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < 1e15:  # noqa: PLR2004 - beyond any moment or number that we keep; NaN fails too
        raise BadQuery("bad-filter", f"{at}.{name}", f"A value of {name} is a number.")
    return int(number) if number.is_integer() else number


def _order(
    asked: Mapping[str, Any], report: Report, groups: tuple[str, ...], metrics: tuple[str, ...]
) -> tuple[tuple[str, bool], ...]:
    """Return (column, is descending), the groups last, so that pages do not overlap."""
    text = _text(asked, "order") or report.order
    columns = report.columns if report.is_list else (*groups, *metrics)
    name = text.removeprefix("-")
    if name and name not in columns:
        if "order" in asked:
            raise BadQuery("bad-order", "order", f"The report has no column {_shown(name)} to be ordered by.")
        name = ""
    chosen = [(name, text.startswith("-"))] if name else []
    return tuple(chosen + [(each, False) for each in groups if each != name])


def _check_sources(dictionary: Dictionary, query: Query) -> None:
    for source in sources_of(dictionary, query):
        for name in (*query.groups, *query.filters, *query.exclude):
            if not dictionary.has(source, dictionary.dimensions[name]):
                what = dictionary.sources[source].names["en"].lower()
                raise BadQuery("bad-groups", name, f"{what}: these can't be grouped or filtered by {name}.")
    # Time of agents is cut by whatever it is filtered by, too.
    is_cut = any(dictionary.sources[each].is_interval for each in sources_of(dictionary, query))
    cutting = (*query.groups, *query.filters, *query.exclude) if is_cut else query.groups
    units = {each for each in cutting if dictionary.dimensions[each].kind == "time"}
    step = min((calendar.CLOCK_MS.get(unit, calendar.DAY_MS) for unit in units), default=calendar.DAY_MS)
    if (query.until_ms - query.from_ms) / step > MOST_PARTS:
        raise BadQuery(
            "bad-period", "until", f"The period has more than {MOST_PARTS} parts: take a shorter one, or longer parts."
        )


def _threshold(asked: Mapping[str, Any]) -> int | None:
    return _number(asked, "threshold_seconds", 0, 0, 86_400) * 1000 if "threshold_seconds" in asked else None


def _tariff(asked: Mapping[str, Any]) -> tuple[int, int, int]:
    text = _text(asked, "tariff")
    if not text:
        return DEFAULT_TARIFF
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})/(\d{1,4})", text, re.ASCII)
    if match is None or not int(match[3]):
        raise BadQuery(
            "bad-tariff", "tariff", "A tariff is XX/YY/ZZ in whole seconds, for example 5/60/1; ZZ is not 0."
        )
    return int(match[1]), int(match[2]), int(match[3])


def _queues_together(asked: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Read `sales+vip,support+night`: a comma parts groups, a plus the queues of one."""
    groups = tuple(tuple(each for each in text.split("+") if each) for text in _texts(asked, "fcr_queues"))
    queues = [each for group in groups for each in group]
    if len(set(queues)) < len(queues):
        raise BadQuery("bad-fcr_queues", "fcr_queues", "A queue is in one group of queues at most.")
    return groups


def _compares(asked: Mapping[str, Any], report: Report) -> bool:
    text = _text(asked, "compare")
    if text not in ("", "before"):
        raise BadQuery("bad-compare", "compare", "A report is compared with the period before: compare=before.")
    if text and report.is_list:
        raise BadQuery("bad-compare", "compare", f"Report {report.id} lists rows; there is nothing to compare.")
    return bool(text)


def _language(asked: Mapping[str, Any]) -> str:
    language = _text(asked, "lang") or "en"
    if language not in LANGUAGES:
        raise BadQuery("bad-language", "lang", f"The language is one of {', '.join(LANGUAGES)}.")
    return language


def _number(asked: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = asked.get(name, default)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadQuery(f"bad-{name.replace('_', '-')}", name, f"{name} is a whole number from {low} to {high}.")
    return value


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or "\x00" in value:
        raise BadQuery(f"bad-{name}", name, f"{name} is a text of {LONGEST_VALUE} characters at most.")
    return value


def _texts(asked: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = asked.get(name, [])
    if isinstance(value, str):
        value = [each for each in value.split(",") if each]
    if not isinstance(value, list) or len(value) > MOST_VALUES:
        raise BadQuery(f"bad-{name}", name, f"{name} is a list of at most {MOST_VALUES} names.")
    return tuple(_text({name: each}, name) for each in value)


def _shown(value: object) -> str:
    """Return what somebody wrote, short and without anything that could be taken for more than a name."""
    return re.sub(r"[^\w.:+-]", "?", str(value)[:40]) or "(nothing)"
