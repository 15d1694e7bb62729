"""Exports of whole reports: which formats there are, and how one is made and sent in constant memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol
from uuid import uuid4
from zoneinfo import ZoneInfo

import gevent

from services.stats import metrics
from services.stats.adapters.columns import Columns
from services.stats.domain.reports import calendar
from services.stats.domain.reports.answer import Column
from services.stats.domain.reports.query import Query
from services.stats.export import paper, sheet, text
from services.stats.reporting import EXPORT_SECONDS, Reports, head_of

READ_BYTES: Final = 256 * 1024


class Pieces(Protocol):
    """The bytes of a file as they are made; `close` lets go of what holds them."""

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""

    def __next__(self) -> bytes:
        """Return the next piece."""

    def close(self) -> None:
        """Let go, at the end or before it."""


Writer = Callable[[dict[str, Any], list[Column], Any, ZoneInfo], Pieces]


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file."""

    id: str
    extension: str
    media_type: str
    en: str
    uk: str


FORMATS: Final = {
    each.id: each
    for each in (
        Format("csv-excel", "csv", "text/csv; charset=utf-8", "CSV for Excel", "CSV для Excel"),
        Format("csv-sheets", "csv", "text/csv; charset=utf-8", "CSV for Google Sheets", "CSV для Google Таблиць"),
        Format(
            "xlsx",
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "Excel (XLSX)",
            "Excel (XLSX)",
        ),
        Format("json", "json", "application/json", "JSON", "JSON"),
        Format("parquet", "parquet", "application/vnd.apache.parquet", "Parquet", "Parquet"),
        Format("html", "html", "text/html; charset=utf-8", "Page (HTML)", "Сторінка (HTML)"),
        Format("pdf", "pdf", "application/pdf", "PDF", "PDF"),
    )
}
_STREAMED: Final[dict[str, Writer]] = {
    "csv-excel": text.csv_for_excel,
    "csv-sheets": text.csv_for_sheets,
    "json": text.json_document,
    "html": text.html_page,
}


class _File:
    """Pieces of a file that was made whole."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._source.read(READ_BYTES)
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        self._source.close()


class Exports:
    """Makes files of reports."""

    def __init__(self, reports: Reports, columns: Columns) -> None:
        self._reports = reports
        self._columns = columns

    def export(self, tenant_id: str, query: Query, kind: str) -> Pieces:
        """Return the file's bytes as they are made. Raises what a report raises, and paper.TooManyRows."""
        head = head_of(query) | {"language": query.language}
        if kind == "parquet":
            return self._parquet(tenant_id, query)
        columns, chunks = self._reports.stream(tenant_id, query)
        counted = _counted(kind, chunks)
        if kind == "xlsx":
            path = self._path("xlsx")
            return _sent(path, lambda: sheet.write_xlsx(path, head, columns, counted, query.zone))
        if kind == "pdf":
            return _File(BytesIO(paper.pdf(head, columns, counted, query.zone)))
        return _STREAMED[kind](head, columns, counted, query.zone)

    def _parquet(self, tenant_id: str, query: Query) -> Pieces:
        self._reports.refresh(tenant_id)
        statement = self._reports.typed(tenant_id, query)
        path = self._path("parquet")

        def make() -> None:
            self._reports.watched(
                tenant_id, lambda running: self._columns.parquet(tenant_id, statement, path, running), EXPORT_SECONDS
            )

        return _sent(path, make)

    def _path(self, extension: str) -> Path:
        return self._columns.exports / f"{uuid4().hex}.{extension}"


def file_name(query: Query, kind: str) -> str:
    """Return the name that the file is saved under."""
    days = [calendar.moment(at_ms, query.zone)[:10] for at_ms in (query.from_ms, query.until_ms)]
    return f"{query.report.id}_{days[0]}_{days[1]}.{FORMATS[kind].extension}"


def _counted(kind: str, chunks: Iterator[list[tuple[Any, ...]]]) -> Iterator[list[tuple[Any, ...]]]:
    for rows in chunks:
        metrics.EXPORTED_ROWS.labels(kind).inc(len(rows))
        yield rows
        gevent.sleep(0.0005)


def _sent(path: Path, make: Callable[[], None]) -> Pieces:
    """Make a file and return its bytes. Its name is gone before the first is sent: nothing can be left behind."""
    try:
        make()
        source = path.open("rb")
    finally:
        path.unlink(missing_ok=True)
    return _File(source)
