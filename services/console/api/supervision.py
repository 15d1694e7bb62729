"""What supervisors do to calls: listen, whisper, speak with both, take over, move a waiting one (SPEC 3.8)."""

from typing import Final

from flask import Blueprint, Response

from services.console.api.access import Gate, read_body, refuse
from services.console.api.calls import CALL_ID
from services.console.api.controls import ID_PATTERN
from services.console.api.describing import asks_router
from services.console.api.models import NOTHING
from services.console.api.requests import ask_router
from services.console.desk import Desk
from services.shared.access import Action, Principal
from services.shared.chassis.description import Model
from services.shared.contracts.ringmaster.v1.request_pb2 import (
    MoveWaitingCall,
    Request,
    StopSupervision,
    SuperviseCall,
    SupervisionMode,
    TakeOverCall,
)
from services.shared.json_schema import mapping

_MODES: Final = {
    name.removeprefix("SUPERVISION_MODE_").lower(): number for name, number in SupervisionMode.items() if number
}
_MODE: Final = Model("SupervisionMode", mapping(["mode"], mode={"enum": list(_MODES)}))
_QUEUE: Final = Model("QueueChoice", mapping(["queue_id"], queue_id={"type": "string", "pattern": ID_PATTERN}))


def supervision_routes(gate: Gate, desk: Desk) -> Blueprint:
    """Return what supervisors may do to any call of their tenant; the phone that listens is an agent's of it."""
    routes = Blueprint("supervision", __name__)

    def supervising(tenant_id: str, *ids: str) -> Principal:
        principal = gate.require(Action.SUPERVISE_CALL, tenant_id)
        if not all(CALL_ID.fullmatch(each) for each in ids):
            raise refuse(404, "call-not-found", "There is no such call, or agent.")
        return principal

    @routes.put("/v1/tenants/<tenant_id>/calls/<call_id>/supervision/<agent_id>")
    @asks_router("Listen, whisper or speak with both, from an agent's phone.", Action.SUPERVISE_CALL, _MODE)
    def supervise(tenant_id: str, call_id: str, agent_id: str) -> Response:
        principal = supervising(tenant_id, call_id, agent_id)
        mode = SupervisionMode.ValueType(_MODES[read_body(_MODE)["mode"]])
        wish = SuperviseCall(call_id=call_id, agent_id=agent_id, mode=mode)
        return ask_router(desk, tenant_id, principal, Request(supervise_call=wish))

    @routes.delete("/v1/tenants/<tenant_id>/calls/<call_id>/supervision/<agent_id>")
    @asks_router("Stop listening.", Action.SUPERVISE_CALL)
    def stop(tenant_id: str, call_id: str, agent_id: str) -> Response:
        principal = supervising(tenant_id, call_id, agent_id)
        wish = StopSupervision(call_id=call_id, agent_id=agent_id)
        return ask_router(desk, tenant_id, principal, Request(stop_supervision=wish))

    @routes.post("/v1/tenants/<tenant_id>/calls/<call_id>/supervision/<agent_id>/take-over")
    @asks_router("Take the call over from its agent.", Action.SUPERVISE_CALL, NOTHING)
    def take_over(tenant_id: str, call_id: str, agent_id: str) -> Response:
        principal = supervising(tenant_id, call_id, agent_id)
        read_body(NOTHING)
        wish = TakeOverCall(call_id=call_id, agent_id=agent_id)
        return ask_router(desk, tenant_id, principal, Request(take_over_call=wish))

    @routes.put("/v1/tenants/<tenant_id>/calls/<call_id>/queue")
    @asks_router("Let a waiting caller wait in another queue.", Action.SUPERVISE_CALL, _QUEUE)
    def move(tenant_id: str, call_id: str) -> Response:
        principal = supervising(tenant_id, call_id)
        wish = MoveWaitingCall(call_id=call_id, queue_id=read_body(_QUEUE)["queue_id"])
        return ask_router(desk, tenant_id, principal, Request(move_waiting_call=wish))

    return routes
