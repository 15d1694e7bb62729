"""XLSX, row by row: what is written is on disk, not in memory."""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import gevent
import xlsxwriter

from services.stats.domain.reports.answer import Column
from services.stats.export.cells import LONGEST_CELL, plain

MOST_ROWS: Final = 1_048_575
"""Of one sheet beside its heading; what is more goes to the next."""
_FORMATS: Final = {"ratio": "0.0%", "moment": "yyyy-mm-dd hh:mm:ss", "date": "yyyy-mm-dd"}


def write_xlsx(
    path: Path, head: dict[str, Any], columns: list[Column], chunks: Iterable[list[tuple[Any, ...]]], zone: ZoneInfo
) -> None:
    """Write a workbook. Texts are written as texts, so nothing in them is computed or becomes a link."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(str(path), {**options, "tmpdir": str(path.parent)}) as book:
        book.set_properties({"title": head["name"], "comments": f"{head['from']} - {head['until']} ({head['tz']})"})
        styles = {name: book.add_format({"num_format": text}) for name, text in _FORMATS.items()}
        bold = book.add_format({"bold": True})
        sheet, number = None, MOST_ROWS
        for rows in chunks:
            for row in rows:
                if sheet is None or number == MOST_ROWS:
                    sheet, number = _sheet(book, columns, bold), 0
                number += 1
                for place, (column, raw) in enumerate(zip(columns, row, strict=True)):
                    _write(sheet, number, place, plain(column, raw, zone), column, styles)
            gevent.sleep(0.0005)
        if sheet is None:
            _sheet(book, columns, bold)


def _sheet(book: Any, columns: list[Column], bold: Any) -> Any:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(columns):
        sheet.set_column(place, place, max(10, min(24, len(column.name) + 2)))
        sheet.write_string(0, place, column.name, bold)
    return sheet


def _write(sheet: Any, number: int, place: int, value: Any, column: Column, styles: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, str):
        sheet.write_string(number, place, value[:LONGEST_CELL])
    elif isinstance(value, bool):
        sheet.write_boolean(number, place, value)
    elif isinstance(value, datetime):
        sheet.write_datetime(number, place, value, styles["moment"])
    elif isinstance(value, date):
        sheet.write_datetime(number, place, value, styles["date"])
    else:
        sheet.write_number(number, place, value, styles["ratio"] if column.unit == "ratio" else None)
