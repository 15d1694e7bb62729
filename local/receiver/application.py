from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import gevent
import orjson
from standardwebhooks import Webhook, WebhookVerificationError

from local.receiver.ledger import Ledger

MAX_BODY_BYTES = 1024 * 1024
REASONS = {200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


@dataclass(slots=True)
class Behaviour:
    """How the receiver misbehaves with deliveries: for the next `times`, then it is well again. -1 = for ever."""

    status: int = 200
    delay_seconds: float = 0.0
    retry_after: str = ""
    location: str = ""
    times: int = 0

    def take(self) -> bool:
        """Whether it misbehaves now; counts down."""
        if self.times == 0:
            return False
        self.times -= 1 if self.times > 0 else 0
        return True


class Receiver:
    """A WSGI application that takes signed deliveries at every path but its own three.

    POST /behaviour sets a Behaviour (JSON), GET /summary tells what came, GET /healthz that it lives. Signatures are
    checked by the standardwebhooks library, which knows nothing of this project.
    """

    def __init__(self, secrets: list[str], ledger: Ledger) -> None:
        self._verifiers = [Webhook(secret) for secret in secrets]
        self._ledger = ledger
        self.behaviour = Behaviour()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        route = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if route == ("GET", "/summary"):
            return _answer(start_response, 200, self._ledger.summary())
        if route == ("GET", "/healthz"):
            return _answer(start_response, 200, {"status": "ok"})
        body = _body(environ)
        if route == ("POST", "/behaviour"):
            return self._change(body, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            return _answer(start_response, 404, {"error": "only POST"})
        return self._take(environ, body, start_response)

    def _change(self, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        try:
            self.behaviour = Behaviour(**orjson.loads(body))
        except (TypeError, orjson.JSONDecodeError):
            return _answer(start_response, 400, {"error": "not a behaviour"})
        return _answer(start_response, 200, {"status": "ok"})

    def _take(self, environ: Environ, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        behaviour = self.behaviour
        if behaviour.take():
            gevent.sleep(behaviour.delay_seconds)
            if not 200 <= behaviour.status < 300:  # noqa: PLR2004 - a success is one
                return _answer(start_response, behaviour.status, {"error": "on demand"}, _extra(behaviour))
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        headers = {name: environ.get("HTTP_" + name.upper().replace("-", "_"), "") for name in names}
        payload = self._verified(body, headers)
        if payload is None:
            self._ledger.refuse()
            return _answer(start_response, 401, {"error": "the signature is wrong"})
        self._ledger.accept(headers["webhook-id"], payload)
        return _answer(start_response, 200, {"status": "ok"})

    def _verified(self, body: bytes, headers: dict[str, str]) -> dict[str, Any] | None:
        for verifier in self._verifiers:
            try:
                payload = verifier.verify(body, headers)
            except (WebhookVerificationError, ValueError):
                continue
            return payload if isinstance(payload, dict) else None
        return None


def _body(environ: Environ) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return bytes(environ["wsgi.input"].read(min(length, MAX_BODY_BYTES)))


def _extra(behaviour: Behaviour) -> list[tuple[str, str]]:
    headers = [("Retry-After", behaviour.retry_after), ("Location", behaviour.location)]
    return [(name, value) for name, value in headers if value]


def _answer(
    start_response: StartResponse, status: int, document: object, extra: list[tuple[str, str]] | None = None
) -> list[bytes]:
    body = orjson.dumps(document) + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *(extra or [])]
    start_response(f"{status} {REASONS.get(status, 'Status')}", headers)
    return [body]
