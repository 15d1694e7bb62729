"""Files of reports: each is read again by a program that is not ours, and no cell in it can be computed."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime

import duckdb
import openpyxl
import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats import reporting
from services.stats.domain.profile import Profile
from services.stats.export.cells import safe
from services.stats.export.text import duration
from services.stats.exporting import FORMATS
from tests.unit.stats.events import answered_call
from tests.unit.stats.report_house import House

NOW_MS = 1_795_435_200_000
HOSTILE = [
    "=1+1",
    "+cmd|'/c calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    " =1",
    "\r=1",
    "<script>x</script>",
    'a";b,c\nd',
    "=HYPERLINK(1)",
]
DAY = "from=2026-11-23&until=2026-11-24"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    house = House(NOW_MS, Profile("acme", "Acme", "Europe/Kyiv"))
    events: list[ev.Event] = []
    for number, name in enumerate(HOSTILE):
        life = answered_call(f"c{number}", NOW_MS - 60_000 * number - 60_000, 3_500, 10_000)
        life[0].call_started.caller.name = name
        life[0].call_started.caller.number = "+380501234567"
        events += life
    house.tell(events)
    yield house
    house.columns.close()


def taken(house: House, kind: str, report: str = "call_log", more: str = "") -> bytes:
    path = f"/v1/reports/{report}/export?format={kind}&{DAY}{more}"
    with house.client().get(path, headers={"Authorization": "Bearer boss"}) as answer:
        data = answer.get_data()
    assert answer.status_code == 200, data
    assert answer.content_type == FORMATS[kind].media_type
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{report}_2026-11-23')
    return data


@pytest.mark.parametrize(
    ("kind", "language", "separator"), [("csv-excel", "uk", ";"), ("csv-excel", "en", ","), ("csv-sheets", "uk", ",")]
)
def test_no_cell_of_a_csv_begins_like_a_formula(house: House, kind: str, language: str, separator: str) -> None:
    raw = taken(house, kind, more=f"&lang={language}")
    assert raw.startswith(b"\xef\xbb\xbf") == (kind == "csv-excel")
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=separator))
    assert len(rows) == len(HOSTILE) + 1
    cells = [cell for row in rows[1:] for cell in row]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "-", "@")) or cell.startswith("+c")]
    assert "+380501234567" in cells
    assert "2026-11-23 13:59:00" in cells
    assert ("3,5" if language == "uk" and kind == "csv-excel" else "3.5") in cells


def test_a_workbook_holds_texts_numbers_and_dates_but_no_formula(house: House) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(taken(house, "xlsx", more="&lang=uk"))).active
    assert sheet is not None
    rows = list(sheet.iter_rows())
    assert rows[0][0].value == "Початок"
    assert {cell.data_type for row in rows for cell in row} <= {"s", "n", "d", "b"}
    names = {row[4].value for row in rows[1:]}
    assert {"=1+1", "@SUM(A1)"} <= names
    assert isinstance(rows[1][0].value, datetime)
    assert rows[1][8].value == 3.5


def test_json_holds_every_row_and_says_its_columns(house: House) -> None:
    told = json.loads(taken(house, "json"))
    assert [len(row) for row in told["rows"]] == [len(told["columns"])] * len(HOSTILE)
    assert told["tz"] == "Europe/Kyiv"


def test_parquet_holds_types(house: House) -> None:
    path = house.columns.exports / "taken.parquet"
    path.write_bytes(taken(house, "parquet", "summary_by_day"))
    found = duckdb.execute(f"select day, offered, service_level from read_parquet('{path}')").fetchall()  # noqa: S608
    assert [(str(day), offered, level) for day, offered, level in found] == [("2026-11-23", 10, 1.0)]


def test_parquet_holds_what_erlang_says_of_each_period_too(house: House) -> None:
    path = house.columns.exports / "staffing.parquet"
    path.write_bytes(taken(house, "parquet", "staffing"))
    found = duckdb.execute(f"select * from read_parquet('{path}')").fetchall()  # noqa: S608
    path.unlink()
    told = house.run("staffing", **{"from": "2026-11-23", "until": "2026-11-24"})
    shown = [[row["values"][column["id"]] for column in told["columns"]][1:] for row in told["rows"]]
    assert [list(row[1:]) for row in found] == [pytest.approx(row, abs=1e-3) for row in shown]


def test_a_file_that_is_refused_is_refused_before_any_of_it_is_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "WAIT_SECONDS", 0.01)
    reports = house.parts.reports
    with reports._slot("acme"), reports._slot("acme"):
        path = f"/v1/reports/call_log/export?format=csv-excel&{DAY}"
        answer = house.client().get(path, headers={"Authorization": "Bearer boss"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("report", ["call_log", "summary_by_hour", "working_time"])
@pytest.mark.parametrize("kind", list(FORMATS))
@pytest.mark.parametrize("language", ["en", "uk"])
def test_every_format_takes_every_kind_of_report(house: House, kind: str, report: str, language: str) -> None:
    assert len(taken(house, kind, report, f"&lang={language}")) > 100


def test_a_page_holds_no_markup_of_a_caller(house: House) -> None:
    page = taken(house, "html").decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_nothing_is_left_on_the_disk(house: House) -> None:
    for kind in ("xlsx", "parquet"):
        taken(house, kind)
    assert [path.name for path in house.columns.exports.iterdir() if path.name != "taken.parquet"] == []


def test_an_unknown_format_is_refused(house: House) -> None:
    answer = house.client().get("/v1/reports/summary/export?format=exe", headers={"Authorization": "Bearer boss"})
    assert (answer.status_code, answer.get_json()["type"]) == (400, "urn:ringmaster:problem:unknown-format")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("=1", "'=1"),
        ("+380441112233", "+380441112233"),
        ("+1+1", "'+1+1"),
        ("Олена", "Олена"),
        ("", ""),
        ("a\x00b", "ab"),
    ],
)
def test_texts_are_made_safe(text: str, found: str) -> None:
    assert safe(text) == found


@pytest.mark.parametrize(("seconds", "text"), [(9, "0:09"), (725, "12:05"), (3723, "1:02:03"), (-61, "-1:01")])
def test_durations_are_read_as_clocks(seconds: float, text: str) -> None:
    assert duration(seconds) == text
