"""Values of fixed lists are read in words, in both languages; programs still get the values."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus
from services.shared.contracts.ringmaster.v1.switch_pb2 import HangupParty
from services.stats.catalogue import load
from services.stats.domain.facts.kept import word
from services.stats.domain.facts.rows import _ENDS_TALK, _OUTCOMES
from services.stats.domain.profile import Profile
from tests.unit.stats.events import abandoned_call, answered_call
from tests.unit.stats.report_house import House

NOW_MS = 1_795_435_200_000
DAY = "from=2026-11-23&until=2026-11-24"


def words_of(enum: Any) -> set[str]:
    return {word(enum, value) for value in enum.values()}


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        ("exit", words_of(ev.CallExit) | words_of(ev.QueueExit)),
        ("state", words_of(ev.AgentState)),
        ("status", words_of(AgentStatus)),
        ("hangup_party", words_of(HangupParty)),
        ("strategy", words_of(tn.Strategy) - {"unspecified"}),
        ("step_type", {field.name for field in tn.Step.DESCRIPTOR.oneofs_by_name["step"].fields}),
        ("outcome", set(_OUTCOMES.values())),
        ("end_reason", set(_ENDS_TALK)),
    ],
)
def test_every_value_of_the_contract_has_a_word_in_both_languages(dimension: str, values: set[str]) -> None:
    known = load().dimensions[dimension]
    assert values <= known.words.keys()
    for language in ("en", "uk"):
        said = known.words_in(language)
        assert all(said.values())
        assert len(set(said.values())) == len(said)


def test_two_values_that_stand_side_by_side_are_told_apart_and_ukrainian_is_no_english() -> None:
    for dimension in load().dimensions.values():
        english, ukrainian = dimension.words_in("en"), dimension.words_in("uk")
        assert not [value for value, said in english.items() if said == ukrainian[value]]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    people = {"olena": "=Олена", "taras": "Тарас", "other": "Тарас", "iryna": "iryna"}
    house = House(NOW_MS, Profile("acme", "Acme", "Europe/Kyiv", people))
    house.tell([*answered_call("c1", NOW_MS - 90_000, 3_500, 10_000), *abandoned_call("c2", NOW_MS - 80_000, 9_000)])
    yield house
    house.columns.close()


def test_an_answer_holds_the_values_and_the_words_beside_them(house: House) -> None:
    found = house.run("inbound", groups=["exit"], metrics=["calls"], lang="uk")
    assert {row["values"]["exit"] for row in found["rows"]} == {"answered", "abandoned"}
    (column,) = [each for each in found["columns"] if each["id"] == "exit"]
    assert column["words"]["abandoned"] == "Не дочекався"
    assert [each for each in found["columns"] if "words" in each] == [column]


@pytest.mark.parametrize(
    ("language", "separator", "said"),
    [("uk", ";", {"Відповіли", "Не дочекався"}), ("en", ",", {"Answered", "Abandoned"})],
)
def test_files_for_people_are_written_in_words(house: House, language: str, separator: str, said: set[str]) -> None:
    query = f"{DAY}&groups=exit&metrics=calls&lang={language}"
    rows = list(csv.reader(io.StringIO(taken(house, "csv-excel", query).decode("utf-8-sig")), delimiter=separator))
    assert {row[0] for row in rows[1:]} == said
    page = taken(house, "html", query).decode()
    assert all(f"<td>{each}</td>" in page for each in said)
    assert b'["answered",1]' in taken(house, "json", query)


def test_agents_are_told_by_name_and_two_of_one_name_by_both(house: House) -> None:
    found = house.run("summary_by_agent", period="today")
    (row,) = [each for each in found["rows"] if each["values"]["agent"]]
    assert row["values"]["agent"] == row["cell"]["agent"] == "olena"
    assert next(each for each in found["columns"] if each["id"] == "agent")["words"] == {"olena": "=Олена"}
    columns = house.parts.reports.columns("acme", house.parts.reports.query("acme", "transfer_log", {}))
    both = {"olena": "=Олена", "taras": "Тарас (taras)", "other": "Тарас (other)"}
    assert {each.id: each.words for each in columns if "agent" in each.id} == {"from_agent": both, "to_agent": both}


def test_a_name_like_a_formula_is_none_in_a_file(house: House) -> None:
    path = f"/v1/reports/summary_by_agent/export?format=csv-excel&{DAY}&lang=en"
    with house.client().get(path, headers={"Authorization": "Bearer boss"}) as answer:
        assert "'=Олена," in answer.get_data().decode()


def taken(house: House, kind: str, query: str) -> bytes:
    path = f"/v1/reports/inbound/export?format={kind}&{query}"
    with house.client().get(path, headers={"Authorization": "Bearer boss"}) as answer:
        assert answer.status_code == 200
        return answer.get_data()
