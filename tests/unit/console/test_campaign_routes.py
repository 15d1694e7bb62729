"""Campaigns over the API: lists come in, good rows go to the router, bad ones are named."""

from typing import Any

import pytest

from services.console.api.campaigns import AT_ONCE
from services.shared.bus.events import publish_event
from services.shared.contracts.ringmaster.v1.event_pb2 import CampaignChanged, Event
from tests.unit.console.conftest import Office

PATH = "/v1/tenants/acme/campaigns"


@pytest.fixture
def answering(office: Office, acme: dict[str, Any]) -> Office:
    office.console.tenancy.apply(acme, "test")
    office.start()
    office.wait_for(lambda: office.console.directory.document("acme"), "the document is read")
    return office


def test_good_rows_go_to_the_router_in_pieces_and_bad_ones_are_named(answering: Office) -> None:
    answering.answer_all()
    rows = [f"+38050111{number:04},Client {number}" for number in range(AT_ONCE + 5)]
    text = "\n".join(["number,name", *rows, "nobody,Client"])
    body = answering.ask("POST", f"{PATH}/spring/contacts", "acme-supervisor", text).get_json()
    assert (body["added"], body["bad_rows"]) == (AT_ONCE + 5, 1)
    assert [fault["path"] for fault in body["faults"]] == [f"line {AT_ONCE + 7}"]
    pieces = [request.add_contacts for request in answering.requests()]
    assert [len(piece.contacts) for piece in pieces] == [AT_ONCE, 5]
    assert {piece.campaign_id for piece in pieces} == {"spring"}
    assert len({request.request_id for request in answering.requests()}) == len(pieces)


@pytest.mark.parametrize(("text", "status"), [("no heading", 422), (b"number\n\xff", 422), (b"x" * 3_000_000, 413)])
def test_a_file_that_is_no_list_never_reaches_the_log(answering: Office, text: Any, status: int) -> None:
    answer = answering.ask("POST", f"{PATH}/spring/contacts", "acme-supervisor", text)
    assert (answer.status_code, answering.requests()) == (status, [])


def test_a_campaign_that_is_not_there_is_not_found(answering: Office) -> None:
    assert answering.ask("POST", f"{PATH}/autumn/contacts", "acme-admin", "number\n").status_code == 404
    assert answering.ask("POST", f"{PATH}/autumn/start", "acme-admin", {}).status_code == 404
    assert answering.requests() == []


def test_what_the_router_refuses_is_the_answer(answering: Office) -> None:
    answering.answer_all(accepted=False, problem="too-many-contacts")
    answer = answering.ask("POST", f"{PATH}/spring/contacts", "acme-admin", "number\n0501112233\n")
    assert answer.status_code == 409
    assert "too-many-contacts" in answer.get_json()["type"]


def test_the_list_shows_how_far_they_are(answering: Office) -> None:
    body = CampaignChanged(campaign_id="spring", change="started", waiting=7, reached=2)
    publish_event(answering.bus.producer(), Event(tenant_id="acme", event_id="1", campaign_changed=body))
    seen = answering.console.campaigns
    answering.wait_for(lambda: seen.find("acme", "spring")["state"] == "running", "the event is read")
    [spring] = answering.ask("GET", PATH, "acme-analyst").get_json()["campaigns"]
    assert (spring["pacing"], spring["waiting"], spring["reached"]) == ("progressive", 7, 2)


def test_starting_and_pausing_go_to_the_router(answering: Office) -> None:
    answering.answer_all()
    for what in ("start", "pause"):
        assert answering.ask("POST", f"{PATH}/spring/{what}", "acme-supervisor").status_code == 200
    assert [request.run_campaign.running for request in answering.requests()] == [True, False]
