"""What the fakes of CRMs have in common: a server on loopback that signs in, refuses and loses answers on demand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs

import gevent
from gevent import pywsgi

Answer = tuple[int, Any]


class Refused(Exception):
    """The interface would refuse this request; the test shows why."""


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    queries: dict[str, list[str]] = field(default_factory=dict)
    """The query with all values of each name."""


@dataclass
class Fake:
    """A CRM. `access` are the tokens that are good now; `refresh` the one that may be used, once where it rotates."""

    rotates: bool = False
    access: set[str] = field(default_factory=lambda: {"first"})
    refresh: str = "refresh-0"
    refreshed: int = 0
    refused: int = 0
    """How often a token was asked for with what is not good any more."""
    refuse_token: tuple[int, str] | None = None
    """Status and Retry-After of the sign-in while it is set."""
    end_access_at: int = -1
    """From the request with this number on the present tokens are not good any more."""
    grant: str = "refresh_token"
    pause: float = 0.0
    """How long a sign-in takes, seconds."""
    lose: int = -1
    """The answer of the request with this number is lost, after the request has had its effect."""
    OVER_LIMIT: ClassVar[tuple[int, Any, float]]
    """How this interface says in a way of its own that it takes no more for now: status, document, seconds to wait."""
    over_limit: bool = False
    refuse: tuple[int, str] | None = None
    """Status and Retry-After of every answer while it is set."""
    garbage: bytes | None = None
    """What is answered with status 200 instead of every answer while it is set."""
    requests: list[Request] = field(default_factory=list)

    TOKEN_PATH = "/token"

    def __post_init__(self) -> None:
        self._server = pywsgi.WSGIServer(("127.0.0.1", 0), self._serve, log=None, error_log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.stop(timeout=1)

    def handle(self, request: Request) -> Answer:
        raise NotImplementedError

    def token_of(self, request: Request) -> str:
        return request.headers.get("AUTHORIZATION", "").removeprefix("Bearer ")

    def _serve(self, environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        request = _read(environ)
        status, document, extra = 200, dict[str, Any](), list[tuple[str, str]]()
        if len(self.requests) == self.end_access_at:
            self.access, self.end_access_at = set(), -1
        if request.path.endswith(self.TOKEN_PATH) and self.refuse_token is not None:
            status, extra = self.refuse_token[0], [("Retry-After", self.refuse_token[1])] * bool(self.refuse_token[1])
        elif request.path.endswith(self.TOKEN_PATH):
            gevent.sleep(self.pause)
            status, document = self._token(request)
        elif self.token_of(request) not in self.access:
            self.requests.append(request)
            status, document = 401, {"error": "expired_token"}
        elif self.over_limit:
            self.requests.append(request)
            status, document, _ = self.OVER_LIMIT
        elif self.refuse is not None:
            self.requests.append(request)
            status, extra = self.refuse[0], [("Retry-After", self.refuse[1])]
        else:
            number = len(self.requests)
            self.requests.append(request)
            try:
                status, document = self.handle(request)
            except Refused as why:
                status, document = 400, {"error": str(why)}
            if number == self.lose:
                status, document = 502, {}
        body = b"" if status == 204 else json.dumps(document).encode()
        if self.garbage is not None and not request.path.endswith(self.TOKEN_PATH):
            status, body = 200, self.garbage
        start(f"{status} X", [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *extra])
        return [body]

    def _token(self, request: Request) -> Answer:
        form = request.body
        wanted = {"client_id": "client", "client_secret": "secret", "grant_type": self.grant}
        if self.grant == "refresh_token":
            wanted["refresh_token"] = self.refresh
        if any(form.get(name) != value for name, value in wanted.items()):
            self.refused += 1
            return 400, {"error": "invalid_grant"}
        self.refreshed += 1
        token = f"access-{self.refreshed}"
        self.access = {token}
        document: dict[str, Any] = {"access_token": token, "expires_in": 3600}
        if self.rotates:
            self.refresh = f"refresh-{self.refreshed}"
            document["refresh_token"] = self.refresh
        return 200, document


def need(condition: object, why: str) -> None:
    """Refuse a request as the interface would."""
    if not condition:
        raise Refused(why)


def digits(text: str) -> str:
    """Return the digits of a number, however it is written."""
    return "".join(sign for sign in text if sign.isdigit())


def _read(environ: dict[str, Any]) -> Request:
    raw = environ["wsgi.input"].read()
    kind = environ.get("CONTENT_TYPE", "")
    body: Any = None
    if kind.startswith("application/json"):
        body = json.loads(raw)
    elif raw:
        body = {name: values[0] for name, values in parse_qs(raw.decode(), keep_blank_values=True).items()}
    queries = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    query = {name: values[-1] for name, values in queries.items()}
    headers = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    return Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], query, body, headers, queries)
