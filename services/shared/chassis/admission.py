from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response, request

from services.shared.access import EVERY_TENANT, Action, Holders, Principal
from services.shared.chassis.problems import problem
from services.shared.chassis.tokens import bearer_token


class Refusal(Exception):
    """A request ends here with this answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Admission:
    """Knows who asks, by bearer token or by the cookie of a page, and what he may see and do (SPEC 5.3)."""

    tokens: Holders
    cookie: str
    denied: Callable[[str], None]
    """Counts a refusal: by token, or by role."""

    def holder(self) -> Principal | None:
        """Return who asks, None for nobody. A header counts before a cookie."""
        header = request.headers.get("Authorization")
        return self.tokens.holder(bearer_token(header) if header is not None else request.cookies.get(self.cookie, ""))

    def principal(self) -> Principal:
        """Return who asks. Raises Refusal (401)."""
        holder = self.holder()
        if holder is None:
            self.denied("token")
            answer = problem(401, "unauthorized", "Send a known token as Authorization: Bearer …")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="ringmaster"'
            raise Refusal(answer)
        return holder

    def tenant(self, action: Action) -> str:
        """Return the one tenant that is asked about; a token of all names it. Raises Refusal (400, 401, 403)."""
        tenant_id = self.tenant_or_all(action)
        if tenant_id is None:
            raise Refusal(problem(400, "bad-request", "The parameter tenant is needed with this token."))
        return tenant_id

    def tenant_or_all(self, action: Action) -> str | None:
        """Return the tenant that is asked about, None for all of them. Raises Refusal (401, 403)."""
        holder = self.principal()
        asked = request.args.get("tenant", "")
        tenant_id = asked or holder.tenant
        if not holder.may(action, tenant_id):
            self.denied("role")
            # The same words for a tenant that is not there: nobody learns who else is a customer here.
            raise Refusal(problem(403, "forbidden", f"This token may not {action.value}."))
        return None if tenant_id == EVERY_TENANT else tenant_id


def answer_refusals(app: Flask) -> None:
    """Let a view raise Refusal."""

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return refusal.answer
