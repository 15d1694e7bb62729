import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request

from services.shared.chassis.problems import problem
from services.stats.adapters.mongo import CallLog

MOST_CALLS = 500


def add_views(app: Flask, log: CallLog, tokens_file: Path) -> None:
    """Add the call log and its totals; a token sees its own tenant, the token of `*` all."""
    tokens: dict[str, Any] = json.loads(tokens_file.read_text(encoding="utf-8"))

    def tenant() -> tuple[bool, str | None]:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        claims = tokens.get(sha256(given.encode()).hexdigest())
        if claims is None:
            return False, None
        return True, None if claims["tenant"] == "*" else claims["tenant"]

    @app.get("/v1/summary")
    def summary() -> Response:
        is_known, own = tenant()
        if not is_known:
            return problem(401, "unauthorized", "Send a known token as Authorization: Bearer …")
        return jsonify(log.summary(own))

    @app.get("/v1/calls")
    def calls() -> Response:
        is_known, own = tenant()
        if not is_known:
            return problem(401, "unauthorized", "Send a known token as Authorization: Bearer …")
        limit = request.args.get("limit", 50, type=int)
        if not 1 <= limit <= MOST_CALLS:
            return problem(400, "bad-limit", f"limit is a number from 1 to {MOST_CALLS}")
        return jsonify({"calls": log.newest(own, limit)})
