import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from flask import Blueprint, Response, request

from services.console import metrics
from services.console.api.access import Gate, json_answer, refuse
from services.console.api.describing import described
from services.console.domain.directory import Directory
from services.console.domain.phone_password import phone_password
from services.console.domain.registration import Untrue, contact_of, registration_of
from services.console.domain.switch_xml import PUBLIC_CONTEXT, line_xml, no_line_xml, not_found_xml, user_xml
from services.shared.access import Action
from services.shared.chassis.description import Model
from services.shared.json_schema import mapping

log = structlog.get_logger()
_TEXT: Final = {"type": "string"}
_PHONE: Final = Model("Phone", mapping(["user", "domain", "password"], user=_TEXT, domain=_TEXT, password=_TEXT))


@dataclass(frozen=True, slots=True)
class SwitchAccess:
    """How FreeSWITCH proves itself, and what phones' passwords are derived from."""

    user: str
    password: str
    phone_secret: str


def freeswitch_routes(
    gate: Gate, access: SwitchAccess, directory: Directory, is_current: Callable[[], bool]
) -> Blueprint:
    """Return what mod_xml_curl asks for, and the route by which an agent learns his phone's password."""
    routes = Blueprint("freeswitch", __name__)

    def prove_switch() -> None:
        given = request.authorization
        user, password = (given.username or "", given.password or "") if given and given.type == "basic" else ("", "")
        is_user = hmac.compare_digest(user.encode(), access.user.encode())
        is_password = hmac.compare_digest(password.encode(), access.password.encode())
        if not (is_user and is_password):
            metrics.DENIED.labels("switch").inc()
            refusal = refuse(401, "unauthorized", "FreeSWITCH's user and password are needed.")
            refusal.answer.headers["WWW-Authenticate"] = 'Basic realm="ringmaster"'
            raise refusal

    @routes.post("/freeswitch/directory")
    def phones() -> Response:
        prove_switch()
        outcome, answer = _entry(directory, request.form, access.phone_secret)
        metrics.DIRECTORY.labels("directory", outcome).inc()
        return _xml(answer)

    @routes.post("/freeswitch/dialplan")
    def lines() -> Response:
        prove_switch()
        context = request.form.get("Hunt-Context") or request.form.get("Caller-Context", "")
        if context != PUBLIC_CONTEXT or not is_current():
            # A console that has just started knows no lines yet: the switch's own files take the call.
            return _xml(not_found_xml())
        dialled = request.form.get("Hunt-Destination-Number") or request.form.get("Caller-Destination-Number", "")
        line = directory.line(dialled)
        metrics.DIRECTORY.labels("dialplan", "found" if line else "unknown").inc()
        return _xml(line_xml(line) if line else no_line_xml())

    @routes.get("/v1/tenants/<tenant_id>/agents/<agent_id>/phone")
    @described("The password of an agent's phone.", Action.READ_PHONE, _PHONE, fails=frozenset({404}))
    def own_phone(tenant_id: str, agent_id: str) -> Response:
        principal = gate.require(Action.READ_PHONE, tenant_id)
        if not principal.is_only(agent_id):
            raise refuse(403, "forbidden", "An agent may read his own phone's password only.")
        phone = directory.phone_of(tenant_id, agent_id)
        if phone is None:
            raise refuse(404, "agent-not-found", "The tenant has no such agent.")
        password = phone_password(access.phone_secret, phone.user, phone.domain)
        return json_answer({"user": phone.user, "domain": phone.domain, "password": password})

    return routes


def _entry(directory: Directory, form: Mapping[str, str], secret: str) -> tuple[str, bytes]:
    """Return what mod_xml_curl hears of a phone, and the outcome's name."""
    phone = directory.phone(form.get("user", ""), form.get("domain", ""))
    if phone is None:
        return "unknown", not_found_xml()
    registration = registration_of(form)
    try:
        contact = contact_of(phone, registration) if registration else ""
    except Untrue as error:
        log.warning("registration_refused", reason=str(error), tenant_id=phone.tenant_id)
        return "untrue", not_found_xml()
    return "found", user_xml(phone, phone_password(secret, phone.user, phone.domain), contact)


def _xml(body: bytes) -> Response:
    return Response(body, mimetype="text/xml", headers={"Cache-Control": "no-store"})
