"""Callbacks over the API: what the events told, and wishes that go to the router."""

from typing import Any

import pytest

from services.console.domain.callback_view import MOST_DONE, CallbackView
from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from tests.unit.console.conftest import Office

PATH = "/v1/tenants/acme/callbacks"


def told(callback_id: str, at_ms: int = 1_000, **body: dict[str, Any]) -> Event:
    [(kind, fields)] = body.items()
    made = Event(tenant_id="acme", event_id=f"{callback_id}-{kind}-{at_ms}", subject=f"callback:{callback_id}")
    made.time.FromMilliseconds(at_ms)
    getattr(made, kind).MergeFrom(type(getattr(made, kind))(callback_id=callback_id, number="+380501112233", **fields))
    return made


def requested(callback_id: str, queue_id: str = "sales", due_ms: int = 5_000) -> Event:
    made = told(callback_id, callback_requested={"queue_id": queue_id, "reason": "abandoned", "name": "Client"})
    made.callback_requested.due_at.FromMilliseconds(due_ms)
    return made


@pytest.fixture
def answering(office: Office, acme: dict[str, Any]) -> Office:
    office.console.tenancy.apply(acme, "test")
    office.start()
    return office


def test_the_list_is_what_the_events_on_the_bus_told(answering: Office) -> None:
    sender = answering.bus.producer()
    for event in (requested("late", due_ms=9_000), requested("soon"), requested("other", "support")):
        publish_event(sender, event)
    answering.wait_for(lambda: len(answering.console.callbacks.open_ones("acme")) == 3, "the events are read")
    body = answering.ask("GET", f"{PATH}?queue_id=sales", "acme-supervisor").get_json()
    assert [one["callback_id"] for one in body["callbacks"]] == ["soon", "late"]
    assert body["callbacks"][0] | {"requested_ms": 0} == body["callbacks"][0] | {
        "requested_ms": 0,
        "number": "+380501112233",
        "name": "Client",
        "state": "planned",
        "due_ms": 5_000,
    }
    assert body["cursor"] is None
    assert answering.ask("GET", f"{PATH}/soon", "acme-supervisor").get_json()["queue_id"] == "sales"
    assert answering.ask("GET", f"{PATH}/none", "acme-supervisor").status_code == 404
    assert CALLS


def test_pages_hold_every_callback_once(answering: Office) -> None:
    for number in range(25):
        answering.console.callbacks.apply(requested(f"t{number:02}", due_ms=number))
    found, cursor = [], ""
    while cursor is not None:
        page = answering.ask("GET", f"{PATH}?limit=10&cursor={cursor}", "acme-admin").get_json()
        found += [one["callback_id"] for one in page["callbacks"]]
        cursor = page["cursor"]
    assert found == [f"t{number:02}" for number in range(25)]


def test_what_is_done_is_listed_from_the_last_on_whenever_it_was_due(answering: Office) -> None:
    due = [3, 9, 1, 7, 5]
    for number, due_ms in enumerate(due):
        answering.console.callbacks.apply(requested(f"t{number}", due_ms=due_ms))
        answering.console.callbacks.apply(told(f"t{number}", 1_000 + number, callback_cancelled={"reason": "no need"}))
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None and len(found) < 2 * len(due):
        page = answering.ask("GET", f"{PATH}?state=done&limit=2&cursor={cursor}", "acme-admin").get_json()
        found += [one["callback_id"] for one in page["callbacks"]]
        cursor = page["cursor"]
    assert found == ["t4", "t3", "t2", "t1", "t0"]


@pytest.mark.parametrize("query", ["state=all", "limit=0", "limit=501"])
def test_a_list_that_makes_no_sense_is_refused(answering: Office, query: str) -> None:
    assert answering.ask("GET", f"{PATH}?{query}", "acme-admin").status_code == 400


def test_what_is_done_is_not_opened_by_an_event_that_is_told_again() -> None:
    view = CallbackView()
    for event in (requested("one"), told("one", callback_cancelled={"reason": "no need"}), requested("one")):
        view.apply(event)
    assert (view.open_ones("acme"), [task.state for task in view.done_ones("acme")]) == ([], ["cancelled"])


def test_a_task_goes_through_its_states_and_repetitions_change_nothing() -> None:
    view = CallbackView()
    story = [
        requested("t"),
        told("t", 2_000, callback_attempted={"attempt": 1, "agent_id": "olena"}),
        told("t", 3_000, callback_failed={"attempt": 1, "cause": "NO_ANSWER"}),
        told("t", 4_000, callback_attempted={"attempt": 2, "agent_id": "taras"}),
        told("t", 5_000, callback_succeeded={"attempt": 2, "agent_id": "taras"}),
    ]
    states = []
    for event in story:
        view.apply(event)
        task = view.find("acme", "t")
        assert task is not None
        states.append(task.state)
    assert states == ["planned", "calling", "planned", "calling", "succeeded"]
    for event in story:
        view.apply(event)
    assert view.open_ones("acme") == []
    assert [(one.attempts, one.agent_id, one.ended_ms) for one in view.done_ones("acme")] == [(2, "taras", 5_000)]


def test_what_is_done_is_kept_in_bounds_the_last_first() -> None:
    view = CallbackView()
    for number in range(MOST_DONE + 5):
        view.apply(requested(f"t{number}"))
        view.apply(told(f"t{number}", callback_expired={}))
    done = [task.callback_id for task in view.done_ones("acme")]
    assert (len(done), done[0]) == (MOST_DONE, f"t{MOST_DONE + 4}")


def test_a_wish_goes_to_the_router_and_its_task_is_named(answering: Office) -> None:
    answering.answer_all()
    body = {"queue_id": "sales", "number": "050 111 22 33", "name": "Client", "due_at": "2026-03-01T09:30:00+02:00"}
    answer = answering.ask("POST", PATH, "acme-olena", body, Idempotency_Key="once")
    again = answering.ask("POST", PATH, "acme-olena", body, Idempotency_Key="once")
    assert answer.status_code == 200
    assert answer.get_json() == again.get_json()
    request = answering.requests()[0]
    assert answer.get_json()["callback_id"] == f"cb-{request.request_id}"
    assert (request.actor, request.ask_callback.number) == ("olena", "050 111 22 33")
    assert request.ask_callback.due_ms == 1_772_350_200_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"queue_id": "sales"}, 422),
        ({"number": "1"}, 422),
        ({"queue_id": "sales", "number": "1" * 41}, 422),
        ({"queue_id": "sales", "number": "+380501112233", "name": "a\nb"}, 422),
        ({"queue_id": "sales", "number": "+380501112233", "due_at": "tomorrow morning"}, 422),
        ({"queue_id": "sales", "number": "+380501112233", "due_at": "2026-03-01T09:30:00"}, 422),
        ({"queue_id": "sales", "number": "+380501112233", "extra": 1}, 422),
        (b"{", 400),
    ],
)
def test_a_wish_of_a_wrong_shape_never_reaches_the_log(answering: Office, body: Any, status: int) -> None:
    assert answering.ask("POST", PATH, "acme-admin", body).status_code == status
    assert answering.requests() == []


@pytest.mark.parametrize(
    ("problem", "status"), [("callback-not-found", 404), ("callback-in-progress", 409), ("not-a-moment", 422)]
)
def test_the_routers_refusal_is_the_answer(answering: Office, problem: str, status: int) -> None:
    answering.answer_all(accepted=False, problem=problem)
    answer = answering.ask("POST", f"{PATH}/t/reschedule", "acme-crm", {"due_at": "2026-03-01T09:30:00Z"})
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_cancelling_says_why(answering: Office) -> None:
    answering.answer_all()
    assert answering.ask("POST", f"{PATH}/t/cancel", "acme-admin", {"reason": "bought"}).status_code == 200
    cancel = answering.requests()[0].cancel_callback
    assert (cancel.callback_id, cancel.reason) == ("t", "bought")
