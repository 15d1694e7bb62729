"""The control API of the simulated switch: status, ground truth, faults, calls and agents. JSON on loopback only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

from local.switch.faults import FaultError
from local.switch.scenario import CallerKind, ScenarioError, parse_caller_kind, parse_phone_changes

if TYPE_CHECKING:
    from local.switch.world import World


def create_app(world: World) -> Flask:
    """Build the API over a running world."""
    app = Flask("local.switch")

    _add_views(app, world)
    _add_actions(app, world)

    def refuse(error: Exception) -> tuple[Response, int]:
        return jsonify({"error": str(error)}), 400

    app.register_error_handler(FaultError, refuse)
    app.register_error_handler(ScenarioError, refuse)
    return app


def _add_views(app: Flask, world: World) -> None:
    @app.get("/status")
    def status() -> Response:
        return jsonify(world.status())

    @app.get("/truth")
    def truth() -> Response:
        # Names may hold bytes that are not UTF-8; ascii escapes carry them.
        return Response(_ascii_json(world.truth_document()), mimetype="application/json")

    @app.get("/legs")
    def legs() -> Response:
        return Response(_ascii_json(world.legs()), mimetype="application/json")

    @app.get("/agents")
    def agents() -> Response:
        return jsonify(world.agents())


def _add_actions(app: Flask, world: World) -> None:
    @app.post("/faults")
    def faults() -> tuple[Response, int]:
        world.faults.play(_body())
        return jsonify({"played": world.faults.played}), 202

    @app.post("/call")
    def call() -> tuple[Response, int]:
        body = _body()
        line = str(body.pop("line", ""))
        if not line:
            raise ScenarioError("call: line is missing")
        uuid = world.place_call(
            line,
            _kind(body, world.scenario.callers),
            number=str(body.pop("number", "")),
            name=str(body.pop("name", "")),
            headers={str(key): str(value) for key, value in body.pop("headers", {}).items()},
            uuid=body.pop("uuid", None),
        )
        return jsonify({"uuid": uuid}), 201

    @app.post("/agents/<agent>")
    def change_agent(agent: str) -> tuple[Response, int]:
        body = _body()
        registered = body.pop("registered", None)
        if not world.change_agent(agent, parse_phone_changes(body), registered):
            return jsonify({"error": f"there is no agent {agent}"}), 404
        return jsonify({"agent": agent}), 200

    @app.post("/legs/<uuid>")
    def move_phone(uuid: str) -> tuple[Response, int]:
        world.move_phone(uuid, _body())
        return jsonify({"leg": uuid}), 200

    @app.post("/begin")
    def begin() -> tuple[Response, int]:
        if not world.traffic.is_started:
            world.traffic.start()
        return jsonify(world.status()), 202

    @app.post("/drain")
    def drain() -> tuple[Response, int]:
        world.stop_arrivals()
        return jsonify(world.status()), 202


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ScenarioError("the body must be a JSON object")
    return body


def _kind(body: dict[str, Any], default: CallerKind) -> CallerKind:
    names = ("patience", "talk", "ends_first", "digits", "says", "digit_delay", "lingers")
    given = {name: body.pop(name) for name in names if name in body}
    return parse_caller_kind(given, default) if given else default


def _ascii_json(document: object) -> str:
    return json.dumps(document, ensure_ascii=True)
