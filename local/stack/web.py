import json
import urllib.request
from typing import Any

SECONDS = 10


def get(url: str, token: str = "") -> Any:
    """Return the JSON answer of one of the stack's own addresses."""
    return _ask("GET", url, None, token)


def post(url: str, body: Any, token: str = "") -> Any:
    """Post JSON and return the JSON answer."""
    return _ask("POST", url, body, token)


def put(url: str, body: Any, token: str = "") -> Any:
    """Put JSON and return the JSON answer."""
    return _ask("PUT", url, body, token)


def _ask(method: str, url: str, body: Any, token: str) -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - loopback only
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - loopback only
        text = answer.read()
    return json.loads(text) if text else None
