"""/v1/recordings/erasures and /v1/recordings/reports: a person's erasure with its proof, and what retention deleted."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import uuid4

import orjson
from flask import Blueprint, Response, request

from services.recorder.api.admission import admit
from services.recorder.errors import RecorderError
from services.shared.access import Action, Holders
from services.shared.chassis.problems import problem

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{3,14}")
_MOST_BODY: Final = 1_024


class Keeping(Protocol):
    """What is asked for and looked up."""

    def ask_erasure(self, erasure_id: str, tenant_id: str, number: str, actor: str, at_us: int) -> None:
        """Keep that somebody asked for a person's erasure."""

    def erasure(self, tenant_id: str, erasure_id: str) -> dict[str, Any] | None:
        """Return how far an erasure is."""

    def reports(self, tenant_id: str) -> list[dict[str, Any]]:
        """Return what the last passes of retention did."""


def keeping_api(keeping: Keeping, tokens: Holders, now_us: Callable[[], int]) -> Blueprint:
    """Make the routes."""
    api = Blueprint("keeping", __name__, url_prefix="/v1/recordings")

    @api.post("/erasures")
    def erase() -> Response:
        asker = admit(tokens, Action.ERASE_PERSON)
        if isinstance(asker, Response):
            return asker
        number = _asked_number()
        if number is None:
            return problem(400, "bad-request", "Send {number}: E.164 with +.")
        erasure_id = uuid4().hex
        keeping.ask_erasure(erasure_id, asker.tenant_id, number, asker.principal.actor, now_us())
        return _json({"erasure_id": erasure_id, "state": "open"}, 202)

    @api.get("/erasures/<erasure_id>")
    def erasure(erasure_id: str) -> Response:
        asker = admit(tokens, Action.ERASE_PERSON)
        if isinstance(asker, Response):
            return asker
        row = keeping.erasure(asker.tenant_id, erasure_id)
        if row is None:
            return problem(404, "not-found", "There is no such erasure.")
        return _json({"erasure_id": erasure_id, "state": "done" if "ended_us" in row else "open", **_report(row)})

    @api.get("/reports")
    def reports() -> Response:
        asker = admit(tokens, Action.MANAGE_RECORDINGS)
        if isinstance(asker, Response):
            return asker
        return _json({"reports": [{"kind": row["kind"], **_report(row)} for row in keeping.reports(asker.tenant_id)]})

    @api.errorhandler(RecorderError)
    def unavailable(error: RecorderError) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def _asked_number() -> str | None:
    body = request.get_json(silent=True) if (request.content_length or 0) <= _MOST_BODY else None
    number = body.get("number") if isinstance(body, dict) else None
    return number if isinstance(number, str) and _NUMBER.fullmatch(number) else None


def _report(row: dict[str, Any]) -> dict[str, Any]:
    names = [f"{name}{end}" for name in ("deleted", "held", "failed") for end in ("_count", "")]
    found = {name: row[name] for name in ("actor", *names) if name in row}
    for name in ("asked", "started", "ended"):
        if f"{name}_us" in row:
            found[f"{name}_at"] = datetime.fromtimestamp(row[f"{name}_us"] / 1_000_000, UTC).isoformat()
    return found


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(
        orjson.dumps(body), status=status, mimetype="application/json", headers={"Cache-Control": "no-store"}
    )
