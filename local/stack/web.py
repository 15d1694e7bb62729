import json
import urllib.request
from typing import Any

SECONDS = 10


def get(url: str, token: str = "") -> Any:
    """Return the JSON answer of one of the stack's own addresses."""
    return _ask("GET", url, None, token, "")


def post(url: str, body: Any, token: str = "", key: str = "") -> Any:
    """Post JSON and return the JSON answer. What is sent again under the same key is done once."""
    return _ask("POST", url, body, token, key)


def put(url: str, body: Any, token: str = "", key: str = "") -> Any:
    """Put JSON and return the JSON answer; the key as in `post`."""
    return _ask("PUT", url, body, token, key)


def _ask(method: str, url: str, body: Any, token: str, key: str) -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key:
        headers["Idempotency-Key"] = key
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - loopback only
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - loopback only
        text = answer.read()
    return json.loads(text) if text else None
