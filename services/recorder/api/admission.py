"""Who may ask for what was said."""

from dataclasses import dataclass
from typing import Final

from flask import Response, request

from services.shared.access import EVERY_TENANT, Action, Holders, Principal
from services.shared.chassis.admission import Admission
from services.shared.chassis.problems import problem

COOKIE: Final = "ringmaster_recordings"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and for which company."""

    principal: Principal
    tenant_id: str


def admission(tokens: Holders) -> Admission:
    """Return what knows who asks, by bearer token or by the page's cookie."""
    return Admission(tokens, COOKIE, lambda _why: None)


def admit(tokens: Holders, action: Action) -> Asker | Response:
    """Return who asks, or the refusal. The platform's own people name a company."""
    holder = admission(tokens).holder()
    if holder is None:
        refusal = problem(401, "unauthorized", "A valid bearer token is needed.")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    tenant_id = holder.tenant if holder.tenant != EVERY_TENANT else request.args.get("tenant", "")
    if not tenant_id:
        return problem(400, "bad-request", "The parameter tenant is needed with this token.")
    if not holder.may(action, tenant_id):
        return problem(403, "forbidden", f"This role may not {action.value}.")
    return Asker(holder, tenant_id)
