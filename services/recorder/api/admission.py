"""Who may ask for what was said."""

from flask import Response, request

from services.shared.access import EVERY_TENANT, Action, Holders
from services.shared.chassis.problems import problem
from services.shared.chassis.tokens import bearer_token


def admitted(tokens: Holders) -> str | Response:
    """Return the tenant whose talks are asked for, or the refusal. The platform's own people name one."""
    holder = tokens.holder(bearer_token(request.headers.get("Authorization", "")))
    if holder is None:
        refusal = problem(401, "unauthorized", "A valid bearer token is needed.")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    tenant_id = holder.tenant if holder.tenant != EVERY_TENANT else request.args.get("tenant", "")
    if not tenant_id:
        return problem(400, "bad-request", "The parameter tenant is needed with this token.")
    if not holder.may(Action.LISTEN, tenant_id):
        return problem(403, "forbidden", "This role may not read what was said.")
    return tenant_id
