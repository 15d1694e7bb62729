from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, request

from services.shared.chassis.admission import Refusal
from services.shared.chassis.problems import problem

MAX_TEXT = 200


def json_answer(body: object, status: int = 200) -> Response:
    """Answer with JSON that no cache keeps."""
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status=status, mimetype="application/json", headers=headers)


def body_of(known: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """Return the JSON object that was sent, only with known names and types. Raises Refusal (400, 415)."""
    if not request.get_data(cache=True):
        return {}
    if not request.is_json:
        # A form of another page can't send JSON: what changes something is asked for by a program or our own page.
        raise Refusal(problem(415, "unsupported-media-type", "Send JSON, with Content-Type: application/json."))
    try:
        body = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise Refusal(problem(400, "bad-json", f"This is not JSON: {error}.")) from error
    if not isinstance(body, dict):
        raise Refusal(problem(400, "bad-json", "Send a JSON object."))
    for name, value in body.items():
        if name not in known:
            raise Refusal(problem(400, "bad-parameters", f"There is no field {name[:MAX_TEXT]!r} here."))
        if not isinstance(value, known[name]) or isinstance(value, bool) is not (known[name] is bool):
            raise Refusal(problem(400, "bad-parameters", f"The field {name} is of the wrong type."))
    return body


def text_argument(name: str) -> str:
    """Return a parameter of the address, empty without it. Raises Refusal (400)."""
    value = request.args.get(name, "")
    if len(value) > MAX_TEXT:
        raise Refusal(problem(400, "bad-parameters", f"{name} has at most {MAX_TEXT} signs."))
    return value


def number_argument(name: str, least: int, most: int, default: int) -> int:
    """Return a whole number of the address. Raises Refusal (400)."""
    text = request.args.get(name)
    if text is None:
        return default
    try:
        value = int(text) if len(text) < MAX_TEXT else most + 1
    except ValueError:
        value = most + 1
    if not least <= value <= most:
        raise Refusal(problem(400, "bad-parameters", f"{name} is a whole number from {least} to {most}."))
    return value
