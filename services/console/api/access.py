import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from flask import Response, request

from services.console import metrics
from services.console.domain.fault import Fault
from services.console.domain.shape import faults_of_shape
from services.shared.access import Action, Holders, Principal
from services.shared.chassis.admission import Admission, Refusal
from services.shared.chassis.description import Model
from services.shared.chassis.problems import problem

COOKIE: Final = "ringmaster_desk"
"""Of an agent's page; who sends a header is who the header says."""
_TENANT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def refuse(status: int, kind: str, detail: str, **extra: object) -> Refusal:
    """Return the refusal to raise."""
    return Refusal(problem(status, kind, detail, **extra))


class Gate:
    """Knows who asks and whether he may; each route asks it first (SPEC 5.3)."""

    def __init__(self, tokens: Holders) -> None:
        self.admission = Admission(tokens, COOKIE, lambda why: metrics.DENIED.labels(why).inc())

    def principal(self) -> Principal:
        """Return who asks. Raises Refusal (401)."""
        return self.admission.principal()

    def require(self, action: Action, tenant_id: str) -> Principal:
        """Return who asks if he may do it to this tenant. Raises Refusal (401, 403)."""
        principal = self.principal()
        if not _TENANT_ID.fullmatch(tenant_id) or not principal.may(action, tenant_id):
            metrics.DENIED.labels("role").inc()
            # The same words for a tenant that is not there: nobody learns who else is a customer here.
            raise refuse(403, "forbidden", f"This token may not {action.value}.")
        return principal


def read_body(model: Model) -> dict[str, Any]:
    """Return the JSON body of a request, an empty one as {}. Raises Refusal (400, 422 with every fault)."""
    raw = request.get_data()
    try:
        body = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise refuse(400, "not-json", "The body is not JSON.") from error
    faults = faults_of_shape(body, model.validator)
    if faults:
        raise refuse(422, "bad-request", "The body can't be accepted.", faults=listed(faults))
    found: dict[str, Any] = body
    return found


def listed(faults: list[Fault]) -> list[Mapping[str, str]]:
    """Return faults for an answer."""
    return [{"path": fault.path, "message": fault.message} for fault in faults]


def json_answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON that no cache keeps."""
    answer = Response(orjson.dumps(body), status=status, mimetype="application/json", headers=dict(headers or {}))
    answer.headers["Cache-Control"] = "no-store"
    return answer


View = Callable[..., Response]
