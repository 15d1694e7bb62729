"""A person is erased over the API; what each service answered is gathered in a report that holds no number."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest

from services.console.adapters.memory import MemoryErasureStore
from services.console.bootstrap import Console
from services.console.domain.list_entries import black_lists, without
from services.console.erasures import NAMING_PERSONS
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.request_pb2 import Request
from services.shared.erased import SERVICES, answer_to
from services.shared.person import PersonSeal
from services.shared.phone_number import written_forms
from tests.unit.console.conftest import Office
from tests.unit.console.test_callback_routes import requested

SECRET = "an erasure secret that is long enough"
PERSON = "+380501112233"
FORMS = (PERSON, "380501112233", "00380501112233", "0501112233", "501112233")
PATH = "/v1/erasures"
RETENTION_MS = 86_400_000


@pytest.fixture
def answering(office: Office, acme: dict[str, Any]) -> Office:
    outside = replace(office.console._outside, kept_ms=lambda topics: dict.fromkeys(topics, RETENTION_MS))
    office.console = Console(outside)
    office.client = office.console.application().test_client()
    office.console.tenancy.apply(acme, "test")
    office.start()
    office.answer_all()
    return office


def _begun(office: Office, asked: Request) -> Event:
    """Tell what the router tells of a request that it accepts."""
    wish = asked.erase_person
    event = Event(event_id="asked-1", tenant_id="acme", subject=f"erasure:{wish.erasure_id}")
    event.time.FromMilliseconds(1_000)
    body = event.person_erasure_requested
    body.erasure_id, body.person, body.sealed_numbers, body.actor = (
        wish.erasure_id,
        wish.person,
        wish.sealed_numbers,
        "anna",
    )
    publish_event(office.bus.producer(), event)
    return event


def _report(office: Office, erasure_id: str) -> dict[str, Any]:
    report: dict[str, Any] = office.ask("GET", f"{PATH}/{erasure_id}", "acme-admin").get_json()
    return report


def _answers(office: Office) -> list[Event]:
    events = [Event.FromString(record.value) for record in office.bus.records(CALLS)]
    return [event for event in events if event.HasField("person_erased")]


@pytest.mark.parametrize(
    "number", [PERSON, "380501112233"[2:], "050 111-22-33", "+38 (050) 111 22 33", "00380501112233"]
)
def test_however_a_number_is_written_it_is_the_same_person(answering: Office, number: str) -> None:
    answer = answering.ask("POST", PATH, "acme-admin", {"number": number})
    assert answer.status_code == 200, answer.get_json()
    (asked,) = answering.requests()
    assert tuple(asked.erase_person.numbers) == FORMS
    assert asked.erase_person.person == PersonSeal(SECRET).person("acme", PERSON)
    assert answer.get_json()["erasure_id"] == asked.erase_person.erasure_id == f"er-{asked.request_id}"


def test_a_national_form_counts_only_where_a_line_is_in_the_country() -> None:
    assert written_forms("+442071000000", ["+380441000001"]) == ("+442071000000", "442071000000", "00442071000000")
    assert written_forms("no number", ["+380441000001"]) == ()
    assert written_forms("0501112233", []) == ()


def test_only_an_administrator_erases_and_only_where_a_secret_is_set(answering: Office, office: Office) -> None:
    for token in ("acme-supervisor", "acme-crm", "acme-olena", "acme-analyst"):
        assert answering.ask("POST", PATH, token, {"number": PERSON}).status_code == 403
        assert answering.ask("GET", PATH, token).status_code == 403
    assert answering.ask("POST", PATH, "root", {"number": PERSON}).status_code == 400
    assert answering.ask("POST", f"{PATH}?tenant=acme", "root", {"number": PERSON}).status_code == 200
    assert answering.ask("POST", PATH, "acme-admin", {"number": "nobody"}).status_code == 422
    bare = Console(replace(answering.console._outside, seal=PersonSeal(""))).application().test_client()
    refused = bare.post(PATH, json={"number": PERSON}, headers={"Authorization": "Bearer acme-admin"})
    assert (refused.status_code, refused.get_json()["type"].rsplit(":")[-1]) == (503, "erasure-not-set-up")


def test_the_report_is_open_until_every_service_has_answered_and_never_holds_the_number(answering: Office) -> None:
    erasure_id = answering.ask("POST", PATH, "acme-admin", {"number": PERSON}, Idempotency_Key="k").get_json()[
        "erasure_id"
    ]
    assert answering.ask("GET", f"{PATH}/{erasure_id}", "acme-admin").status_code == 404
    asked = _begun(answering, answering.requests()[0])
    answering.wait_for(lambda: _answers(answering), "the console did its part")
    sender = answering.bus.producer()
    for service in ("router", "recorder", "webhooks", "stats"):
        publish_event(sender, answer_to("acme", erasure_id, service, 2_000, {"things": 2}), service)
    publish_event(sender, answer_to("acme", erasure_id, "legs", 2_000, fault="no secret"), "stats")
    answering.wait_for(lambda: _report(answering, erasure_id)["missing"] == ["legs"], "only the legs are missing")
    report = _report(answering, erasure_id)
    by_name = {one["service"]: one for one in report["services"]}
    assert set(by_name) == set(SERVICES)
    assert (report["state"], by_name["legs"]["fault"], by_name["stats"]["removed"]) == (
        "open",
        "no secret",
        {"things": 2},
    )
    publish_event(sender, answer_to("acme", erasure_id, "legs", 3_000, {"legs": 1}), "stats")
    answering.wait_for(lambda: _report(answering, erasure_id)["state"] == "done", "all have answered")
    report = _report(answering, erasure_id)
    assert report["person"] == asked.person_erasure_requested.person
    assert {one["topic"]: one["gone_by"] for one in report["log"]} == dict.fromkeys(
        (*NAMING_PERSONS, "ringmaster.feed.acme"), "1970-01-02T00:00:01+00:00"
    )
    store = answering.console._outside.erasures
    answering.wait_for(lambda: (store.find("acme", erasure_id) or {}).get("state") == "done", "the report is kept")
    for form in FORMS:
        assert form not in json.dumps(_report(answering, erasure_id))
    assert answering.ask("GET", f"{PATH}/{erasure_id}", "borealis-admin").status_code == 404
    (listed,) = answering.ask("GET", PATH, "acme-admin").get_json()["erasures"]
    assert listed == report


def test_every_list_by_which_a_company_refuses_somebody_is_a_black_list() -> None:
    queues = [{"black_lists": ["b"], "callbacks": {"black_lists": ["c"]}}, {"callbacks": {}}, {}]
    assert black_lists({"black_lists": ["a"], "queues": queues, "lists": [{"list_id": "d"}]}) == {"a", "b", "c"}


def test_lists_lose_the_person_in_every_version_but_black_lists_keep_the_entry_and_say_so(
    answering: Office, acme: dict[str, Any]
) -> None:
    lists = [
        {"list_id": "vip", "numbers": [PERSON, "+38050*", "+380671112233"]},
        {"list_id": "bad", "numbers": [PERSON]},
    ]
    listed = {**acme, "lists": [*acme.get("lists", []), *({**one} for one in lists)], "black_lists": ["bad"]}
    listed["lists"] = list({one["list_id"]: one for one in listed["lists"]}.values())
    answering.console.tenancy.apply(listed, "test")
    answering.console.tenancy.apply({**listed, "dispositions": ["sold"]}, "test")
    answering.ask("POST", PATH, "acme-admin", {"number": PERSON})
    _begun(answering, answering.requests()[0])
    answering.wait_for(lambda: _answers(answering), "the console did its part")
    (answer,) = [event.person_erased for event in _answers(answering)]
    assert dict(answer.removed) == {"list_entries": 1}
    assert [(held.kind, held.count, "bad" in held.reason) for held in answer.held_back] == [
        ("black_list_entries", 1, True)
    ]
    for version in answering.console.tenancy.history("acme", 10):
        left = {one["list_id"]: one["numbers"] for one in version.document.get("lists", [])}
        assert PERSON not in left.get("vip", [])
        assert version.number == 1 or (left["vip"], left["bad"]) == (["+38050*", "+380671112233"], [PERSON])
        assert version.contract.count(PERSON.encode()) == (0 if version.number == 1 else 1)


def test_callbacks_that_are_shown_forget_the_person_again_after_each_start(answering: Office) -> None:
    publish_event(answering.bus.producer(), requested("theirs"))
    answering.wait_for(lambda: answering.console.callbacks.find("acme", "theirs"), "the callback is known")
    answering.ask("POST", PATH, "acme-admin", {"number": PERSON})
    _begun(answering, answering.requests()[0])
    publish_event(answering.bus.producer(), requested("later"))
    answering.wait_for(lambda: answering.console.callbacks.find("acme", "later"), "the events are read")
    assert answering.console.callbacks.find("acme", "theirs") is None
    answering.wait_for(lambda: _answers(answering), "the console did its part")
    bus = answering.bus
    again = Console(replace(answering.console._outside, calls=bus.consumer(None, [CALLS])))
    for record in bus.records(CALLS):
        again.erasures.take(record)
        if record.headers["ce_type"].startswith("callback."):
            again.callbacks.apply(Event.FromString(record.value))
    assert [again.callbacks.find("acme", one) is None for one in ("theirs", "later")] == [True, False]
    before = len(_answers(answering))
    again.erasures.look()
    assert len(_answers(answering)) == before, "what was answered is not answered again"


class _Killed(BaseException):
    """The process is gone."""


class _DyingSender:
    """Dies, or finds no broker, when something is sent."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def send(self, *_args: Any, **_more: Any) -> Any:
        raise self.error

    def flush(self, timeout_seconds: float) -> None:
        """Nothing is under way."""


@pytest.mark.parametrize("error", [_Killed(), BusUnavailable("away")])
def test_a_kill_between_effect_and_answer_is_made_good(answering: Office, error: BaseException) -> None:
    answering.ask("POST", PATH, "acme-admin", {"number": PERSON})
    outside = answering.console._outside
    first = Console(replace(outside, sender=_DyingSender(error), erasures=MemoryErasureStore()))
    answering.supervisor.stop()
    asked = _begun(answering, answering.requests()[0])
    (record,) = [one for one in answering.bus.records(CALLS) if one.headers["ce_type"] == "person.erasure_requested"]
    first.erasures.take(record)
    with contextlib.suppress(_Killed):
        first.erasures.look()
    assert not _answers(answering)
    second = Console(outside)
    second.erasures.take(record)
    second.erasures.look()
    second.erasures.look()
    assert [event.person_erased.erasure_id for event in _answers(answering)] == [
        asked.person_erasure_requested.erasure_id
    ]


def test_a_document_without_lists_stays_as_it_is(acme: dict[str, Any]) -> None:
    bare = {name: value for name, value in acme.items() if name != "lists"}
    assert without(bare, [PERSON]) == (bare, 0)


def test_a_broker_that_does_not_tell_its_retention_keeps_no_report_back(answering: Office) -> None:
    asked_for: list[list[str]] = []

    def silent(topics: list[str]) -> dict[str, int]:
        asked_for.append(topics)
        raise BusUnavailable("may not be asked")

    answering.ask("POST", PATH, "acme-admin", {"number": PERSON})
    outside = replace(answering.console._outside, kept_ms=silent, erasures=MemoryErasureStore())
    other = Console(outside)
    _begun(answering, answering.requests()[0])
    (record,) = [one for one in answering.bus.records(CALLS) if one.headers["ce_type"] == "person.erasure_requested"]
    other.erasures.take(record)
    other.erasures.look()
    (report,) = outside.erasures.newest("acme", 10)
    assert (report["log"], report["state"], len(asked_for)) == ([], "open", 1)


def test_a_fault_is_told_once_though_its_own_word_comes_back(answering: Office) -> None:
    answering.ask("POST", PATH, "acme-admin", {"number": PERSON})
    answering.supervisor.stop()
    other = Console(replace(answering.console._outside, seal=PersonSeal("another secret of another platform, long")))
    _begun(answering, answering.requests()[0])
    for _ in range(3):
        for record in answering.bus.records(CALLS):
            other.erasures.take(record)
        other.erasures.look()
    (answer,) = _answers(answering)
    assert "RINGMASTER_ERASURE_SECRET" in answer.person_erased.fault
    report = other.erasures.report("acme", answer.person_erased.erasure_id)
    assert report is not None
    assert (report["state"], "console" in report["missing"]) == ("open", True)
