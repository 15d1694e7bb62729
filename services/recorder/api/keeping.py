"""/v1/recordings/reports: what retention deleted."""

from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from flask import Blueprint, Response

from services.recorder.api.admission import admit
from services.recorder.errors import RecorderError
from services.shared.access import Action, Holders
from services.shared.chassis.problems import problem


class Keeping(Protocol):
    """What is looked up."""

    def reports(self, tenant_id: str) -> list[dict[str, Any]]:
        """Return what the last passes of retention did."""


def keeping_api(keeping: Keeping, tokens: Holders) -> Blueprint:
    """Make the routes."""
    api = Blueprint("keeping", __name__, url_prefix="/v1/recordings")

    @api.get("/reports")
    def reports() -> Response:
        asker = admit(tokens, Action.MANAGE_RECORDINGS)
        return _json({"reports": [{"kind": row["kind"], **_report(row)} for row in keeping.reports(asker.tenant_id)]})

    @api.errorhandler(RecorderError)
    def unavailable(error: RecorderError) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def _report(row: dict[str, Any]) -> dict[str, Any]:
    names = [f"{name}{end}" for name in ("deleted", "held", "failed") for end in ("_count", "")]
    found = {name: row[name] for name in names if name in row}
    for name in ("started", "ended"):
        if f"{name}_us" in row:
            found[f"{name}_at"] = datetime.fromtimestamp(row[f"{name}_us"] / 1_000_000, UTC).isoformat()
    return found


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(
        orjson.dumps(body), status=status, mimetype="application/json", headers={"Cache-Control": "no-store"}
    )
