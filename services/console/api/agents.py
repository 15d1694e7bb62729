import re
from dataclasses import asdict
from typing import Any, Final

from flask import Blueprint, Response

from services.console.api.access import Gate, json_answer, read_body, refuse
from services.console.api.describing import PAGED, asks_router, described
from services.console.api.models import NOTHING, page, record
from services.console.api.paging import page_of
from services.console.api.requests import ask_router
from services.console.desk import Desk
from services.console.domain.directory import Directory
from services.console.domain.live import Live, SeenAgent
from services.console.domain.schema_parts import LANGUAGE
from services.shared.access import Action, Principal, Role
from services.shared.chassis.description import Model
from services.shared.contracts.ringmaster.v1.request_pb2 import (
    AgentStatus,
    DialNumber,
    EndWrapUp,
    ExtendWrapUp,
    RejectOffer,
    Request,
    SetAgentStatus,
)
from services.shared.json_schema import Schema, count, mapping

_STATUSES: Final = {
    name.removeprefix("AGENT_STATUS_").lower(): number for name, number in AgentStatus.items() if number
}
_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "string", "pattern": r"^\+[1-9][0-9]{3,14}$"}
_STATUS: Final = Model(
    "AgentStatus",
    mapping(
        ["status"],
        status={"enum": list(_STATUSES)},
        reason={"type": "string", "maxLength": 64, "pattern": r"^[^\u0000-\u001f\u007f]*$"},
    ),
)
_EXTENSION: Final = Model("WrapUpExtension", mapping(["seconds"], seconds=count(1, 3600)))
_DIAL: Final = Model("Dialling", mapping(["number"], number=_NUMBER, line=_NUMBER, language=LANGUAGE))
_AGENTS: Final = page("Agents", "agents", record("Agent", SeenAgent, agent_id=_TEXT, name=_TEXT))
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


def agent_routes(gate: Gate, desk: Desk, live: Live, directory: Directory) -> Blueprint:
    """Return what agents, and supervisors for them, may do; and the picture of all agents."""
    routes = Blueprint("agents", __name__)

    @routes.get("/v1/tenants/<tenant_id>/agents")
    @described(
        "Agents of the newest document, with what the events tell of each.", Action.READ_LIVE, _AGENTS, query=PAGED
    )
    def agents(tenant_id: str) -> Response:
        gate.require(Action.READ_LIVE, tenant_id)
        return json_answer(page_of("agents", _shown(tenant_id, live, directory), lambda one: (one["agent_id"],), dict))

    @routes.put("/v1/tenants/<tenant_id>/agents/<agent_id>/status")
    @asks_router("Be ready, away, or offline.", Action.ACT_FOR_AGENT, _STATUS)
    def status(tenant_id: str, agent_id: str) -> Response:
        principal = acting_for(gate, tenant_id, agent_id)
        body = read_body(_STATUS)
        wish = SetAgentStatus(
            agent_id=agent_id, status=AgentStatus.ValueType(_STATUSES[body["status"]]), reason=body.get("reason", "")
        )
        return ask_router(desk, tenant_id, principal, Request(set_agent_status=wish))

    @routes.post("/v1/tenants/<tenant_id>/agents/<agent_id>/wrap-up/end")
    @asks_router("Be done with the work after a call.", Action.ACT_FOR_AGENT, NOTHING)
    def end_wrap_up(tenant_id: str, agent_id: str) -> Response:
        principal = acting_for(gate, tenant_id, agent_id)
        read_body(NOTHING)
        return ask_router(desk, tenant_id, principal, Request(end_wrap_up=EndWrapUp(agent_id=agent_id)))

    @routes.post("/v1/tenants/<tenant_id>/agents/<agent_id>/wrap-up/extend")
    @asks_router("Have more time for the work after a call.", Action.ACT_FOR_AGENT, _EXTENSION)
    def extend_wrap_up(tenant_id: str, agent_id: str) -> Response:
        principal = acting_for(gate, tenant_id, agent_id)
        wish = ExtendWrapUp(agent_id=agent_id, seconds=int(read_body(_EXTENSION)["seconds"]))
        return ask_router(desk, tenant_id, principal, Request(extend_wrap_up=wish))

    @routes.post("/v1/tenants/<tenant_id>/agents/<agent_id>/dial")
    @asks_router("Ring the agent's phone, then a number.", Action.ACT_FOR_AGENT, _DIAL)
    def dial(tenant_id: str, agent_id: str) -> Response:
        principal = acting_for(gate, tenant_id, agent_id)
        wish = DialNumber(agent_id=agent_id, **read_body(_DIAL))
        return ask_router(desk, tenant_id, principal, Request(dial_number=wish))

    @routes.post("/v1/tenants/<tenant_id>/agents/<agent_id>/offers/<offer_id>/reject")
    @asks_router("Refuse the call that rings.", Action.ACT_FOR_AGENT, NOTHING)
    def reject(tenant_id: str, agent_id: str, offer_id: str) -> Response:
        principal = acting_for(gate, tenant_id, agent_id)
        read_body(NOTHING)
        if not _ID.fullmatch(offer_id):
            raise refuse(404, "offer-not-found", "There is no such offer.")
        wish = RejectOffer(agent_id=agent_id, offer_id=offer_id)
        return ask_router(desk, tenant_id, principal, Request(reject_offer=wish))

    return routes


def acting_for(gate: Gate, tenant_id: str, agent_id: str) -> Principal:
    """Return who asks if he may act for this agent. Raises Refusal (401, 403, 404)."""
    principal = gate.require(Action.ACT_FOR_AGENT, tenant_id)
    if not principal.is_only(agent_id):
        raise refuse(403, "forbidden", "An agent may act for himself only.")
    if not _ID.fullmatch(agent_id):
        raise refuse(404, "agent-not-found", "The tenant has no such agent.")
    return principal


def _shown(tenant_id: str, live: Live, directory: Directory) -> list[dict[str, Any]]:
    """Return the agents of the newest document, each with what the events told of him."""
    document, seen = directory.document(tenant_id), live.agents(tenant_id)
    if document is None:
        return []
    return [
        {"agent_id": agent.agent_id, "name": agent.name, **asdict(seen.get(agent.agent_id, SeenAgent()))}
        for agent in document.agents
    ]


def may_control(principal: Principal, live: Live, tenant_id: str, call_id: str) -> bool:
    """Whether a call is his to control: an agent's own is the one that he has or had last."""
    return principal.role is not Role.AGENT or live.agent_of(tenant_id, call_id) == principal.actor
