"""CSV for Excel, CSV for Google Sheets, JSON and HTML."""

import csv
import html
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import date, datetime
from io import StringIO
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from services.stats.domain.reports.answer import Column, described
from services.stats.export.cells import plain, safe

Pieces = Generator[bytes, None, None]
Chunks = Iterable[list[tuple[Any, ...]]]
_BOM: Final = b"\xef\xbb\xbf"
_SEPARATORS: Final = {"en": (",", "."), "uk": (";", ",")}
"""What Excel of a language expects between cells, and within a number."""
JSON_ROWS: Final = 250
"""So many are encoded and sent together: each is there as objects, as bytes and in the piece that is sent."""


def csv_for_excel(head: dict[str, Any], columns: list[Column], chunks: Chunks, zone: ZoneInfo) -> Pieces:
    """Return CSV with a byte order mark, separated as the language's Excel expects it."""
    separator, point = _SEPARATORS[head["language"]]
    yield _BOM
    yield from _csv(columns, chunks, zone, separator, point)


def csv_for_sheets(_head: dict[str, Any], columns: list[Column], chunks: Chunks, zone: ZoneInfo) -> Pieces:
    """Return CSV of RFC 4180 in UTF-8: commas and points, whatever the language."""
    yield from _csv(columns, chunks, zone, ",", ".")


def _csv(columns: list[Column], chunks: Chunks, zone: ZoneInfo, separator: str, point: str) -> Pieces:
    text = StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerow([safe(column.name) for column in columns])
    word = _word if point == "." else _word_with_comma
    yield _taken(text)
    for rows in chunks:
        for row in rows:
            writer.writerow([word(plain(column, raw, zone)) for column, raw in zip(columns, row, strict=True)])
        yield _taken(text)


def _word(value: Any) -> Any:
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    return value.isoformat() if isinstance(value, date) else value


def _word_with_comma(value: Any) -> Any:
    return str(value).replace(".", ",") if isinstance(value, float) else _word(value)


def _taken(text: StringIO) -> bytes:
    value = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return value


def json_document(head: dict[str, Any], columns: list[Column], chunks: Chunks, zone: ZoneInfo) -> Pieces:
    """Return one JSON object: what it is, its columns, its rows as arrays."""
    yield orjson.dumps({**head, "columns": [described(column) for column in columns]})[:-1] + b',"rows":['
    comma = b""
    for rows in chunks:
        for start in range(0, len(rows), JSON_ROWS):
            yield comma + b",".join(_json_rows(columns, rows[start : start + JSON_ROWS], zone))
            comma = b","
    yield b"]}\n"


def _json_rows(columns: list[Column], rows: list[tuple[Any, ...]], zone: ZoneInfo) -> Iterator[bytes]:
    for row in rows:
        yield orjson.dumps([column.value(raw, zone) for column, raw in zip(columns, row, strict=True)])


_STYLE: Final = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse}th,td{padding:.3rem .6rem;border-bottom:1px solid #d0d7de;text-align:left}"
    "th{position:sticky;top:0;background:#f6f8fa}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th{background:#161b22}"
    "th,td{border-color:#30363d}}"
)


def html_page(head: dict[str, Any], columns: list[Column], chunks: Chunks, zone: ZoneInfo) -> Pieces:
    """Return a page that stands alone, with nothing in it that runs."""
    name, period = html.escape(head["name"]), html.escape(f"{head['from']} - {head['until']} ({head['tz']})")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    yield (
        f'<!doctype html><html lang="{head["language"]}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><title>{name}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{name}</h1><p>{period}</p><table><thead><tr>"
        + "".join(f"<th>{html.escape(column.name)}</th>" for column in columns)
        + "</tr></thead><tbody>"
    ).encode()
    shown: list[Callable[[Any], str]] = [_shown(column, zone, head["language"]) for column in columns]
    for rows in chunks:
        yield "".join(
            "<tr>" + "".join(make(raw) for make, raw in zip(shown, row, strict=True)) + "</tr>\n" for row in rows
        ).encode()
    yield b"</tbody></table></body></html>\n"


def _shown(column: Column, zone: ZoneInfo, language: str) -> Callable[[Any], str]:
    kind = "" if column.unit in ("text", "time", "moment", "flag") else ' class="n"'
    return lambda raw: f"<td{kind}>{html.escape(spoken(column, raw, zone, language))}</td>"


def spoken(column: Column, raw: Any, zone: ZoneInfo, language: str) -> str:
    """Return a value as people read it: 82.7 %, 1:05:09, a local date."""
    value = plain(column, raw, zone)
    if value is None:
        return "-" if column.role == "metric" else ""
    if column.unit == "ratio":
        return _decimal(f"{100 * value:.1f}", language) + " %"
    if column.unit == "seconds":
        return duration(float(value))
    if isinstance(value, bool):
        return {"en": ("no", "yes"), "uk": ("ні", "так")}[language][value]
    if isinstance(value, float):
        return _decimal(f"{value:.2f}", language)
    return value if isinstance(value, str) else str(_word(value))


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds: 0:09, 12:05, 1:02:03."""
    whole = round(seconds)
    minutes, rest = divmod(abs(whole), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if whole < 0 else ""
    return f"{sign}{hours}:{minutes:02}:{rest:02}" if hours else f"{sign}{minutes}:{rest:02}"


def _decimal(text: str, language: str) -> str:
    return text.replace(".", ",") if language == "uk" else text
