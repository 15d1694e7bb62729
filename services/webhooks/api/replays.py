"""Replays: an endpoint gets a part of the past once more, by time, event type or call."""

from dataclasses import asdict
from typing import Any, Final
from uuid import uuid4

from flask import Blueprint, Response

from services.shared.access import Action
from services.shared.chassis.admission import Admission
from services.shared.chassis.clock import Clock
from services.shared.chassis.problems import problem
from services.webhooks.api.answers import MAX_TEXT, body_of, json_answer
from services.webhooks.api.deliveries import LATEST_MS, answer_failures
from services.webhooks.directory import Directory
from services.webhooks.replays import Replay, ReplayStore

MOST_TYPES: Final = 60
LISTED: Final = 50
_FIELDS: Final = {"endpoint_id": str, "since_ms": int, "until_ms": int, "event_types": list, "call_id": str}


def replay_routes(admission: Admission, store: ReplayStore, directory: Directory, clock: Clock) -> Blueprint:
    """Make the routes."""
    api = Blueprint("replays", __name__, url_prefix="/v1/replays")

    @api.get("")
    def listed() -> Response:
        found = store.newest(admission.tenant(Action.READ_CALLS), LISTED)
        return json_answer({"replays": [_told(one) for one in found]})

    @api.post("")
    def ask() -> Response:
        tenant_id = admission.tenant(Action.MANAGE_DELIVERIES)
        body, now_ms = body_of(_FIELDS), clock.now_ms()
        fault = _fault(body, now_ms)
        if fault:
            return problem(400, "bad-parameters", fault)
        endpoint = directory.find(tenant_id, body["endpoint_id"])
        if endpoint is None:
            return problem(404, "not-found", "The tenant's document has no such endpoint.")
        if not directory.is_open(endpoint):
            return problem(409, "endpoint-closed", "The endpoint takes nothing; open it first.")
        replay = Replay(
            uuid4().hex,
            tenant_id,
            endpoint.endpoint_id,
            body["since_ms"],
            min(body.get("until_ms", now_ms), now_ms),
            tuple(body.get("event_types", ())),
            body.get("call_id", ""),
            asked_ms=now_ms,
        )
        store.add(replay)
        return json_answer(_told(replay), 202)

    answer_failures(api)
    return api


def _fault(body: dict[str, Any], now_ms: int) -> str:
    if "endpoint_id" not in body or "since_ms" not in body:
        return "endpoint_id and since_ms are needed."
    types = body.get("event_types", [])
    if len(types) > MOST_TYPES or not all(isinstance(each, str) and len(each) <= MAX_TEXT for each in types):
        return f"event_types are at most {MOST_TYPES} texts."
    if not 0 <= body["since_ms"] < min(body.get("until_ms", now_ms), LATEST_MS):
        return "since_ms lies before until_ms, and in the past."
    return "" if len(body.get("call_id", "")) <= MAX_TEXT else f"call_id has at most {MAX_TEXT} signs."


def _told(replay: Replay) -> dict[str, Any]:
    return {**asdict(replay), "event_types": list(replay.event_types)}
