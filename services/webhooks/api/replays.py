"""Replays: an endpoint gets a part of the past once more, by time, event type or call."""

from dataclasses import asdict
from typing import Any, Final
from uuid import uuid4

from flask import Blueprint, Response

from services.shared.access import Action
from services.shared.chassis.admission import Admission
from services.shared.chassis.clock import Clock
from services.shared.chassis.description import body_of, described
from services.shared.chassis.problems import problem
from services.webhooks.api.answers import json_answer
from services.webhooks.api.deliveries import AWAY, answer_failures
from services.webhooks.api.models import LATEST_MS, REPLAY, REPLAYS, WANTED_REPLAY
from services.webhooks.directory import Directory
from services.webhooks.domain.trouble import Troubles
from services.webhooks.replays import Replay, ReplayStore

LISTED: Final = 50


def replay_routes(
    admission: Admission, store: ReplayStore, directory: Directory, clock: Clock, troubles: Troubles
) -> Blueprint:
    """Make the routes."""
    api = Blueprint("replays", __name__, url_prefix="/v1/replays")

    @api.get("")
    @described("List replays, newest first.", Action.READ_CALLS, REPLAYS, fails=AWAY)
    def listed() -> Response:
        found = store.newest(admission.tenant(Action.READ_CALLS), LISTED)
        return json_answer({"replays": [_told(one, troubles) for one in found]})

    @api.post("")
    @described(
        "Send a part of the past once more.",
        Action.MANAGE_DELIVERIES,
        REPLAY,
        status=202,
        body=WANTED_REPLAY,
        fails=AWAY | {404, 409},
    )
    def ask() -> Response:
        tenant_id = admission.tenant(Action.MANAGE_DELIVERIES)
        body, now_ms = body_of(WANTED_REPLAY), clock.now_ms()
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
            failed_only=body.get("failed_only", False),
        )
        store.add(replay)
        return json_answer(_told(replay, troubles), 202)

    answer_failures(api)
    return api


def _fault(body: dict[str, Any], now_ms: int) -> str:
    if not 0 <= body["since_ms"] < min(body.get("until_ms", now_ms), LATEST_MS):
        return "since_ms lies before until_ms, and in the past."
    return ""


def _told(replay: Replay, troubles: Troubles) -> dict[str, Any]:
    trouble = {"trouble": troubles.of(replay.error).told()} if replay.error else {}
    return {**asdict(replay), "event_types": list(replay.event_types), **trouble}
