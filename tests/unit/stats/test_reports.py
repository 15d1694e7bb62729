"""Reports over the API: every one of them runs, says what it is, leads from a cell to the calls, and hears no evil."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats.catalogue import load
from services.stats.catalogue.__main__ import document
from services.stats.domain.profile import Profile
from tests.unit.stats.events import abandoned_call, answered_call, call_taken_back, ended, event, state
from tests.unit.stats.report_house import House

NOW_MS = 1_795_435_200_000  # 2026-11-23 12:00 UTC
PROFILE = Profile(
    "acme", "Acme Goods", "Europe/Kyiv", {"olena": "Olena"}, {"sales": ("olena",)}, {"sales": 20},
    groups={"first": ("olena",), "empty": (), "both": ("olena", "taras"), "night": ("taras",)},
)  # fmt: skip
DAY = {"from": "2026-11-23", "until": "2026-11-24"}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    house = House(NOW_MS, PROFILE)
    events: list[ev.Event] = []
    for number in range(20):
        at = NOW_MS - 3_600_000 + 60_000 * number
        call_id = f"c{number}"
        events += answered_call(call_id, at, 3_000, 60_000) if number % 4 else abandoned_call(call_id, at, 30_000)
    events += [
        state("olena", NOW_MS - 7_200_000, 1, ev.AGENT_STATE_IDLE),
        event(NOW_MS - 10_000, 1, switch_gap=ev.SwitchGapEvent(node="fs-1")),
    ]
    house.tell(events)
    house.tell(
        [each for number in range(3) for each in _of_rival(f"r{number}")],
    )
    yield house
    house.columns.close()


def _of_rival(call_id: str) -> list[ev.Event]:
    events = answered_call(call_id, NOW_MS - 60_000, 3_000, 9_000)
    for each in events:
        each.tenant_id = "borealis"
    return events


@pytest.mark.parametrize("report_id", list(load().reports))
@pytest.mark.parametrize("language", ["en", "uk"])
def test_every_report_runs_as_it_stands(house: House, report_id: str, language: str) -> None:
    shown = house.run(report_id, lang=language, **DAY)
    assert shown["name"] == load().reports[report_id].names[language]
    assert shown["columns"]
    assert {column["id"] for column in shown["columns"]} >= set(shown["metrics"])


def test_there_are_at_least_as_many_reports_as_asked_for() -> None:
    assert len(load().reports) >= 36


def test_a_summary_counts_what_happened(house: House) -> None:
    shown = house.run("summary", **DAY)
    assert shown["row_total"] == 1
    values = shown["rows"][0]["values"]
    assert values["queue"] == "sales"
    assert (values["offered"], values["answered"], values["abandoned"]) == (20, 15, 5)
    assert values["service_level"] == 0.75
    assert values["asa"] == 3.0
    assert shown["totals"]["offered"] == 20
    assert shown["tz"] == "Europe/Kyiv"


def test_whom_a_switch_took_back_is_lost_only_without_a_talk() -> None:
    """A log of two routers: the older one tells of a served call what befell it afterwards."""
    house = House(NOW_MS, PROFILE)
    house.tell(call_taken_back("older", NOW_MS - 90_000, is_older=True))
    house.tell(call_taken_back("newer", NOW_MS - 80_000, is_older=False))
    unserved = ended(ev.CALL_EXIT_FALLBACK, NOW_MS - 70_000, fell_back=True)
    house.tell([event(NOW_MS - 60_000, 1, "unserved", call_ended=unserved)])
    house.tell(answered_call("served", NOW_MS - 60_000, 3_000, 9_000))
    assert [row["values"]["call"] for row in house.run("lost_calls", **DAY)["rows"]] == ["unserved"]
    metrics = ["calls_in", "calls_answered", "calls_lost", "lost_rate", "fell_back"]
    shown = house.run("inbound", groups=["exit"], metrics=metrics, **DAY)
    found = {row["values"]["exit"]: [row["values"][each] for each in metrics] for row in shown["rows"]}
    assert found == {"answered": [3, 3, 0, 0.0, 2], "fallback": [1, 0, 1, 1.0, 1]}
    filtered = house.run("call_log", filters={"fell_back": ["true"]}, **DAY)
    assert {row["values"]["call"] for row in filtered["rows"]} == {"older", "newer", "unserved"}
    house.columns.close()


def test_a_cell_leads_to_the_calls_behind_it(house: House) -> None:
    shown = house.run("summary_by_hour", metrics=["abandoned"], **DAY)
    row = next(row for row in shown["rows"] if row["values"]["abandoned"])
    found = house.run("summary_by_hour/drill", metrics=["abandoned"], metric="abandoned", cell=row["cell"], **DAY)
    assert found["row_total"] == row["values"]["abandoned"]
    assert {each["values"]["exit"] for each in found["rows"]} == {"abandoned"}
    assert all(each["values"]["call"].startswith("c") for each in found["rows"])


def test_pages_hold_every_row_once(house: House) -> None:
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = house.run("call_log", limit=7, offset=offset, **DAY)
        seen += [row["values"]["call"] for row in page["rows"]]
        offset = page["next_offset"]
    assert sorted(seen) == sorted(f"c{number}" for number in range(20))


def test_pages_hold_every_row_once_though_all_of_them_are_equal_to_the_order_asked_for(house: House) -> None:
    seen = [
        row["values"]["call"]
        for offset in range(0, 21, 3)
        for row in house.run("call_log", limit=3, offset=offset, order="-direction", **DAY)["rows"]
    ]
    assert sorted(seen) == sorted(f"c{number}" for number in range(20))


def test_a_group_of_agents_counts_its_agents(house: House) -> None:
    shown = house.run("summary_by_group", metrics=["handled"], **DAY)
    found = {row["values"]["group"]: row["values"]["handled"] for row in shown["rows"]}
    assert found == {"first": 15, "both": 15}


def test_an_agent_of_two_groups_is_counted_once_where_groups_only_choose(house: House) -> None:
    everybody = house.run("handle_times", groups=[], metrics=["handled"], **DAY)["totals"]["handled"]
    assert everybody == 15
    for groups, own in ((["first", "both"], 15), (["both"], 15), (["night"], 0), (["night", "both"], 15)):
        asked: dict[str, Any] = {"groups": [], "metrics": ["handled"], **DAY}
        assert house.run("handle_times", filters={"group": groups}, **asked)["totals"]["handled"] == own
        assert house.run("handle_times", exclude={"group": groups}, **asked)["totals"]["handled"] == everybody - own
    shown = house.run("handle_times", groups=["group"], metrics=["handled"], exclude={"group": ["both"]}, **DAY)
    assert [row["values"]["group"] for row in shown["rows"]] == ["first"]


@pytest.mark.parametrize(
    ("report", "groups", "metric"),
    [
        ("inbound", ["rating"], "calls"),
        ("inbound", ["rating", "hour"], "calls"),
        ("handle_times", ["group"], "handled"),
        ("summary", ["queue", "hour_of_day"], "offered"),
        ("summary", ["agent", "day"], "offered"),
    ],
)
def test_every_cell_leads_to_as_many_rows_as_it_counts_by_either_way_of_asking(
    house: House, report: str, groups: list[str], metric: str
) -> None:
    rows = house.run(report, groups=groups, metrics=[metric], **DAY)["rows"]
    assert rows
    for row in rows:
        asked: dict[str, Any] = {"groups": groups, "metrics": [metric], "metric": metric, "cell": row["cell"], **DAY}
        assert house.run(f"{report}/drill", **asked)["row_total"] == row["values"][metric]
        cells = [("cell", f"{name}:{'' if key is None else key}") for name, key in row["cell"].items()]
        query = [("groups", ",".join(groups)), ("metrics", metric), *cells, *DAY.items()]
        got = house.client().get(
            f"/v1/reports/{report}/drill", query_string=query, headers={"Authorization": "Bearer boss"}
        )
        assert got.get_json()["row_total"] == row["values"][metric]


def test_what_is_not_known_is_neither_chosen_nor_left_out_by_a_value(house: House) -> None:
    asked: dict[str, Any] = {"groups": [], "metrics": ["calls"], **DAY}
    assert house.run("inbound", exclude={"rating": [5]}, **asked)["totals"]["calls"] == 20
    assert house.run("inbound", filters={"rating": [5]}, **asked)["totals"]["calls"] == 0
    assert house.run("inbound", exclude={"queue": ["sales"]}, **asked)["totals"]["calls"] == 0
    assert house.run("inbound", exclude={"queue": ["night"]}, **asked)["totals"]["calls"] == 20


@pytest.mark.parametrize("key", ["1_000", "\u0661", " 5 ", "1e3", "nan", "x"])
def test_a_number_that_the_tables_would_not_read_is_a_number_or_refused(house: House, key: str) -> None:
    query = [("groups", "rating"), ("metrics", "calls"), ("cell", f"rating:{key}"), *DAY.items()]
    got = house.client().get("/v1/reports/inbound/drill", query_string=query, headers={"Authorization": "Bearer boss"})
    assert got.status_code == (400 if key in ("nan", "x") else 200)


def test_a_queue_has_no_occupancy_for_who_is_idle_serves_none(house: House) -> None:
    asked: dict[str, Any] = {"metrics": ["occupancy", "idle_time"], **DAY}
    assert house.run("agent_hours", groups=[], **asked)["totals"] == {"occupancy": 0.0, "idle_time": 7200.0}
    (row,) = house.run("agent_hours", groups=["queue"], **asked)["rows"]
    assert row["values"] == {"queue": "", "occupancy": None, "idle_time": 7200.0}


def test_an_agent_who_is_still_idle_has_been_so_until_now(house: House) -> None:
    shown = house.run("agent_states", **DAY)
    assert shown["rows"][0]["values"]["idle_time"] == 7200.0


def test_nobody_reads_another_tenants_rows(house: House) -> None:
    assert house.run("summary", token="rival", **DAY)["totals"]["offered"] == 3
    client = house.client()
    for token, tenant in (("rival", "acme"), ("boss", "borealis"), ("boss", "*")):
        answer = client.get(f"/v1/reports/summary?tenant={tenant}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403
    assert client.get("/v1/reports/summary", headers={"Authorization": "Bearer phone"}).status_code == 403
    assert client.get("/v1/reports/summary").status_code == 401
    hostile = "x' union all select * from read_parquet('/etc/passwd') --"
    assert house.run("summary", filters={"queue": [hostile]}, **DAY)["rows"] == []


@pytest.mark.parametrize(
    ("report", "options", "kind"),
    [
        ("nothing", {}, "unknown-report"),
        ("summary", {"metrics": ["profit"]}, "unknown-metric"),
        ("summary", {"metrics": ["offered", "offered"]}, "bad-metrics"),
        ("summary", {"metrics": []}, "bad-metrics"),
        ("summary", {"groups": ["moon"]}, "unknown-group"),
        ("summary", {"groups": ["choice"]}, "bad-groups"),
        ("summary", {"groups": [f"g{n}" for n in range(300)]}, "bad-groups"),
        ("summary", {"from": "2026-11-24", "until": "2026-11-23"}, "bad-period"),
        ("summary", {"from": "2001-01-01", "until": "2026-11-23"}, "bad-period"),
        ("summary", {"from": "the day before"}, "bad-period"),
        ("summary", {"from": "99999-01-01"}, "bad-period"),
        ("summary", {"from": "2024-01-01", "until": "2026-11-23", "groups": ["quarter_hour"]}, "bad-period"),
        ("summary", {"period": "tomorrow"}, "bad-period"),
        ("summary", {"tz": "Mars/Olympus"}, "unknown-time-zone"),
        ("summary", {"tz": "../../etc/passwd"}, "unknown-time-zone"),
        ("summary", {"filters": {"moon": ["x"]}}, "unknown-filter"),
        ("summary", {"filters": {"queue": ["x" * 300]}}, "bad-filter"),
        ("summary", {"filters": {"queue": [{"$ne": ""}]}}, "bad-filter"),
        ("summary", {"filters": {"queue": []}}, "bad-filter"),
        ("summary", {"filters": "queue"}, "bad-filter"),
        ("summary", {"order": "offered; drop table calls"}, "bad-order"),
        ("summary", {"limit": 0}, "bad-limit"),
        ("summary", {"limit": 10**9}, "bad-limit"),
        ("summary", {"offset": -1}, "bad-offset"),
        ("summary", {"limit": "many"}, "bad-limit"),
        ("summary", {"threshold_seconds": -1}, "bad-threshold-seconds"),
        ("tariffs", {"tariff": "1/1/0"}, "bad-tariff"),
        ("tariffs", {"tariff": "1/1/1; drop"}, "bad-tariff"),
        ("summary", {"lang": "tlh"}, "bad-language"),
        ("summary", {"colour": "red"}, "unknown-option"),
        ("call_log", {"groups": ["queue"]}, "bad-groups"),
        ("summary/drill", {"cell": {"agent": "x"}}, "bad-cell"),
        ("summary/drill", {"metric": "fcr"}, "bad-cell"),
        ("call_log/drill", {}, "bad-cell"),
    ],
)
def test_a_bad_question_is_told_what_is_wrong_with_it(
    house: House, report: str, options: dict[str, Any], kind: str
) -> None:
    answer = house.client().post(
        f"/v1/reports/{report}", data=json.dumps(options), headers={"Authorization": "Bearer boss"}
    )
    assert answer.status_code in (400, 404)
    assert answer.mimetype == "application/problem+json"
    told = answer.get_json()
    assert told["type"] == f"urn:ringmaster:problem:{kind}"
    assert "drop" not in told["detail"].replace("?drop", "") or "?" in told["detail"]


def test_a_body_that_is_no_object_is_refused(house: House) -> None:
    for body in (b"[]", b"{", b"\xff", b"[" * 100_000):
        answer = house.client().post("/v1/reports/summary", data=body, headers={"Authorization": "Bearer boss"})
        assert answer.status_code == 400


def test_get_asks_the_same_as_post(house: House) -> None:
    asked = "from=2026-11-23&until=2026-11-24&groups=queue,hour&metrics=offered&filter=queue:sales&order=-offered"
    got = house.client().get(f"/v1/reports/summary?{asked}", headers={"Authorization": "Bearer boss"}).get_json()
    posted = house.run(
        "summary", groups=["queue", "hour"], metrics=["offered"], filters={"queue": ["sales"]}, order="-offered", **DAY
    )
    assert got == posted


def test_a_gap_of_a_switch_marks_the_period_it_touches(house: House) -> None:
    house.tell([_gap(NOW_MS - 50_000, NOW_MS - 40_000)])
    marks = house.run("summary", **DAY)["completeness"]["marks"]
    assert {"kind": "switch_gap", "node": "fs-2", "from_ms": NOW_MS - 50_000, "until_ms": NOW_MS - 40_000} in marks
    before = house.run("summary", **{"from": "2026-11-20", "until": "2026-11-21"})
    assert before["completeness"] == {"is_complete": True, "marks": []}


def test_a_switch_that_is_away_marks_what_is_asked_until_it_is_back() -> None:
    house = House(NOW_MS, PROFILE)
    hour: dict[str, Any] = {"from": NOW_MS - 3_600_000, "until": NOW_MS}
    away = {"kind": "switch_away", "node": "fs-3", "from_ms": NOW_MS - 60_000, "until_ms": None}
    house.tell([_of_switch(NOW_MS - 60_000, 2, switch_disconnected=ev.SwitchDisconnectedEvent(node="fs-3"))])
    assert house.run("summary", **hour)["completeness"]["marks"] == [away]
    assert house.run("summary", **{"from": "2026-11-20", "until": "2026-11-21"})["completeness"]["is_complete"]
    house.tell([_of_switch(NOW_MS - 60_000, 3, switch_connected=ev.SwitchConnectedEvent(node="fs-3"))])
    assert house.run("summary", **hour)["completeness"]["is_complete"]
    house.columns.close()


def _of_switch(time_ms: int, sequence: int, **body: Any) -> ev.Event:
    told = event(time_ms, sequence, **body)
    told.subject, told.event_id = "switch:fs-3", f"switch/{sequence}"
    return told


def _gap(from_ms: int, until_ms: int) -> ev.Event:
    body = ev.SwitchGapEvent(node="fs-2")
    getattr(body, "from").FromMilliseconds(from_ms)
    body.until.FromMilliseconds(until_ms)
    return event(until_ms, 7, switch_gap=body)


def test_the_catalogue_and_the_dictionary_explain_themselves(house: House) -> None:
    headers = {"Authorization": "Bearer boss"}
    catalogue = house.client().get("/v1/reports?lang=uk", headers=headers).get_json()
    assert {"id", "name", "section", "kind", "groups", "metrics", "columns", "sources"} == set(catalogue["reports"][0])
    told = house.client().get("/v1/reports/dictionary", headers=headers).get_json()
    formulas = {each["id"]: each["formula"] for each in told["metrics"]}
    assert formulas["service_level"] == "answered_in_time / (answered + abandoned - abandoned_in_time)"


@pytest.mark.parametrize("metric_id", list(load().metrics))
def test_the_examples_of_a_metric_hold(metric_id: str) -> None:
    metric = load().metrics[metric_id]
    for example in metric.examples:
        known = {name: value for name, value in example.items() if name != "value"}
        assert metric.formula.value(known) == pytest.approx(example.get("value"), abs=1e-5)


def test_the_worked_example_of_the_reference_comes_out_in_all_variants() -> None:
    known = {"answered": 1000, "answered_in_time": 860, "abandoned": 60, "abandoned_in_time": 20}
    names = ("service_level_v1", "service_level_v2", "service_level", "service_level_v4")
    values = [load().metrics[name].formula.value(known) or 0 for name in names]
    assert [round(100 * value) for value in values] == [86, 81, 83, 83]


def test_the_published_document_of_the_metrics_is_the_one_in_force() -> None:
    published = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
    wanted = document(load())
    assert published.read_text(encoding="utf-8") == wanted, "python -m services.stats.catalogue > docs/metrics.md"


def test_staffing_says_what_so_many_agents_would_have_done(house: House) -> None:
    shown = house.run("staffing", agents=3, **DAY)
    values = next(row["values"] for row in shown["rows"] if row["values"]["offered"] == 20)
    assert values["traffic"] == pytest.approx(20 * 60 / 1800, abs=1e-3)
    assert values["agents_needed"] >= 2
    assert 0.9 < values["in_time_c"] <= values["in_time_a"] <= 1
    answer = house.client().get("/v1/reports/staffing?groups=queue", headers={"Authorization": "Bearer boss"})
    assert answer.status_code == 400


def test_documents_that_were_written_anew_are_read_anew_though_their_revisions_are_the_same() -> None:
    house = House(NOW_MS, PROFILE)
    told = answered_call("c1", NOW_MS - 600_000, 3_000, 60_000)
    house.tell(told)
    assert house.run("inbound", **DAY)["totals"]["dur"] == 60
    house.store.forget_facts(None)
    house._offset = 0
    house.tell(answered_call("c1", NOW_MS - 600_000, 3_000, 90_000))
    assert house.run("inbound", **DAY)["totals"]["dur"] == 90
    house.columns.close()


def test_who_does_not_wait_for_the_tables_leaves_their_filling_undisturbed(house: House) -> None:
    at = NOW_MS - 30 * 86_400_000
    house.tell([each for number in range(1_500) for each in answered_call(f"m{number}", at + number, 1, 2)])
    mirror = house.parts.mirror
    impatient = [mirror.update("acme", 0.001) for _ in range(5)]
    assert not any(impatient)
    assert mirror.update("acme", 30.0)
    shown = house.run("inbound", metrics=["calls"], period="last_30_days")
    assert shown["totals"]["calls"] == 1_500
