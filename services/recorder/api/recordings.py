"""GET /v1/recordings: which recordings a call has, and a short-lived link to one. A tenant sees its own alone."""

from datetime import UTC, datetime
from typing import Protocol

import orjson
from flask import Blueprint, Response, request

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.errors import RecorderError
from services.shared.access import EVERY_TENANT, Action, Holders
from services.shared.chassis.problems import problem
from services.shared.chassis.tokens import bearer_token

_MAX_ID = 80


class Documents(Protocol):
    """What is looked up."""

    def find_for(self, tenant_id: str, recording_id: str) -> RecordingDocument | None:
        """Return a recording of this tenant."""

    def of_call(self, tenant_id: str, call_id: str) -> list[RecordingDocument]:
        """Return this tenant's recordings of a call."""


class Links(Protocol):
    """What makes links."""

    def link(self, key: str, file_name: str) -> str:
        """Return a short-lived address."""


def recordings_api(documents: Documents, links: Links, tokens: Holders) -> Blueprint:
    """Make the routes."""
    api = Blueprint("recordings", __name__, url_prefix="/v1/recordings")

    @api.get("")
    def of_call() -> Response:
        tenant_id = _admitted(tokens)
        if isinstance(tenant_id, Response):
            return tenant_id
        call_id = request.args.get("call_id", "")
        if not 0 < len(call_id) <= _MAX_ID:
            return problem(400, "bad-request", "The parameter call_id is needed.")
        found = documents.of_call(tenant_id, call_id)
        return _json({"recordings": [_public(document) for document in found]})

    @api.get("/<recording_id>")
    def one(recording_id: str) -> Response:
        tenant_id = _admitted(tokens)
        if isinstance(tenant_id, Response):
            return tenant_id
        document = documents.find_for(tenant_id, recording_id)
        if document is None:
            return problem(404, "not-found", "There is no such recording.")
        link = links.link(document.key, f"{document.recording_id}.wav")
        return _json({**_public(document), "link": link})

    @api.errorhandler(RecorderError)
    def unavailable(error: RecorderError) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def _admitted(tokens: Holders) -> str | Response:
    """Return the tenant whose recordings are asked for, or the refusal. The platform's own people name one."""
    holder = tokens.holder(bearer_token(request.headers.get("Authorization", "")))
    if holder is None:
        refusal = problem(401, "unauthorized", "A valid bearer token is needed.")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    tenant_id = holder.tenant if holder.tenant != EVERY_TENANT else request.args.get("tenant", "")
    if not tenant_id:
        return problem(400, "bad-request", "The parameter tenant is needed with this token.")
    if not holder.may(Action.LISTEN, tenant_id):
        return problem(403, "forbidden", "This role may not listen to recordings.")
    return tenant_id


def _public(document: RecordingDocument) -> dict[str, object]:
    names = ("recording_id", "call_id", "size_bytes", "sha256", "duration_ms", "channels", "media_type", "silent")
    return {
        **{name: getattr(document, name) for name in names},
        "repaired": document.repaired,
        "recorded_at": _iso(document.recorded_us),
        "stored_at": _iso(document.stored_us),
    }


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="milliseconds")


def _json(body: dict[str, object]) -> Response:
    # A link is a key to a person's voice: no cache may keep it.
    return Response(orjson.dumps(body), mimetype="application/json", headers={"Cache-Control": "no-store"})
