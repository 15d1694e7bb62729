"""Who may ask for what was said."""

from dataclasses import dataclass
from typing import Final

from flask import Response, request

from services.shared.access import EVERY_TENANT, Action, Holders, Principal
from services.shared.chassis.problems import problem
from services.shared.chassis.tokens import bearer_token

COOKIE: Final = "ringmaster_recordings"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and for which company."""

    principal: Principal
    tenant_id: str


def holder_of(tokens: Holders) -> Principal | None:
    """Return who asks, by bearer token or by the page's cookie; a header counts before a cookie."""
    header = request.headers.get("Authorization")
    return tokens.holder(bearer_token(header) if header is not None else request.cookies.get(COOKIE, ""))


def admit(tokens: Holders, action: Action) -> Asker | Response:
    """Return who asks, or the refusal. The platform's own people name a company."""
    holder = holder_of(tokens)
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


def admitted(tokens: Holders) -> str | Response:
    """Return the company whose talks are asked for, or the refusal."""
    asker = admit(tokens, Action.LISTEN)
    return asker if isinstance(asker, Response) else asker.tenant_id
