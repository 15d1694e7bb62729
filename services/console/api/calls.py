import re
from dataclasses import asdict
from functools import partial
from typing import Final

from flask import Blueprint, Response

from services.console.api.access import Gate, json_answer, read_body, refuse
from services.console.api.agents import may_control
from services.console.api.controls import CONTROLS
from services.console.api.describing import PAGED, asks_router, described
from services.console.api.models import page, record
from services.console.api.paging import page_of
from services.console.api.requests import ask_router
from services.console.desk import Desk
from services.console.domain.live import Live, SeenCall
from services.shared.access import Action, Principal
from services.shared.chassis.description import Model
from services.shared.contracts.ringmaster.v1.request_pb2 import Request, SetDisposition
from services.shared.json_schema import mapping

CALL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_CALLS: Final = page("Calls", "calls", record("Call", SeenCall, call_id={"type": "string"}))
_DISPOSITION: Final = Model(
    "Disposition",
    mapping(
        ["disposition"],
        disposition={"type": "string", "minLength": 1, "maxLength": 64},
        notes={"type": "string", "maxLength": 4000},
    ),
)


def call_routes(gate: Gate, desk: Desk, live: Live) -> Blueprint:
    """Return what may be done to a call, and the calls in progress."""
    routes = Blueprint("calls", __name__)

    def controlling(tenant_id: str, call_id: str) -> Principal:
        principal = gate.require(Action.CONTROL_CALL, tenant_id)
        if not CALL_ID.fullmatch(call_id):
            raise refuse(404, "call-not-found", "There is no such call.")
        if not may_control(principal, live, tenant_id, call_id):
            raise refuse(403, "forbidden", "An agent may control his own call only.")
        return principal

    @routes.get("/v1/tenants/<tenant_id>/calls")
    @described("Calls in progress, the oldest first.", Action.READ_LIVE, _CALLS, query=PAGED)
    def calls(tenant_id: str) -> Response:
        gate.require(Action.READ_LIVE, tenant_id)
        found = [{"call_id": call_id, **asdict(call)} for call_id, call in live.calls(tenant_id).items()]
        return json_answer(page_of("calls", found, lambda one: (one["started_ms"], one["call_id"]), dict))

    def control_call(name: str, tenant_id: str, call_id: str) -> Response:
        principal, control = controlling(tenant_id, call_id), CONTROLS[name]
        return ask_router(desk, tenant_id, principal, control.wish(call_id, read_body(control.body)))

    for name, control in CONTROLS.items():
        describe = asks_router(control.summary, Action.CONTROL_CALL, control.body)
        routes.add_url_rule(
            f"/v1/tenants/<tenant_id>/calls/<call_id>/{name}",
            endpoint=name.replace("/", "_"),
            view_func=describe(partial(control_call, name)),
            methods=["POST"],
        )

    @routes.put("/v1/tenants/<tenant_id>/calls/<call_id>/disposition")
    @asks_router("Say how a call came out.", Action.CONTROL_CALL, _DISPOSITION)
    def disposition(tenant_id: str, call_id: str) -> Response:
        principal = controlling(tenant_id, call_id)
        body = read_body(_DISPOSITION)
        wish = SetDisposition(call_id=call_id, disposition=body["disposition"], notes=body.get("notes", ""))
        return ask_router(desk, tenant_id, principal, Request(set_disposition=wish))

    return routes
