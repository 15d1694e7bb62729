"""An agent's desk: what its page is told, by whom it may be asked, and that each change is told (SPEC 5.1, 3.8)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.live import Live
from services.console.domain.own_desk import glance
from services.shared.contracts.ringmaster.v1.event_pb2 import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallEnded,
    CallStarted,
    CallTransferred,
    ClientVipCalled,
    Event,
    OfferAccepted,
    OfferCreated,
    Party,
)
from tests.unit.console.conftest import Office
from tests.unit.console.test_api import happened

OWN = "/v1/tenants/acme/agents/olena/desk"


@pytest.fixture
def open_office(office: Office, acme: dict[str, Any]) -> Office:
    office.console.tenancy.apply(acme, "test")
    office.start()
    office.wait_for(lambda: office.console.directory.document("acme"), "the document is read")
    return office


def called(office: Office) -> None:
    party = Party(number="+380501112233", name="Client")
    happened(office, "c-1", call_started=CallStarted(line="+380441000001", caller=party))
    happened(office, "c-1", client_vip_called=ClientVipCalled(caller=party, list_id="vip"))
    happened(office, "c-1", offer_created=OfferCreated(agent_id="olena", offer_id="o-1"))


def talks(office: Office) -> None:
    happened(office, "c-1", offer_accepted=OfferAccepted(agent_id="olena", offer_id="o-1"))
    happened(office, "c-1", call_answered=CallAnswered(agent_id="olena", queue_id="sales"))


def in_state(office: Office, state: "AgentState.ValueType") -> None:
    happened(office, str(state), agent_state_changed=AgentStateChanged(agent_id="olena", state=state))


def desk_when(office: Office, holds: Any, what: str) -> dict[str, Any]:
    def asked() -> dict[str, Any]:
        found: dict[str, Any] = office.ask("GET", OWN, "acme-olena").get_json()
        return found

    office.wait_for(lambda: holds(asked()), what)
    return asked()


def test_a_call_is_on_the_desk_from_its_ring_to_the_end_of_the_work_after_it(open_office: Office) -> None:
    called(open_office)
    rings = desk_when(open_office, lambda desk: desk["agent"]["offer_id"], "an offer")
    assert (rings["company"], rings["agent"]["name"]) == ("Acme Goods", "Olena Kovalenko")
    assert (rings["call"]["call_id"], rings["call"]["caller"], rings["call"]["caller_name"]) == (
        "c-1",
        "+380501112233",
        "Client",
    )
    assert (rings["call"]["line_label"], rings["call"]["is_vip"]) == ("Customer line", True)
    talks(open_office)
    on_call = desk_when(open_office, lambda desk: desk["agent"]["call_id"], "a talk")
    assert (on_call["agent"]["offer_id"], on_call["call"]["state"], on_call["call"]["queue_id"]) == (
        "",
        "talking",
        "sales",
    )
    in_state(open_office, AgentState.AGENT_STATE_WRAP_UP)
    happened(open_office, "c-1", call_ended=CallEnded())
    after = desk_when(open_office, lambda desk: desk["call"] and desk["call"]["state"] == "over", "the end")
    assert (after["call"]["call_id"], after["call"]["caller"]) == ("c-1", "+380501112233")
    in_state(open_office, AgentState.AGENT_STATE_IDLE)
    assert desk_when(open_office, lambda desk: desk["agent"]["state"] == "idle", "free")["call"] is None


def test_a_glance_differs_exactly_where_the_desk_does(open_office: Office) -> None:
    document, live = open_office.console.directory.document("acme"), open_office.console.live
    assert document is not None
    before = glance(document, "olena", live)
    happened(open_office, "c-9", call_started=CallStarted(line="+380441000001", caller=Party(number="+380501112299")))
    open_office.wait_for(lambda: "c-9" in live.calls("acme"), "another's call")
    assert glance(document, "olena", live) == before
    called(open_office)
    desk_when(open_office, lambda desk: desk["call"] and desk["call"]["is_vip"], "the offer")
    rings = glance(document, "olena", live)
    assert rings != before
    in_state(open_office, AgentState.AGENT_STATE_AWAY)
    desk_when(open_office, lambda desk: desk["agent"]["state"] == "away", "away")
    assert glance(document, "olena", live) != rings


HAPPENS = st.tuples(
    st.sampled_from(["answered", "to agent", "to queue"]),
    st.sampled_from(["c-1", "c-2", "c-3"]),
    st.sampled_from(["olena", "taras", "ivan"]),
)


@given(st.lists(HAPPENS, max_size=12))
def test_a_call_is_of_who_has_it_and_who_had_it_before_has_it_no_more(story: list[tuple[str, str, str]]) -> None:
    """Also where the caller went on by the flow, of which no event tells that the talk was over."""
    live, owner, last = Live(), dict[str, str](), dict[str, str]()
    for what, call_id, agent_id in story:
        event = Event(tenant_id="acme", call_id=call_id)
        if what == "answered":
            event.call_answered.CopyFrom(CallAnswered(agent_id=agent_id))
        else:
            goal: dict[str, Any] = {"to_agent_id": agent_id} if what == "to agent" else {"to_queue_id": "sales"}
            event.call_transferred.CopyFrom(CallTransferred(**goal))
        live.apply(event)
        former = owner.pop(call_id, "")
        if last.get(former) == call_id:
            del last[former]
        if what != "to queue":
            if owner.get(last.get(agent_id, "")) == agent_id:
                del owner[last[agent_id]]
            owner[call_id], last[agent_id] = agent_id, call_id
        assert {one: live.agent_of("acme", one) for one in ("c-1", "c-2", "c-3")} == {
            one: owner.get(one, "") for one in ("c-1", "c-2", "c-3")
        }
        assert {one: seen.call_id for one, seen in live.agents("acme").items() if seen.call_id} == last


def test_a_desk_names_outcomes_queues_and_colleagues(open_office: Office) -> None:
    desk = open_office.ask("GET", OWN, "acme-olena").get_json()
    assert "sold" in desk["dispositions"]
    assert desk["queues"] == ["sales", "support"]
    colleagues = open_office.ask("GET", OWN.replace("desk", "colleagues"), "acme-olena").get_json()["colleagues"]
    names = [one["agent_id"] for one in colleagues]
    assert "taras" in names
    assert "olena" not in names


def test_each_change_is_told_once(open_office: Office) -> None:
    answer = open_office.client.get(f"{OWN}/stream", headers={"Authorization": "Bearer acme-olena"}, buffered=False)
    frames = (frame for frame in answer.iter_encoded())
    assert next(frames) == b"retry: 1000\n\n"
    assert json.loads(next(frames).removeprefix(b"data: "))["call"] is None
    called(open_office)
    calls: list[dict[str, Any]] = []
    while not (calls and calls[-1]["is_vip"]):
        calls.append(json.loads(next(frames).removeprefix(b"data: "))["call"] or {"is_vip": False})
    assert calls[-1]["caller"] == "+380501112233"
    answer.close()
    open_office.supervisor.stop()


@pytest.mark.parametrize(("token", "status"), [("acme-taras", 401), ("borealis-admin", 403), ("acme-analyst", 403)])
def test_a_desk_is_nobody_elses(open_office: Office, token: str, status: int) -> None:
    assert open_office.ask("GET", OWN, token).status_code == status
    assert open_office.ask("GET", f"{OWN}/stream", token).status_code == status
    assert open_office.ask("GET", OWN.replace("desk", "colleagues"), token).status_code == status


def test_an_agent_controls_the_own_call_and_no_colleagues(open_office: Office) -> None:
    live = open_office.console.live
    for call_id, agent_id in (("c-1", "olena"), ("c-2", "taras")):
        happened(open_office, call_id, call_answered=CallAnswered(agent_id=agent_id))
    open_office.wait_for(lambda: live.agent_of("acme", "c-2") == "taras", "both talk")
    calls = "/v1/tenants/acme/calls"
    assert open_office.ask("POST", f"{calls}/c-1/hold", "acme-olena").status_code == 202
    for path in ("c-2/hold", "c-2/hangup", "c-2/transfer", "c-9/hold"):
        assert open_office.ask("POST", f"{calls}/{path}", "acme-olena", {}).status_code == 403
    assert open_office.ask("PUT", f"{calls}/c-2/disposition", "acme-olena", {"disposition": "sold"}).status_code == 403
    assert open_office.ask("POST", f"{calls}/c-2/hold", "acme-supervisor").status_code == 202
    assert len(open_office.requests()) == 2


def test_an_agent_that_is_not_there_has_no_desk(open_office: Office) -> None:
    assert open_office.ask("GET", OWN.replace("olena", "nobody"), "acme-admin").status_code == 404
    assert open_office.ask("GET", OWN.replace("olena", "taras"), "acme-olena").status_code == 403


def test_a_browser_that_signed_in_is_the_agent_and_a_page_of_another_origin_is_not(open_office: Office) -> None:
    browser = open_office.client
    assert browser.get("/").headers["Location"] == "/login"
    assert browser.post("/login", data={"token": "acme-olena"}).status_code == 303
    assert browser.get("/v1/holder").get_json() == {"tenant_id": "acme", "role": "agent", "actor": "olena"}
    assert b"/page/desk.js" in browser.get("/").data
    wish = {"text": "Your order is ready.", "channel": "email", "email": "client@example.com"}
    foreign = browser.post("/v1/tenants/acme/calls/c-1/message", json=wish, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert open_office.requests() == []
    called(open_office)
    talks(open_office)
    desk_when(open_office, lambda desk: desk["agent"]["call_id"], "a talk")
    own = browser.post("/v1/tenants/acme/calls/c-1/message", json=wish, headers={"Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 202
    (asked,) = open_office.requests()
    assert (asked.actor, asked.write_to_caller.email) == ("olena", "client@example.com")
