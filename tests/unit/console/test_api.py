import json
from typing import Any

import pytest
import yaml

from services.console.domain.live import SeenCall
from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS, INPUTS, REPLIES, TENANTS
from services.shared.contracts.ringmaster.v1.event_pb2 import (
    AgentState,
    AgentStateChanged,
    AgentStatusChanged,
    CallAnswered,
    CallbackRequested,
    CallEnded,
    CallHeld,
    CallStarted,
    CallTransferred,
    Event,
    OfferAccepted,
    OfferCreated,
    Party,
    QueueJoined,
)
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus, RecordingControl, SupervisionMode
from tests.unit.console.conftest import Office, demo_text

ROUTES = [
    ("GET", "/v1/tenants/acme", "read"),
    ("GET", "/v1/tenants/acme/versions", "read"),
    ("POST", "/v1/tenants/acme/diff", "read"),
    ("PUT", "/v1/tenants/acme", "change"),
    ("POST", "/v1/tenants/acme/rollback?version=1", "change"),
    ("GET", "/v1/tenants/acme/flows", "read"),
    ("GET", "/v1/tenants/acme/flows/main", "read"),
    ("GET", "/v1/tenants/acme/flows/main/picture.svg", "read"),
    ("GET", "/v1/tenants/acme/flows/main/picture.mmd", "read"),
    ("POST", "/v1/tenants/acme/flows/main/diff", "read"),
    ("PUT", "/v1/tenants/acme/flows/main", "change"),
    ("POST", "/v1/tenants/acme/flows/main/rollback?version=1", "change"),
    ("GET", "/v1/tenants/acme/agents", "live"),
    ("GET", "/v1/tenants/acme/calls", "live"),
    ("GET", "/v1/tenants/acme/agents/olena/desk", "agent"),
    ("GET", "/v1/tenants/acme/agents/olena/desk/stream", "agent"),
    ("GET", "/v1/tenants/acme/agents/olena/colleagues", "agent"),
    ("PUT", "/v1/tenants/acme/agents/olena/status", "agent"),
    ("POST", "/v1/tenants/acme/agents/olena/wrap-up/end", "agent"),
    ("POST", "/v1/tenants/acme/agents/olena/wrap-up/extend", "agent"),
    ("POST", "/v1/tenants/acme/agents/olena/offers/offer-1/reject", "agent"),
    ("POST", "/v1/tenants/acme/calls/call-1/hangup", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/hold", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/resume", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/recording/mask", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/recording/resume", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/recording/pause", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/recording/start", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/recording/stop", "call"),
    ("PUT", "/v1/tenants/acme/calls/call-1/disposition", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/transfer", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/consult", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/consult/swap", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/consult/complete", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/consult/cancel", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/consult/join", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/mute", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/unmute", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/digits", "call"),
    ("POST", "/v1/tenants/acme/calls/call-1/message", "call"),
    ("POST", "/v1/tenants/acme/agents/olena/dial", "agent"),
    ("PUT", "/v1/tenants/acme/calls/call-1/supervision/olena", "supervise"),
    ("DELETE", "/v1/tenants/acme/calls/call-1/supervision/olena", "supervise"),
    ("POST", "/v1/tenants/acme/calls/call-1/supervision/olena/take-over", "supervise"),
    ("PUT", "/v1/tenants/acme/calls/call-1/queue", "supervise"),
    ("GET", "/v1/tenants/acme/agents/olena/phone", "phone"),
    ("GET", "/v1/tenants/acme/callbacks", "live"),
    ("GET", "/v1/tenants/acme/callbacks/task-1", "live"),
    ("POST", "/v1/tenants/acme/callbacks", "ask"),
    ("GET", "/v1/tenants/acme/campaigns", "live"),
    ("POST", "/v1/tenants/acme/campaigns/spring/start", "manage"),
    ("POST", "/v1/tenants/acme/campaigns/spring/pause", "manage"),
    ("POST", "/v1/tenants/acme/campaigns/spring/contacts", "manage"),
    ("POST", "/v1/tenants/acme/callbacks/task-1/cancel", "manage"),
    ("POST", "/v1/tenants/acme/callbacks/task-1/reschedule", "manage"),
    ("POST", "/v1/erasures?tenant=acme", "erase"),
    ("GET", "/v1/erasures?tenant=acme", "erase"),
]
ALLOWED = {
    "root": {"read", "change", "live", "agent", "call", "phone", "ask", "manage", "supervise", "erase"},
    "acme-admin": {"read", "change", "live", "agent", "call", "phone", "ask", "manage", "supervise", "erase"},
    "acme-supervisor": {"read", "live", "agent", "call", "supervise", "ask", "manage"},
    "acme-analyst": {"read", "live"},
    "acme-crm": {"read", "live", "agent", "call", "ask", "manage"},
    # A call that is not his is not his to control.
    "acme-olena": {"agent", "phone", "ask"},
    "borealis-admin": set(),
}
BODIES = {
    "status": {"status": "ready"},
    "extend": {"seconds": 30},
    "disposition": {"disposition": "sold"},
    "transfer": {"agent_id": "taras"},
    "consult": {"number": "+380501112233"},
    "digits": {"digits": "12#"},
    "message": {"text": "Your order is on its way."},
    "dial": {"number": "+380501112233"},
    "queue": {"queue_id": "sales"},
    "calls/call-1/supervision/olena": {"mode": "listen"},
    "contacts": "number,name\n0501112233,Client\n",
    "callbacks": {"queue_id": "sales", "number": "+380501112233"},
    "erasures?tenant=acme": {"number": "+380501112233"},
    "reschedule": {"due_at": "2026-03-01T09:30:00+02:00"},
}


@pytest.fixture
def open_office(office: Office, acme: dict[str, Any]) -> Office:
    office.console.tenancy.apply(acme, "test")
    office.start()
    office.wait_for(lambda: office.console.directory.document("acme"), "the document is read")
    return office


def main_flow() -> dict[str, Any]:
    return next(flow for flow in yaml.safe_load(demo_text("acme"))["flows"] if flow["flow_id"] == "main")


def test_every_route_of_the_application_is_in_the_table_of_this_test(office: Office) -> None:
    found = set()
    for rule in office.client.application.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found.add((method, str(rule.endpoint)))
    adapter = office.client.application.url_map.bind("localhost")
    told = {(method, adapter.match(path.partition("?")[0], method)[0]) for method, path, _ in ROUTES}
    untold = {endpoint for _, endpoint in found - told if not endpoint.startswith("page.")}
    assert untold == {
        "healthz",
        "readyz",
        "metrics",
        "tenants.all_tenants",
        "erasures.erasure",  # one that there is: test_erasure_routes
        "freeswitch.phones",
        "freeswitch.lines",
        "openapi.openapi",
        "own_desk.holder",  # of the token itself: test_own_desk
    }


@pytest.mark.parametrize("token", ALLOWED)
@pytest.mark.parametrize(("method", "path", "right"), ROUTES, ids=[f"{route[0]} {route[1]}" for route in ROUTES])
def test_every_route_checks_tenant_and_role(
    open_office: Office, token: str, method: str, path: str, right: str
) -> None:
    whole = demo_text("acme") if "diff" in path or method == "PUT" else None
    flow = main_flow() if "/flows/" in path and whole else None
    named = BODIES.get(path.rpartition("/")[2]) or BODIES.get(path.removeprefix("/v1/tenants/acme/"))
    body = (named if method != "DELETE" else None) or flow or (whole if named is None else None)
    open_office.console.desk._reply_seconds = 0.0
    open_office.console.callbacks.apply(
        Event(tenant_id="acme", callback_requested=CallbackRequested(callback_id="task-1"))
    )
    before = len(open_office.bus.records(INPUTS))
    answer = open_office.ask(method, path, token, body)
    if right in ALLOWED[token]:
        assert answer.status_code in (200, 202), answer.text
    else:
        assert answer.status_code == 403
        assert answer.mimetype == "application/problem+json"
        assert len(open_office.bus.records(INPUTS)) == before
    assert open_office.ask(method, path, "", body).status_code == 401
    assert open_office.ask(method, path, token + "x", body).status_code == 401


def test_a_tenant_that_is_not_there_looks_like_one_that_is_anothers(open_office: Office) -> None:
    there = open_office.ask("GET", "/v1/tenants/borealis", "acme-admin")
    not_there = open_office.ask("GET", "/v1/tenants/nobody", "acme-admin")
    assert (there.status_code, there.data) == (not_there.status_code, not_there.data)


def test_the_list_of_tenants_shows_only_what_the_token_may_see(open_office: Office, borealis: dict[str, Any]) -> None:
    open_office.console.tenancy.apply(borealis, "test")
    assert open_office.ask("GET", "/v1/tenants", "root").get_json()["tenants"] == ["acme", "borealis"]
    assert open_office.ask("GET", "/v1/tenants", "acme-analyst").get_json()["tenants"] == ["acme"]
    assert open_office.ask("GET", "/v1/tenants", "acme-olena").get_json()["tenants"] == []


def test_an_agent_may_not_act_for_another(open_office: Office) -> None:
    answer = open_office.ask("PUT", "/v1/tenants/acme/agents/taras/status", "acme-olena", {"status": "ready"})
    assert answer.status_code == 403
    assert open_office.requests() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "expected"),
    [
        (
            "PUT",
            "agents/olena/status",
            {"status": "away", "reason": "lunch"},
            "set_agent_status",
            {"agent_id": "olena", "status": AgentStatus.AGENT_STATUS_AWAY, "reason": "lunch"},
        ),
        ("POST", "agents/olena/wrap-up/end", None, "end_wrap_up", {"agent_id": "olena"}),
        ("POST", "agents/olena/wrap-up/extend", {"seconds": 30}, "extend_wrap_up", {"seconds": 30}),
        ("POST", "agents/olena/offers/o-1/reject", None, "reject_offer", {"agent_id": "olena", "offer_id": "o-1"}),
        ("POST", "calls/c-1/hangup", None, "hang_up_call", {"call_id": "c-1"}),
        ("POST", "calls/c-1/hold", None, "hold_call", {"call_id": "c-1", "held": True}),
        ("POST", "calls/c-1/resume", None, "hold_call", {"call_id": "c-1", "held": False}),
        (
            "POST",
            "calls/c-1/recording/mask",
            None,
            "control_recording",
            {"call_id": "c-1", "control": RecordingControl.RECORDING_CONTROL_MASK},
        ),
        (
            "POST",
            "calls/c-1/recording/resume",
            None,
            "control_recording",
            {"control": RecordingControl.RECORDING_CONTROL_RESUME},
        ),
        ("POST", "calls/c-1/mute", None, "mute_agent", {"call_id": "c-1", "muted": True}),
        ("POST", "calls/c-1/unmute", None, "mute_agent", {"call_id": "c-1", "muted": False}),
        ("POST", "calls/c-1/transfer", {"queue_id": "sales"}, "transfer_call", {"queue_id": "sales", "agent_id": ""}),
        ("POST", "calls/c-1/consult", {"agent_id": "taras"}, "start_consultation", {"agent_id": "taras"}),
        ("POST", "calls/c-1/consult", {"queue_id": "sales"}, "start_consultation", {"queue_id": "sales"}),
        ("POST", "calls/c-1/consult/swap", None, "swap_consultation", {"call_id": "c-1"}),
        ("POST", "calls/c-1/consult/complete", None, "complete_consultation", {"call_id": "c-1"}),
        ("POST", "calls/c-1/consult/cancel", None, "cancel_consultation", {"call_id": "c-1"}),
        ("POST", "calls/c-1/consult/join", None, "join_consultation", {"call_id": "c-1"}),
        ("POST", "calls/c-1/digits", {"digits": "12#"}, "send_call_digits", {"call_id": "c-1", "digits": "12#"}),
        (
            "POST",
            "calls/c-1/message",
            {"text": "Order 7", "channel": "sms"},
            "write_to_caller",
            {"call_id": "c-1", "channel": "sms", "text": "Order 7"},
        ),
        (
            "POST",
            "calls/c-1/message",
            {"text": "Order 7", "channel": "email", "email": "franko@example.com"},
            "write_to_caller",
            {"call_id": "c-1", "channel": "email", "text": "Order 7", "email": "franko@example.com"},
        ),
        ("PUT", "calls/c-1/queue", {"queue_id": "sales"}, "move_waiting_call", {"queue_id": "sales"}),
        (
            "PUT",
            "calls/c-1/supervision/ivan",
            {"mode": "whisper"},
            "supervise_call",
            {"call_id": "c-1", "agent_id": "ivan", "mode": SupervisionMode.SUPERVISION_MODE_WHISPER},
        ),
        ("DELETE", "calls/c-1/supervision/ivan", None, "stop_supervision", {"call_id": "c-1", "agent_id": "ivan"}),
        ("POST", "calls/c-1/supervision/ivan/take-over", None, "take_over_call", {"agent_id": "ivan"}),
        ("POST", "agents/olena/dial", {"number": "+4420710"}, "dial_number", {"number": "+4420710", "line": ""}),
        (
            "POST",
            "agents/olena/dial",
            {"number": "+4420710", "language": "en"},
            "dial_number",
            {"number": "+4420710", "language": "en"},
        ),
        (
            "PUT",
            "calls/c-1/disposition",
            {"disposition": "sold", "notes": "two\nlines"},
            "set_disposition",
            {"call_id": "c-1", "disposition": "sold", "notes": "two\nlines"},
        ),
    ],
)
def test_each_route_asks_the_router_for_its_thing(
    open_office: Office, method: str, path: str, body: Any, field: str, expected: dict[str, Any]
) -> None:
    open_office.answer_all()
    answer = open_office.ask(method, f"/v1/tenants/acme/{path}", "acme-supervisor", body)
    assert (answer.status_code, answer.get_json()["accepted"]) == (200, True)
    request = open_office.requests()[-1]
    assert request.request_id == answer.get_json()["request_id"]
    assert (request.actor, request.role, request.WhichOneof("request")) == ("sofia", "supervisor", field)
    asked = getattr(request, field)
    assert {name: getattr(asked, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("kind", "status"), [("agent-not-found", 404), ("not-ringing", 409), ("wrong-state", 409), ("", 409)]
)
def test_a_refusal_of_the_router_is_told_as_a_problem(open_office: Office, kind: str, status: int) -> None:
    open_office.answer_all(accepted=False, problem=kind)
    answer = open_office.ask("POST", "/v1/tenants/acme/calls/c-1/hangup", "acme-supervisor")
    assert (answer.status_code, answer.get_json()["type"]) == (status, f"urn:ringmaster:problem:{kind or 'refused'}")
    assert answer.get_json()["detail"] == "Because."
    assert answer.get_json()["request_id"] == open_office.requests()[-1].request_id


def test_without_a_reply_in_time_the_request_is_accepted_for_later(open_office: Office) -> None:
    answer = open_office.ask("POST", "/v1/tenants/acme/calls/c-1/hangup", "acme-supervisor")
    assert (answer.status_code, answer.get_json()["accepted"]) == (202, None)
    assert answer.get_json()["request_id"] == open_office.requests()[-1].request_id


def test_a_reply_of_another_tenant_or_a_broken_one_answers_nobody(open_office: Office) -> None:
    sender = open_office.bus.producer()
    sender.send(REPLIES, "acme", b"\xff\xff", timestamp_ms=0)
    open_office.answer_all()
    answer = open_office.ask("POST", "/v1/tenants/acme/calls/c-1/hangup", "acme-supervisor")
    assert answer.status_code == 200


def test_the_same_idempotency_key_is_the_same_request_and_never_that_of_another_token(open_office: Office) -> None:
    open_office.answer_all()
    path = "/v1/tenants/acme/calls/c-1/hangup"
    ids = [
        open_office.ask("POST", path, token, None, Idempotency_Key=key).get_json()["request_id"]
        for token, key in (("acme-supervisor", "k"), ("acme-supervisor", "k"), ("acme-supervisor", "l"), ("root", "k"))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert open_office.ask("POST", path, "root", None, Idempotency_Key="k" * 256).status_code == 400


def test_a_key_that_is_used_for_another_request_is_another_request(open_office: Office) -> None:
    """Of another call, another body, another company by a token of all: none may be taken for done."""
    digits = "/v1/tenants/acme/calls/c-1/digits"
    asked = [
        ("/v1/tenants/acme/calls/c-1/hold", None),
        ("/v1/tenants/acme/calls/c-2/hold", None),
        ("/v1/tenants/borealis/calls/c-1/hold", None),
        (digits, {"digits": "1"}),
        (digits, {"digits": "2"}),
    ]
    ids = [
        open_office.ask("POST", path, "root", body, Idempotency_Key="k").get_json()["request_id"]
        for path, body in asked
    ]
    assert len(set(ids)) == len(asked)
    assert (
        open_office.ask("POST", digits, "root", {"digits": "2"}, Idempotency_Key="k").get_json()["request_id"]
        == ids[-1]
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "agents/olena/status", "{", 400),
        ("PUT", "agents/olena/status", "[]", 422),
        ("PUT", "agents/olena/status", {"status": "READY"}, 422),
        ("PUT", "agents/olena/status", {"status": "ready", "reason": "a\nb"}, 422),
        ("PUT", "agents/olena/status", {"status": "ready", "force": True}, 422),
        ("POST", "agents/olena/wrap-up/extend", {"seconds": 1e9}, 422),
        ("POST", "agents/olena/wrap-up/extend", {"seconds": True}, 422),
        ("POST", "calls/c-1/explode", None, 404),
        ("POST", "calls/c%0a1/hangup", None, 404),
        ("POST", "calls/c-1/transfer", {}, 422),
        ("POST", "calls/c-1/transfer", {"agent_id": "taras", "queue_id": "sales"}, 422),
        ("POST", "calls/c-1/transfer", {"number": "+44 20"}, 422),
        ("POST", "calls/c-1/consult", {"queue_id": "sales", "agent_id": "taras"}, 422),
        ("POST", "calls/c-1/digits", {"digits": "12p"}, 422),
        ("PUT", "calls/c-1/supervision/ivan", {"mode": "spy"}, 422),
        ("PUT", "calls/c-1/supervision/i%0avan", {"mode": "listen"}, 404),
        ("POST", "agents/olena/dial", {"number": "100"}, 422),
        ("PUT", "agents/%00/status", {"status": "ready"}, 404),
        ("POST", "rollback", None, 400),
        ("POST", "rollback?version=-1", None, 400),
        ("POST", "rollback?version=99", None, 404),
    ],
)
def test_a_bad_request_is_a_problem_and_reaches_nobody(
    open_office: Office, method: str, path: str, body: Any, status: int
) -> None:
    answer = open_office.ask(method, f"/v1/tenants/acme/{path}", "root", body)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert open_office.requests() == []


def test_a_document_for_another_address_is_refused(open_office: Office) -> None:
    answer = open_office.ask("PUT", "/v1/tenants/acme", "root", demo_text("borealis"))
    assert (answer.status_code, answer.get_json()["faults"][0]["path"]) == (422, "tenant_id")
    answer = open_office.ask("PUT", "/v1/tenants/acme", "root", b"[" * 1000)
    assert (answer.status_code, "nested" in answer.get_json()["faults"][0]["message"]) == (422, True)


def happened(office: Office, call_id: str = "", **body: Any) -> None:
    event = Event(event_id=json.dumps(sorted(body)) + call_id, tenant_id="acme", call_id=call_id, **body)
    event.time.FromMilliseconds(1_700_000_000_000)
    publish_event(office.bus.producer(), event)


def test_the_live_view_shows_agents_and_calls_and_whose_a_call_is(open_office: Office) -> None:
    party = Party(number="+380501112233", name='"><script>')
    happened(open_office, "c-1", call_started=CallStarted(line="+380441000001", caller=party))
    happened(open_office, "c-1", queue_joined=QueueJoined(queue_id="sales"))
    happened(
        open_office, agent_status_changed=AgentStatusChanged(agent_id="olena", status=AgentStatus.AGENT_STATUS_READY)
    )
    happened(open_office, "c-1", offer_created=OfferCreated(agent_id="olena", offer_id="o-1"))
    live = open_office.console.live
    open_office.wait_for(lambda: "olena" in live.agents("acme") and live.agents("acme")["olena"].offer_id, "an offer")
    assert live.calls("acme") == {
        "c-1": SeenCall("+380441000001", "+380501112233", 1_700_000_000_000, "sales", "", "waiting", '"><script>')
    }
    hang_up = ("POST", "/v1/tenants/acme/calls/c-1/hangup", "acme-olena")
    assert open_office.ask(*hang_up).status_code == 403
    happened(open_office, "c-1", offer_accepted=OfferAccepted(agent_id="olena", offer_id="o-1"))
    happened(open_office, "c-1", call_answered=CallAnswered(agent_id="olena", queue_id="sales"))
    talking = AgentStateChanged(agent_id="olena", state=AgentState.AGENT_STATE_TALKING, queue_id="sales")
    happened(open_office, agent_state_changed=talking)
    happened(open_office, "c-1", call_held=CallHeld(agent_id="olena"))
    open_office.wait_for(lambda: live.calls("acme")["c-1"].state == "held", "hold")
    agents = {
        agent["agent_id"]: agent
        for agent in open_office.ask("GET", "/v1/tenants/acme/agents", "root").get_json()["agents"]
    }
    assert (agents["olena"]["status"], agents["olena"]["state"], agents["olena"]["call_id"]) == (
        "ready",
        "talking",
        "c-1",
    )
    assert (agents["olena"]["offer_id"], agents["taras"]["state"]) == ("", "offline")
    assert open_office.ask(*hang_up).status_code == 202
    happened(open_office, "c-1", call_transferred=CallTransferred(from_agent_id="olena", to_agent_id="taras"))
    open_office.wait_for(lambda: live.agent_of("acme", "c-1") == "taras", "the transfer")
    assert open_office.ask(*hang_up).status_code == 403
    happened(open_office, "c-1", call_transferred=CallTransferred(from_agent_id="taras", to_agent_id="olena"))
    happened(open_office, "c-1", call_ended=CallEnded())
    open_office.wait_for(lambda: not live.calls("acme"), "the end")
    # For the disposition after the call.
    assert live.agent_of("acme", "c-1") == "olena"
    assert open_office.ask("GET", "/v1/tenants/borealis/agents", "borealis-admin").get_json()["agents"] == []


def test_the_live_view_is_rebuilt_from_the_topic_and_broken_records_stop_nothing(
    office: Office, acme: dict[str, Any]
) -> None:
    office.console.tenancy.apply(acme, "test")
    sender = office.bus.producer()
    sender.send(CALLS, "acme", b"\xff\xff\xff", timestamp_ms=0, headers={"ce_type": "call.started"})
    sender.send(TENANTS, "acme", b"\xff\xff\xff", timestamp_ms=0)
    happened(office, "c-9", call_started=CallStarted(line="+380441000001"))
    office.start()
    assert list(office.console.live.calls("acme")) == ["c-9"]
    assert office.console.directory.line("+380441000001") is not None
