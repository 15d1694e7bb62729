"""GET /v1/recordings: which recordings a call has, and a short-lived link to one. A tenant sees its own alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import orjson
from flask import Blueprint, Response, request

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.api.tokens import Caller, Tokens
from services.recorder.errors import RecorderError
from services.shared.chassis.problems import problem

LISTENING_ROLES = frozenset({"admin", "supervisor", "analyst", "integration"})
EVERY_TENANT = "*"
"""The tenant of the platform's own people: they name one in each request."""
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


def recordings_api(documents: Documents, links: Links, tokens: Tokens) -> Blueprint:
    """Make the routes."""
    api = Blueprint("recordings", __name__, url_prefix="/v1/recordings")

    @api.get("")
    def of_call() -> Response:
        caller = _admitted(tokens)
        if isinstance(caller, Response):
            return caller
        call_id = request.args.get("call_id", "")
        if not 0 < len(call_id) <= _MAX_ID:
            return problem(400, "bad-request", "The parameter call_id is needed.")
        found = documents.of_call(caller.tenant_id, call_id)
        return _json({"recordings": [_public(document) for document in found]})

    @api.get("/<recording_id>")
    def one(recording_id: str) -> Response:
        caller = _admitted(tokens)
        if isinstance(caller, Response):
            return caller
        document = documents.find_for(caller.tenant_id, recording_id)
        if document is None:
            return problem(404, "not-found", "There is no such recording.")
        link = links.link(document.key, f"{document.recording_id}.wav")
        return _json({**_public(document), "link": link})

    @api.errorhandler(RecorderError)
    def unavailable(error: RecorderError) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def _admitted(tokens: Tokens) -> Caller | Response:
    """Return who asks, or the refusal."""
    caller = tokens.caller(request.headers.get("Authorization", ""))
    if caller is None:
        refusal = problem(401, "unauthorized", "A valid bearer token is needed.")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    if caller.role not in LISTENING_ROLES:
        return problem(403, "forbidden", "This role may not listen to recordings.")
    if caller.tenant_id != EVERY_TENANT:
        return caller
    tenant_id = request.args.get("tenant", "")
    if not tenant_id:
        return problem(400, "bad-request", "The parameter tenant is needed with this token.")
    return replace(caller, tenant_id=tenant_id)


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
