import re
from datetime import UTC, datetime
from typing import Any, Final

from flask import Blueprint, Response, request

from services.console.api.access import Gate, json_answer, read_body, refuse
from services.console.api.describing import asks_router, described
from services.console.api.models import LISTED
from services.console.api.requests import ask_router, request_id_of
from services.console.desk import Desk
from services.console.domain.directory import Directory
from services.console.erasures import Erasures
from services.console.store import StoreUnavailable
from services.shared.access import EVERY_TENANT, Action
from services.shared.chassis.description import OF_TENANT, Model
from services.shared.contracts.ringmaster.v1.request_pb2 import ErasePerson, Request
from services.shared.json_schema import Schema, mapping
from services.shared.person import NO_SECRET
from services.shared.phone_number import written_forms

ID_PREFIX: Final = "er-"
"""An erasure has its request's id with this before it."""
_ERASURE_ID: Final = re.compile(r"er-[A-Za-z0-9_.:-]{1,128}")
_WISH: Final = Model(
    "ErasureWish",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["number"],
        "properties": {"number": {"type": "string", "minLength": 1, "maxLength": 40}},
    },
)
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer"}
_MOMENT: Final[Schema] = {"type": ["string", "null"], "description": "ISO 8601, UTC; null: not yet."}
_HELD: Final = mapping(["kind", "count", "reason"], kind=_TEXT, count=_COUNT, reason=_TEXT)
_SERVICE: Final = mapping(
    ["service", "state", "at", "removed", "held_back", "fault"],
    service=_TEXT,
    state={"enum": ["waiting", "done", "failed"]},
    at=_MOMENT,
    removed={"type": "object", "additionalProperties": _COUNT},
    held_back={"type": "array", "items": _HELD},
    fault=_TEXT,
)
_LOG: Final = mapping(["topic", "gone_by"], topic=_TEXT, gone_by=_MOMENT)
_REPORT: Final = Model(
    "Erasure",
    mapping(
        ["erasure_id", "state", "person", "actor", "asked_at", "missing", "services", "log"],
        erasure_id=_TEXT,
        state={"enum": ["open", "done"], "description": "done: every service has done its part."},
        person={"type": "string", "description": "HMAC-SHA256 of the number: the same person has the same."},
        actor=_TEXT,
        asked_at=_MOMENT,
        missing={"type": "array", "items": _TEXT, "description": "Services that have not done their part."},
        services={"type": "array", "items": _SERVICE},
        log={
            "type": "array",
            "items": _LOG,
            "description": "By when each of the broker's topics has lost the last record that names the person.",
        },
    ),
)
_REPORTS: Final = Model("Erasures", mapping(["erasures"], erasures={"type": "array", "items": _REPORT.ref}), (_REPORT,))


def erasure_routes(gate: Gate, desk: Desk, directory: Directory, erasures: Erasures) -> Blueprint:
    """Return what erases a person by number and proves it (SPEC 10.5)."""
    routes = Blueprint("erasures", __name__)

    @routes.post("/v1/erasures")
    @asks_router(
        "Erase a person by number, however it is written. 409 while the person is on the line: ask again, with another "
        "Idempotency-Key.",
        Action.ERASE_PERSON,
        _WISH,
        query=OF_TENANT,
    )
    def erase() -> Response:
        tenant_id = _tenant_id(gate)
        principal = gate.require(Action.ERASE_PERSON, tenant_id)
        document = directory.document(tenant_id)
        lines = [line.number for line in document.lines] if document else []
        numbers = written_forms(read_body(_WISH)["number"], lines)
        if not erasures.seal:
            raise refuse(503, "erasure-not-set-up", f"Nobody can be erased: {NO_SECRET}.")
        if not numbers:
            sentence = "This is not a telephone number; write it as E.164, with + and the country's code."
            raise refuse(422, "not-a-number", sentence)
        request_id = request_id_of(principal)
        erasure_id = ID_PREFIX + request_id
        wish = ErasePerson(
            erasure_id=erasure_id,
            numbers=numbers,
            person=erasures.seal.person(tenant_id, numbers[0]),
            sealed_numbers=erasures.seal.seal(tenant_id, erasure_id, numbers),
        )
        asked = Request(request_id=request_id, erase_person=wish)
        return ask_router(desk, tenant_id, principal, asked, lambda _: {"erasure_id": erasure_id})

    @routes.get("/v1/erasures")
    @described("The last erasures, the newest first.", Action.ERASE_PERSON, _REPORTS, query=OF_TENANT, fails=_STORE)
    def newest() -> Response:
        tenant_id = _tenant_id(gate)
        gate.require(Action.ERASE_PERSON, tenant_id)
        return json_answer({"erasures": [_shown(one) for one in erasures.reports(tenant_id, LISTED)]})

    @routes.get("/v1/erasures/<erasure_id>")
    @described("What every service has removed, and who has yet to say so.", Action.ERASE_PERSON, _REPORT, **_ONE)
    def erasure(erasure_id: str) -> Response:
        tenant_id = _tenant_id(gate)
        gate.require(Action.ERASE_PERSON, tenant_id)
        found = erasures.report(tenant_id, erasure_id) if _ERASURE_ID.fullmatch(erasure_id) else None
        if found is None:
            raise refuse(404, "erasure-not-found", "There is no such erasure, or its request is not read yet.")
        return json_answer(_shown(found))

    @routes.errorhandler(StoreUnavailable)
    def store_unavailable(_error: StoreUnavailable) -> Response:
        return refuse(503, "store-unavailable", "The document store does not answer.").answer

    return routes


_STORE: Final = frozenset({503})
_ONE: Final[dict[str, Any]] = {"query": OF_TENANT, "fails": frozenset({404, 503})}


def _tenant_id(gate: Gate) -> str:
    """Return the company that is asked for, or else the token's; whose it is says the gate. Raises Refusal."""
    tenant_id = gate.principal().tenant
    asked = request.args.get("tenant", "")
    if tenant_id == EVERY_TENANT and not asked:
        raise refuse(400, "which-tenant", "This token is of every company; say which by ?tenant=.")
    return asked or tenant_id


def _shown(report: dict[str, Any]) -> dict[str, Any]:
    services = [{**one, "at": _moment(one["at_ms"])} for one in report["services"]]
    for one in services:
        del one["at_ms"]
    names = ("erasure_id", "state", "person", "actor", "missing")
    log = [{"topic": one["topic"], "gone_by": _moment(one["gone_by_ms"])} for one in report["log"]]
    known = {name: report[name] for name in names}
    return {**known, "asked_at": _moment(report["asked_ms"]), "services": services, "log": log}


def _moment(at_ms: int) -> str | None:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds") if at_ms else None
