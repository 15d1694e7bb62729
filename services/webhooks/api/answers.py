import orjson
from flask import Response, request

from services.shared.chassis.admission import Refusal
from services.shared.chassis.problems import problem

MAX_TEXT = 200


def json_answer(body: object, status: int = 200) -> Response:
    """Answer with JSON that no cache keeps."""
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status=status, mimetype="application/json", headers=headers)


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
