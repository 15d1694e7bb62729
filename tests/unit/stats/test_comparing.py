"""A report beside the period before: the same names, the same places in the week, over changes of clocks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.stats.domain.profile import Profile
from tests.unit.stats.events import answered_call
from tests.unit.stats.report_house import House

KYIV = ZoneInfo("Europe/Kyiv")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=KYIV).timestamp() * 1000)


NOW_MS = ms("2026-10-27T12:00")  # clocks went back on the 25th


@pytest.fixture
def house() -> Iterator[House]:
    house = House(NOW_MS, Profile("acme", "Acme", "Europe/Kyiv"))
    for number, (when, queue) in enumerate(
        [
            ("2026-10-24T09:10", "sales"),
            ("2026-10-25T09:10", "sales"),
            ("2026-10-25T09:20", "sales"),
            ("2026-10-24T10:00", "support"),
            ("2026-09-10T10:00", "support"),
            ("2026-10-12T10:00", "night"),
        ]
    ):
        house.tell(answered_call(f"c{number}", ms(when), 5_000, 60_000, queue))
    yield house
    house.columns.close()


def answered(rows: list[dict[str, Any]], group: str) -> dict[Any, tuple[Any, Any]]:
    return {
        row["values"][group]: (row["values"]["answered"], row["before"] and row["before"]["answered"]) for row in rows
    }


def test_each_row_and_the_totals_have_what_was_before(house: House) -> None:
    period = {"from": "2026-10-25", "until": "2026-10-26", "compare": "before"}
    found = house.run("summary", groups=["queue"], metrics=["answered", "asa"], **period)
    assert answered(found["rows"], "queue") == {"sales": (2, 1)}
    assert (found["totals"]["answered"], found["before"]["totals"]["answered"]) == (2, 2)
    assert found["before"]["from"] == "2026-10-24T00:00:00+03:00"
    assert found["before"]["completeness"]["is_complete"]


def test_hours_keep_the_clock_over_a_change_of_clocks(house: House) -> None:
    period = {"from": "2026-10-25", "until": "2026-10-26", "compare": "before"}
    found = house.run("summary_by_hour", metrics=["answered"], **period)
    assert answered(found["rows"], "hour") == {"2026-10-25T09:00+02:00": (2, 1)}


@pytest.mark.parametrize(
    ("group", "first", "until", "wanted"),
    [
        ("day", "2026-10-24", "2026-10-26", {"2026-10-24": (2, None), "2026-10-25": (2, None)}),
        ("day", "2026-10-25", "2026-10-26", {"2026-10-25": (2, 2)}),
        ("weekday", "2026-10-19", "2026-10-26", {6: (2, None), 7: (2, None)}),
        ("week", "2026-10-19", "2026-10-26", {"2026-10-19": (4, 1)}),
        ("month", "2026-10-01", "2026-11-01", {"2026-10": (5, 1)}),
    ],
)
def test_periods_of_the_calendar_lie_beside_their_like(
    house: House, group: str, first: str, until: str, wanted: dict[Any, tuple[int, int]]
) -> None:
    period = {"from": first, "until": until, "compare": "before"}
    assert answered(house.run("summary", groups=[group], metrics=["answered"], **period)["rows"], group) == wanted


def test_without_groups_the_whole_is_compared_and_without_the_wish_nothing_is(house: House) -> None:
    period = {"from": "2026-10-25", "until": "2026-10-26"}
    found = house.run("summary", groups=[], metrics=["answered"], compare="before", **period)
    assert [(row["values"]["answered"], row["before"]["answered"]) for row in found["rows"]] == [(2, 2)]
    plain = house.run("summary", groups=["queue"], metrics=["answered"], **period)
    assert "before" not in plain
    assert "before" not in plain["rows"][0]


def test_rows_of_another_page_are_found_among_many(house: House) -> None:
    day, former = ms("2026-08-11T10:00"), ms("2026-08-10T10:00")
    for number in range(30):
        for at_ms, twice in ((day, False), (former, True)):
            for copy in range(1 + twice):
                house.tell(answered_call(f"m{number}-{at_ms}-{copy}", at_ms, 1_000, 1_000, f"q{number:02}"))
    period: dict[str, Any] = {
        "from": "2026-08-11",
        "until": "2026-08-12",
        "compare": "before",
        "limit": 3,
        "offset": 20,
    }
    found = house.run("summary", groups=["queue"], metrics=["answered"], order="queue", **period)
    assert answered(found["rows"], "queue") == {f"q{number}": (1, 2) for number in (20, 21, 22)}


@pytest.mark.parametrize(
    ("report", "options", "kind"),
    [("summary", {"compare": "ever"}, "bad-compare"), ("call_log", {"compare": "before"}, "bad-compare")],
)
def test_what_can_t_be_compared_is_refused(house: House, report: str, options: dict[str, str], kind: str) -> None:
    headers = {"Authorization": "Bearer boss"}
    answer = house.client().get(f"/v1/reports/{report}", query_string=options, headers=headers)
    assert (answer.status_code, answer.get_json()["type"].rpartition(":")[2]) == (400, kind)
    answer = house.client().get("/v1/reports/summary/export", query_string={"compare": "before"}, headers=headers)
    assert answer.status_code == 400


def test_the_clock_of_these_tests_is_right() -> None:
    assert datetime.fromtimestamp(ms("2026-10-25T09:10") / 1000, UTC).hour == 7
