import orjson
from flask import Response


def problem(status: int, kind: str, detail: str, **extra: object) -> Response:
    """Answer an HTTP request with a problem (RFC 9457): `kind` is a hyphenated name, `detail` one sentence."""
    body = {
        "type": f"urn:ringmaster:problem:{kind}",
        "title": kind.replace("-", " "),
        "status": status,
        "detail": detail,
        **extra,
    }
    return Response(orjson.dumps(body), status=status, mimetype="application/problem+json")
