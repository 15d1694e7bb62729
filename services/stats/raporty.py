"""Makes the reports that are mailed: the question, the comparison, the chart, the letter, its files."""

from contextlib import closing
from dataclasses import dataclass, replace
from email.message import EmailMessage
from html import escape
from typing import Any, Final

from services.stats.domain import raport
from services.stats.domain.raport import Due, Schedule
from services.stats.domain.reports.answer import Column
from services.stats.domain.reports.calendar import CLOCK_MS
from services.stats.domain.reports.query import Query
from services.stats.export import chart, paper
from services.stats.export.text import spoken
from services.stats.exporting import FORMATS, Exports, file_name
from services.stats.reporting import Reports, head_of

MOST_ROWS: Final = 50
"""Of the letter's own table; the files have all."""
MOST_FILE_BYTES: Final = 10 * 1024 * 1024
_WORDS: Final = {
    "en": {
        "now": "this period",
        "before": "before",
        "change": "change",
        "rest": "More rows are in the files.",
        "gap": "Some numbers may be incomplete: the platform did not see everything in this period.",
        "left_out": "Left out, larger than 10 MB:",
    },
    "uk": {
        "now": "цей період",
        "before": "попередній",
        "change": "зміна",
        "rest": "Решта рядків у файлах.",  # noqa: RUF001 - Ukrainian
        "gap": "Деякі числа можуть бути неповними: платформа бачила не все за цей період.",
        "left_out": "Не вкладено, понад 10 МБ:",  # noqa: RUF001 - Ukrainian
    },
}


@dataclass(frozen=True, slots=True)
class Made:
    """A report that is ready to be mailed; `formats` are its files."""

    subject: str
    text: str
    html: str
    picture: bytes
    files: list[tuple[str, str, bytes]]


class Raporty:
    """Makes letters."""

    def __init__(self, reports: Reports, exports: Exports) -> None:
        self._reports = reports
        self._exports = exports

    def make(self, tenant_id: str, name: str, schedule: Schedule, run: Due) -> Made:
        """Return the letter. Raises what a report raises."""
        query = self._reports.query(tenant_id, schedule.report, raport.options(schedule, run) | {"limit": 1_000})
        query = replace(query, compares=not query.report.is_list)
        now = self._reports.run(tenant_id, query)
        before = now.get("before", {"totals": {}})
        columns = self._reports.columns(tenant_id, query)
        picture = chart.png(_chart(query, columns, now)) if not query.report.is_list else b""
        files, left_out = self._files(tenant_id, schedule, query)
        words = _WORDS[query.language]
        notes = [] if all(m["kind"] == "not_over" for m in now["completeness"]["marks"]) else [words["gap"]]
        notes += [f"{words['left_out']} {', '.join(left_out)}"] if left_out else []
        title = f"{name}: {now['name']}, {run.from_day.isoformat()}"
        page = _html(query, columns, now, before, notes, has_picture=bool(picture))
        return Made(_line(title), _text(query, columns, now, before, notes), page, picture, files)

    def _files(
        self, tenant_id: str, schedule: Schedule, query: Query
    ) -> tuple[list[tuple[str, str, bytes]], list[str]]:
        files, left_out = [], []
        for kind in schedule.formats:
            data = bytearray()
            try:
                with closing(self._exports.export(tenant_id, query, kind)) as pieces:
                    while len(data) <= MOST_FILE_BYTES and (piece := next(pieces, b"")):
                        data += piece
            except paper.TooManyRows:
                data = bytearray(MOST_FILE_BYTES + 1)
            name = file_name(query, kind)
            if len(data) > MOST_FILE_BYTES:
                left_out.append(name)
            else:
                files.append((name, FORMATS[kind].media_type.partition(";")[0], bytes(data)))
        return files, left_out


def letter(made: Made, sender: str, recipient: str, message_id: str) -> EmailMessage:
    """Return the mail of one recipient. The same run to the same recipient has the same Message-ID, however often."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"], mail["Message-ID"] = made.subject, sender, recipient, message_id
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(made.text)
    mail.add_alternative(made.html, subtype="html")
    if made.picture:
        page: Any = mail.get_payload()[1]  # type: ignore[index]  # the alternative that was just added
        page.add_related(made.picture, "image", "png", cid="<chart>", filename="chart.png")
    for name, media_type, data in made.files:
        major, minor = media_type.split("/")
        mail.add_attachment(data, maintype=major, subtype=minor, filename=name)
    return mail


def _chart(query: Query, columns: list[Column], now: dict[str, Any]) -> chart.Chart:
    metric = next(column for column in columns if column.role == "metric")
    places = [column for column in columns if column.role == "group"]
    bars = []
    for row in now["rows"][: chart.MOST_BARS]:
        label = " ".join(_label(column, row["values"][column.id]) for column in places) or now["name"]
        bars.append((label, row["values"][metric.id], row["before"][metric.id] if row["before"] else None))
    numbers = [value for _, *values in bars for value in values if isinstance(value, int | float)]
    top = max(numbers, default=0)
    words = _WORDS[query.language]
    legend = (words["now"], words["before"])
    return chart.Chart(metric.name, legend, bars, spoken(metric, top, query.zone, query.language), float(top))


def _label(column: Column, value: Any) -> str:
    """Return a group's word below its bar: of a moment, month and day and time."""
    return str(value)[5:16].replace("T", " ") if column.id in CLOCK_MS else column.words.get(value, str(value))


def _totals(query: Query, columns: list[Column], now: dict[str, Any], before: dict[str, Any]) -> list[list[str]]:
    """Return lines of metric, now, before, change."""
    found = []
    for column in columns:
        if column.id in now.get("totals", {}):
            value, former = now["totals"][column.id], before["totals"].get(column.id)
            share = None if column.unit == "moment" else raport.change(value, former)
            shown = [_said(column, each, query) or "-" for each in (value, former)]
            found.append([column.name, *shown, "-" if share is None else f"{100 * share:+.1f} %"])
    return found


def _html(
    query: Query,
    columns: list[Column],
    now: dict[str, Any],
    before: dict[str, Any],
    notes: list[str],
    *,
    has_picture: bool,
) -> str:
    words, cell = _WORDS[query.language], 'style="padding:4px 10px;border-bottom:1px solid #d0d7de;text-align:left"'
    table = "".join(
        "<tr>" + "".join(f"<td {cell}>{escape(each)}</td>" for each in line) + "</tr>"
        for line in _totals(query, columns, now, before)
    )
    heads = "".join(f"<th {cell}>{escape(each)}</th>" for each in ("", words["now"], words["before"], words["change"]))
    rows = "".join(
        "<tr>" + "".join(f"<td {cell}>{escape(each)}</td>" for each in line) + "</tr>"
        for line in _rows(query, columns, now)
    )
    names = "".join(f"<th {cell}>{escape(column.name)}</th>" for column in columns)
    more = f"<p>{escape(words['rest'])}</p>" if now["row_total"] > MOST_ROWS else ""
    picture = '<p><img src="cid:chart" width="720" alt="" style="max-width:100%"></p>' if has_picture else ""
    head = head_of(query)
    return (
        f'<html lang="{query.language}"><body style="font-family:sans-serif;color:#1b1f24">'
        f"<h2>{escape(now['name'])}</h2><p>{escape(head['from'])} - {escape(head['until'])} ({escape(head['tz'])})</p>"
        + "".join(f"<p><strong>{escape(note)}</strong></p>" for note in notes)
        + (f'<table style="border-collapse:collapse"><tr>{heads}</tr>{table}</table>' if table else "")
        + picture
        + f'<table style="border-collapse:collapse"><tr>{names}</tr>{rows}</table>{more}</body></html>'
    )


def _rows(query: Query, columns: list[Column], now: dict[str, Any]) -> list[list[str]]:
    shown = []
    for row in now["rows"][:MOST_ROWS]:
        values = row["values"]
        shown.append([_said(column, values[column.id], query) for column in columns])
    return shown


def _said(column: Column, value: Any, query: Query) -> str:
    """Return an answered value in words: moments and periods are words already."""
    if column.id in CLOCK_MS:
        return str(value)[:16].replace("T", " ")
    if column.unit in ("moment", "time") or (column.role == "field" and column.unit == "seconds"):
        return "" if value is None else str(value)
    return spoken(column, value, query.zone, query.language)


def _text(query: Query, columns: list[Column], now: dict[str, Any], before: dict[str, Any], notes: list[str]) -> str:
    lines = [now["name"], f"{now['from']} - {now['until']} ({now['tz']})", *notes, ""]
    lines += ["  ".join(line) for line in _totals(query, columns, now, before)]
    lines += ["", " | ".join(column.name for column in columns)]
    lines += [" | ".join(line) for line in _rows(query, columns, now)]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """Return a text that is one line of a mail's head."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:150]
