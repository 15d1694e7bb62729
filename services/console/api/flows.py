from typing import Any, Final

from flask import Blueprint, Response, request

from services.console.api.access import Gate, json_answer, refuse
from services.console.api.describing import PAGED, VERSION, described, document
from services.console.api.models import CHANGES, page
from services.console.api.paging import page_of
from services.console.api.tenants import (
    APPLIED,
    OF_CHANGE,
    OF_STORE,
    answer_document_errors,
    applied_answer,
    asked_version,
)
from services.console.domain.fault import Fault
from services.console.domain.flow_picture import mermaid, svg
from services.console.domain.flow_schema import FLOWS
from services.console.domain.validation import BadDocument
from services.console.domain.yaml_text import UnreadableText, read_text
from services.console.store import Version
from services.console.tenancy import NoSuchVersion, Tenancy
from services.shared.access import Action
from services.shared.chassis.description import Model
from services.shared.chassis.idempotency import key_id
from services.shared.json_schema import mapping

Document = dict[str, Any]
_FLOW: Final = Model("Flow", FLOWS["items"])
_FLOWS: Final = page(
    "Flows",
    "flows",
    mapping(
        ["flow_id", "start", "steps"],
        flow_id={"type": "string"},
        start={"type": "string"},
        steps={"type": "integer", "description": "How many."},
    ),
    version={"type": "integer"},
)
_FLOW_OF_VERSION: Final = Model(
    "FlowOfVersion", mapping(["version", "flow"], version={"type": "integer"}, flow=_FLOW.ref), (_FLOW,)
)
_READ: Final = Action.READ_DOCUMENT
_PREFIX = "/v1/tenants/<tenant_id>/flows"


def flow_routes(gate: Gate, tenancy: Tenancy) -> Blueprint:
    """Return the routes of single flows: each change is a version of the whole document, checked and applied whole."""
    routes = Blueprint("flows", __name__)
    answer_document_errors(routes)

    @routes.get(_PREFIX)
    @described("Flows of the newest version.", _READ, _FLOWS, query=PAGED, fails=OF_STORE)
    def flows(tenant_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        version = tenancy.version(tenant_id)
        found = [
            {"flow_id": flow["flow_id"], "start": flow["start"], "steps": len(flow["steps"])}
            for flow in version.document["flows"]
        ]
        shown = page_of("flows", found, lambda one: (one["flow_id"],), dict)
        return json_answer({"version": version.number, **shown})

    @routes.get(f"{_PREFIX}/<flow_id>")
    @described("One flow, of the newest or of one version.", _READ, _FLOW_OF_VERSION, query=VERSION, fails=OF_STORE)
    def flow(tenant_id: str, flow_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        version = _asked(tenancy, tenant_id)
        return json_answer({"version": version.number, "flow": _flow(version, flow_id)})

    @routes.get(f"{_PREFIX}/<flow_id>/picture.svg")
    @described("A flow as SVG.", _READ, "image/svg+xml", query=VERSION, fails=OF_STORE)
    def picture(tenant_id: str, flow_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        answer = Response(svg(_flow(_asked(tenancy, tenant_id), flow_id)), mimetype="image/svg+xml")
        # A picture opened by itself may run and load nothing, whatever stands in it.
        answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return answer

    @routes.get(f"{_PREFIX}/<flow_id>/picture.mmd")
    @described("A flow as a Mermaid flowchart.", _READ, "text/plain", query=VERSION, fails=OF_STORE)
    def diagram(tenant_id: str, flow_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        return Response(mermaid(_flow(_asked(tenancy, tenant_id), flow_id)), mimetype="text/plain")

    @routes.post(f"{_PREFIX}/<flow_id>/diff")
    @described("What a flow would change.", _READ, CHANGES, body=document(_FLOW), fails=OF_STORE)
    def diff(tenant_id: str, flow_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        found = tenancy.diff(_with_flow(tenancy.version(tenant_id).document, flow_id, _sent(flow_id)))
        changes = [{"path": one.path, "before": one.before, "after": one.after} for one in found]
        return json_answer({"changes": changes})

    @routes.put(f"{_PREFIX}/<flow_id>")
    @described(
        "Put a flow in force, as a new version of the whole document.",
        Action.CHANGE_DOCUMENT,
        APPLIED,
        body=document(_FLOW),
        may_be_late=True,
        fails=OF_CHANGE,
    )
    def publish(tenant_id: str, flow_id: str) -> Response:
        principal = gate.require(Action.CHANGE_DOCUMENT, tenant_id)
        flow = _sent(flow_id)
        return applied_answer(
            tenancy.change(tenant_id, lambda document: _with_flow(document, flow_id, flow), principal.actor)
        )

    @routes.post(f"{_PREFIX}/<flow_id>/rollback")
    @described(
        "Put a flow in force again as it was in an older version.",
        Action.CHANGE_DOCUMENT,
        APPLIED,
        query=VERSION,
        needed=frozenset(VERSION),
        has_key=True,
        may_be_late=True,
        fails=OF_CHANGE,
    )
    def rollback(tenant_id: str, flow_id: str) -> Response:
        principal = gate.require(Action.CHANGE_DOCUMENT, tenant_id)
        former = _flow(tenancy.version(tenant_id, asked_version()), flow_id)
        return applied_answer(
            tenancy.change(
                tenant_id, lambda document: _with_flow(document, flow_id, former), principal.actor, key_id(principal)
            )
        )

    return routes


def _asked(tenancy: Tenancy, tenant_id: str) -> Version:
    return tenancy.version(tenant_id, asked_version())


def _flow(version: Version, flow_id: str) -> Document:
    for flow in version.document["flows"]:
        if flow["flow_id"] == flow_id:
            found: Document = flow
            return found
    raise NoSuchVersion("This version of the tenant has no such flow.")


def _sent(flow_id: str) -> Document:
    try:
        flow = read_text(request.get_data())
    except UnreadableText as error:
        raise BadDocument([Fault("", str(error))]) from error
    if not isinstance(flow, dict):
        raise refuse(400, "not-a-flow", "The body must be one flow, a mapping with flow_id, start and steps.")
    if flow.setdefault("flow_id", flow_id) != flow_id:
        raise BadDocument([Fault("flow_id", f"must be {flow_id[:64]}, as in the address.")])
    return flow


def _with_flow(document: Document, flow_id: str, flow: Document) -> Document:
    """Return a document with a flow in the place of the one of its id, or added."""
    flows = [flow if one["flow_id"] == flow_id else one for one in document["flows"]]
    if flow not in flows:
        flows.append(flow)
    return {**document, "flows": flows}
