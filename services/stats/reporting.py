"""Runs reports: brings a tenant's tables up to date, asks them within a time, says what the answer may lack."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

import gevent
import orjson
from gevent.lock import BoundedSemaphore

from services.shared.chassis.clock import Clock
from services.stats import metrics
from services.stats.adapters.columns import Columns, QueryStopped, Running
from services.stats.domain.board import Board
from services.stats.domain.reports import answer, calendar, comparing, staffing
from services.stats.domain.reports.dictionary import Dictionary
from services.stats.domain.reports.query import BadQuery, Query, cell_of, query_of, sources_of
from services.stats.domain.reports.sql import Compiler, Profiled, Statement
from services.stats.mirroring import Mirror, threaded
from services.stats.store import StoreUnavailable

# One question may take so long; then it is ended and the answer says what to do.
QUERY_SECONDS: Final = 20.0
# An export's question may take longer: it is sorted whole before the first row is sent.
EXPORT_SECONDS: Final = 300.0
# An answer waits so long for what changed since the last one; what is not read by then is said to be missing.
FRESH_SECONDS: Final = 4.0
# Questions at a time, of all tenants and of one; others wait a little, then are told to come again.
MOST_AT_ONCE: Final = 4
MOST_OF_TENANT: Final = 2
WAIT_SECONDS: Final = 5.0
MOST_GAPS: Final = 100
STAFFING: Final = "staffing"
CATCHING_UP: Final = "catching_up"
LEGS: Final = "legs"
_REAL: Final = frozenset({"ratio", "seconds", "number"})
_WHEN: Final = frozenset({"from", "until", "from_ms", "until_ms"})
_AWAY: Final = (
    "select node, max(at_ms) as since from happenings "
    "where kind in ('switch.connected', 'switch.disconnected', 'switch.restarted') group by node "
    "having last(kind order by at_ms, sequence) = 'switch.disconnected' and max(at_ms) < {until_ms} "
    "and max(at_ms) > {from_ms} - 86400000 "
    "order by since limit {most}"
)
"""Switches that are away: what they do is told when they are back, as a gap or late; after a day they are gone."""
_T = TypeVar("_T")


class TooBusy(Exception):
    """Too many questions are being answered. Who asks should come again in a moment."""


class TooLong(Exception):
    """A question was ended because it took too long. A shorter period or fewer groups will do."""


class Reports:
    """Answers questions about one tenant at a time. Raises BadQuery, TooBusy, TooLong."""

    def __init__(self, dictionary: Dictionary, columns: Columns, mirror: Mirror, board: Board, clock: Clock) -> None:
        self.dictionary = dictionary
        self._columns = columns
        self._mirror = mirror
        self._board = board
        self._clock = clock
        self.fresh_seconds = FRESH_SECONDS
        self._slots = BoundedSemaphore(MOST_AT_ONCE)
        self._of_tenant: dict[str, BoundedSemaphore] = {}

    def query(self, tenant_id: str, report_id: str, asked: Mapping[str, Any]) -> Query:
        """Check a question. Raises BadQuery."""
        zone = self._board.profile(tenant_id).time_zone
        return query_of(self.dictionary, report_id, asked, self._clock.now_ms(), zone)

    def run(self, tenant_id: str, query: Query, *, with_totals: bool = True) -> dict[str, Any]:
        """Return a page of a report."""
        columns = self.columns(tenant_id, query)
        lacks = self.refresh(tenant_id)
        compiler = self._compiler(tenant_id, query)
        if query.report.is_list:
            statement = compiler.rows(limit=query.limit, offset=query.offset)
        else:
            statement = compiler.count(limit=query.limit, offset=query.offset)
        rows = _staffed(query, self._fetch(tenant_id, statement))
        found = self._page(query, columns, rows) | {"completeness": self._completeness(tenant_id, query, lacks)}
        if not query.report.is_list and with_totals:
            found["totals"] = self.totals(tenant_id, query)
        if query.compares:
            self._compare(tenant_id, query, columns, found)
        return found

    def _compare(self, tenant_id: str, query: Query, columns: list[answer.Column], found: dict[str, Any]) -> None:
        """Put what was in the period before beside each row, and beside the whole."""
        former = query.before()
        cells = [comparing.former_cell(query, former, row["cell"]) for row in found["rows"] if "cell" in row]
        statement = self._compiler(tenant_id, former).count_of(cells)
        raw = _staffed(former, self._fetch(tenant_id, statement))
        rows = [answer.row_of(columns, each, former.zone) for each in raw]
        for row, values in zip(found["rows"], comparing.former_values(query, former, found["rows"], rows), strict=True):
            row["before"] = values
        head = {name: value for name, value in head_of(former).items() if name in _WHEN}
        lacks = {"completeness": self._completeness(tenant_id, former, "")}
        found["before"] = head | lacks | {"totals": self.totals(tenant_id, former)}

    def totals(self, tenant_id: str, query: Query) -> dict[str, Any]:
        """Return the metrics of the whole, computed like any row: never a sum or a mean of the rows."""
        whole = _without_groups(query)
        columns = answer.columns_of(self.dictionary, whole)
        rows = self._fetch(tenant_id, self._compiler(tenant_id, whole).count(limit=None))
        totals: dict[str, Any] = answer.row_of(columns, rows[0], query.zone)["values"]
        return totals

    def drill(self, tenant_id: str, query: Query, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rows behind a cell."""
        if query.report.is_list:
            raise BadQuery("bad-cell", "cell", "A list has no cells to look into.")
        metric_id = asked.get("metric") or query.metrics[0]
        if metric_id not in query.metrics:
            raise BadQuery("bad-cell", "metric", "Name a metric of the report.")
        cell = cell_of(self.dictionary, query, asked)
        source = self.dictionary.sources_of([metric_id])[0]
        names = self._fields(source)
        columns = self._named(tenant_id, answer.fields_of(self.dictionary, names, query.language))
        lacks = self.refresh(tenant_id)
        statement = self._compiler(tenant_id, query).drill(cell, metric_id, names, query.limit, query.offset)
        rows = self._fetch(tenant_id, statement)
        found = self._page(query, columns, rows) | {"completeness": self._completeness(tenant_id, query, lacks)}
        return found | {"metric": metric_id, "cell": cell, "source": source}

    def stream(self, tenant_id: str, query: Query) -> tuple[list[answer.Column], Iterator[list[tuple[Any, ...]]]]:
        """Return columns and chunks of raw rows of a whole report, in constant memory."""
        self.refresh(tenant_id)
        columns = self.columns(tenant_id, query)
        chunks = self.chunks(tenant_id, self.whole(tenant_id, query))
        return columns, ([row[: len(columns)] for row in _staffed(query, rows)] for rows in chunks)

    def columns(self, tenant_id: str, query: Query) -> list[answer.Column]:
        """Return the columns of a report, with those that are computed from others. Raises BadQuery."""
        columns = self._named(tenant_id, answer.columns_of(self.dictionary, query))
        if query.report.kind != STAFFING:
            return columns
        staffing.check(query)
        return columns + staffing.columns(query.language)

    def _named(self, tenant_id: str, columns: list[answer.Column]) -> list[answer.Column]:
        return answer.with_names(self.dictionary, columns, self._board.profile(tenant_id).agents)

    def whole(self, tenant_id: str, query: Query) -> Statement:
        """Return the statement of a whole report, without pages."""
        compiler = self._compiler(tenant_id, query)
        return compiler.rows(limit=None) if query.report.is_list else compiler.count(limit=None)

    def typed(self, tenant_id: str, query: Query) -> Statement:
        """Return the statement of a whole report with its own types: moments in UTC, dates, durations in seconds."""
        columns = self.columns(tenant_id, query)
        statement = self.whole(tenant_id, query)
        if query.report.kind == STAFFING:
            statement = _of_rows(columns, _staffed(query, self._fetch(tenant_id, statement)))
        names = [f"m_{each.id}" if each.role == "metric" else each.id for each in columns]
        chosen = ", ".join(f'{_typed(each, name)} as "{each.id}"' for each, name in zip(columns, names, strict=True))
        return Statement(f"select {chosen} from ({statement.text})", statement.values, [each.id for each in columns])

    def refresh(self, tenant_id: str) -> str:
        """Bring the tables up to date; return a word for what they still lack, empty for nothing."""
        try:
            return "" if self._mirror.update(tenant_id, self.fresh_seconds) else CATCHING_UP
        except StoreUnavailable:
            return "documents_away"

    def completeness(self, tenant_id: str, query: Query) -> dict[str, Any]:
        """Return what numbers of a period may lack."""
        return self._completeness(tenant_id, query, self.refresh(tenant_id))

    def watched(self, tenant_id: str, work: Callable[[Running], _T], seconds: float = QUERY_SECONDS) -> _T:
        """Do something with the tables in a thread, one of few at a time, and end it when it takes too long."""
        with self._slot(tenant_id):
            began = time.monotonic()
            try:
                return _timed(Running(), work, seconds)
            finally:
                metrics.REPORT_SECONDS.observe(time.monotonic() - began)

    def _fetch(self, tenant_id: str, statement: Statement) -> list[tuple[Any, ...]]:
        return self.watched(tenant_id, lambda running: self._columns.fetch(tenant_id, statement, running))

    def chunks(
        self, tenant_id: str, statement: Statement, seconds: float = EXPORT_SECONDS
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Return the rows of a statement in chunks; neither the question nor one chunk may take longer than that.

        The question is asked and the first chunk taken at once: what is refused is refused before anything is sent.
        """
        running = Running()
        with self._slot(tenant_id):
            take = _timed(running, lambda it: self._columns.begin(tenant_id, statement, it), seconds)
            first = _timed(running, lambda _: take(), seconds)
        return _chunks(first, lambda: _timed(running, lambda _: take(), seconds))

    @contextmanager
    def _slot(self, tenant_id: str) -> Iterator[None]:
        own = self._of_tenant.setdefault(tenant_id, BoundedSemaphore(MOST_OF_TENANT))
        if not own.acquire(timeout=WAIT_SECONDS):
            raise TooBusy
        try:
            if not self._slots.acquire(timeout=WAIT_SECONDS):
                raise TooBusy
            try:
                yield
            finally:
                self._slots.release()
        finally:
            own.release()

    def _compiler(self, tenant_id: str, query: Query) -> Compiler:
        profile = self._board.profile(tenant_id)
        return Compiler(self.dictionary, query, Profiled(profile.groups, tuple(profile.thresholds)))

    def _page(self, query: Query, columns: list[answer.Column], rows: list[tuple[Any, ...]]) -> dict[str, Any]:
        total = int(rows[0][-1]) if rows else 0
        end = query.offset + len(rows)
        metrics.REPORTS.labels("answered").inc()
        shown = [answer.row_of(columns, row, query.zone) for row in rows]
        return {
            **head_of(query),
            "columns": [answer.described(column, shown) for column in columns],
            "rows": shown,
            "row_total": total,
            "limit": query.limit,
            "offset": query.offset,
            "next_offset": end if rows and end < total else None,
        }

    def _completeness(self, tenant_id: str, query: Query, lacks: str) -> dict[str, Any]:
        text = (
            "select node, from_ms, until_ms from happenings where kind = 'switch.gap' "
            f"and from_ms < {query.until_ms} and until_ms >= {query.from_ms} order by from_ms limit {MOST_GAPS}"
        )
        gaps = self._fetch(tenant_id, Statement(text, {}, []))
        marks = [{"kind": "switch_gap", "node": n, "from_ms": start, "until_ms": end} for n, start, end in gaps]
        away = self._fetch(
            tenant_id, Statement(_AWAY.format(from_ms=query.from_ms, until_ms=query.until_ms, most=MOST_GAPS), {}, [])
        )
        marks += [{"kind": "switch_away", "node": n, "from_ms": since, "until_ms": None} for n, since in away]
        lags = "" if self._board.are_legs_whole or LEGS not in sources_of(self.dictionary, query) else CATCHING_UP
        words = [word for word in (lacks, self._board.trouble, lags) if word]
        marks += [
            {"kind": word, "node": "", "from_ms": query.from_ms, "until_ms": None} for word in dict.fromkeys(words)
        ]
        if query.until_ms > query.now_ms:
            marks.append({"kind": "not_over", "node": "", "from_ms": query.now_ms, "until_ms": query.until_ms})
        return {"is_complete": not marks, "marks": marks}

    def _fields(self, source_id: str) -> tuple[str, ...]:
        """Return the columns that a source's rows are listed by: those of its own list, else all it has."""
        lists = (each for each in self.dictionary.reports.values() if each.is_list and each.source == source_id)
        report = next(lists, None)
        if report is not None:
            return report.columns
        known = (each for each in self.dictionary.dimensions.values() if each.kind != "time" and not each.via)
        return tuple(each.id for each in known if self.dictionary.has(source_id, each))


def head_of(query: Query) -> dict[str, Any]:
    """Return what an answer says of its question."""
    return {
        "report": query.report.id,
        "name": query.report.names[query.language],
        "from": calendar.moment(query.from_ms, query.zone),
        "until": calendar.moment(query.until_ms, query.zone),
        "from_ms": query.from_ms,
        "until_ms": query.until_ms,
        "tz": query.zone.key,
        "groups": list(query.groups),
        "metrics": list(query.metrics),
    }


def _timed(running: Running, work: Callable[[Running], _T], seconds: float) -> _T:
    """Do something with the tables in a thread and end it when it takes too long. Raises TooLong."""
    watch = gevent.spawn_later(seconds, running.stop)
    try:
        return threaded(work, running)
    except QueryStopped as error:
        metrics.REPORTS.labels("too_long").inc()
        raise TooLong from error
    finally:
        watch.kill()


def _typed(column: answer.Column, name: str) -> str:
    if column.unit == "moment" or (column.unit == "time" and column.id in calendar.CLOCK_MS):
        return f'make_timestamp("{name}" * 1000)'
    if column.unit == "time" and column.id in ("day", "week", "month"):
        return f"date '1970-01-01' + \"{name}\"::integer"
    return f'"{name}" / 1000.0' if (column.role, column.unit) == ("field", "seconds") else f'"{name}"'


def _staffed(query: Query, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows with what Erlang says of each period, between the metrics and the number of all rows."""
    if query.report.kind != STAFFING:
        return rows
    places = {name: len(query.groups) + place for place, name in enumerate(query.metrics)}
    return [(*row[:-1], *staffing.values(query, row[places["offered"]], row[places["aht"]]), row[-1]) for row in rows]


def _of_rows(columns: list[answer.Column], rows: list[tuple[Any, ...]]) -> Statement:
    """Return a statement of rows that are there already, named and typed as those of a statement that computes them."""
    names = [f"m_{each.id}" if each.role == "metric" else each.id for each in columns]
    kinds = ["VARCHAR" if each.unit == "text" else "DOUBLE" if each.unit in _REAL else "BIGINT" for each in columns]
    shape = orjson.dumps([dict(zip(names, kinds, strict=True))]).decode()
    told = orjson.dumps([dict(zip(names, row, strict=False)) for row in rows]).decode()
    return Statement(f"select unnest(from_json($rows, '{shape}'), recursive := true)", {"rows": told}, names)


def _chunks(first: list[tuple[Any, ...]], take: Callable[[], list[tuple[Any, ...]]]) -> Iterator[list[tuple[Any, ...]]]:
    rows = first
    while rows:
        yield rows
        rows = take()


def _without_groups(query: Query) -> Query:
    return replace(query, groups=(), order=())
