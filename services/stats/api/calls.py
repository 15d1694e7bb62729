import re
from typing import Any

import orjson
from flask import Blueprint, Response, request

from services.shared.access import Action
from services.shared.chassis.problems import problem
from services.stats.api.admission import Admission
from services.stats.domain.trace import told
from services.stats.store import Store, StoreUnavailable

MOST_CALLS = 500
_SHOWN = ("line", "started_ms", "ended_ms", "exit")


def call_routes(admission: Admission, store: Store) -> Blueprint:
    """Make the routes of the call log; a token sees its own tenant, a token of all every one or the one it names."""
    api = Blueprint("calls", __name__, url_prefix="/v1")

    @api.get("/summary")
    def summary() -> Response:
        return json_answer(store.summary(admission.tenant_or_all(Action.READ_CALLS)))

    @api.get("/calls")
    def calls() -> Response:
        tenant_id = admission.tenant_or_all(Action.READ_CALLS)
        limit = request.args.get("limit", "50")
        if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= MOST_CALLS:
            return problem(400, "bad-limit", f"limit is a number from 1 to {MOST_CALLS}")
        return json_answer({"calls": store.newest(tenant_id, int(limit))})

    @api.get("/calls/<call_id>/why")
    def why(call_id: str) -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        call = store.call(tenant_id, call_id)
        if call is None:
            return problem(
                404, "call-not-found", "The call log has no such call; its newest events may be on their way."
            )
        answer: dict[str, Any] = {name: call[name] for name in _SHOWN if name in call}
        return json_answer({"call_id": call_id, **answer, "why": told(call)})

    @api.errorhandler(StoreUnavailable)
    def unavailable(error: StoreUnavailable) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def json_answer(body: object) -> Response:
    """Answer with JSON that no cache keeps."""
    return Response(orjson.dumps(body), mimetype="application/json", headers={"Cache-Control": "no-store"})
