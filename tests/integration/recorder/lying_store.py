"""A way to the true object store that can be told to fail, to lie and to dawdle: an HTTP proxy on a port of its own."""

import socket
import threading
from contextlib import closing, suppress
from enum import Enum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from services.shared.testing.ports import free_port

FORWARD_SECONDS = 30
SLOW_SECONDS = 1.0
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class Fault(Enum):
    """What is wrong with the way."""

    NOTHING = "nothing"
    ERROR = "answers 500 and does nothing"
    ERROR_AFTER = "does it and answers 500"
    CUT = "is cut after the request was passed on: no answer comes"
    SWALLOW = "says yes and does nothing"
    SHORT = "keeps half of what was sent and says yes"
    ALTERED = "keeps other bytes and says yes"
    WRONG_LENGTH = "tells of another length"
    WRONG_CHECKSUM = "tells of another checksum"
    SLOW = "answers late"


class LyingStore:
    """The proxy. Its fault may be changed at any time while it is open."""

    def __init__(self, endpoint: str) -> None:
        self._true = urlsplit(endpoint).netloc
        self.fault = Fault.NOTHING
        self.met = 0
        """How many requests met the fault."""
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listen, and serve until `close`."""
        way = self

        class Handler(_Handler):
            store = way

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def forward(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, Any, bytes]:
        """Ask the true store."""
        connection = HTTPConnection(self._true, timeout=FORWARD_SECONDS)
        with closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in _OF_THE_CONNECTION | {"expect"}:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: LyingStore

    def do_PUT(self) -> None:
        """Pass a request on, as well as the fault lets it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_of_sound = self.command == "PUT" and len(body) > 0
        is_question = self.command == "HEAD" and self.path.count("/") > 1
        fault = self.store.fault
        if fault is Fault.NOTHING or not (is_of_sound or is_question):
            self._answer(*self._forward(body))
            return
        self.store.met += 1
        self._fail(fault, body, is_of_sound=is_of_sound)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT  # noqa: N815 - the base class's names

    def _fail(self, fault: Fault, body: bytes, *, is_of_sound: bool) -> None:
        if fault is Fault.ERROR:
            self._answer(500, [], b"")
        elif fault is Fault.ERROR_AFTER:
            self._forward(body)
            self._answer(500, [], b"")
        elif fault is Fault.CUT:
            self._forward(body)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif fault is Fault.SWALLOW and is_of_sound:
            self._answer(200, [("ETag", '"0"')], b"")
        elif fault in {Fault.SHORT, Fault.ALTERED} and is_of_sound:
            other = body[: len(body) // 2] if fault is Fault.SHORT else body[:-1] + bytes([body[-1] ^ 1])
            status, _, _ = self._forward(other)
            self._answer(200 if status < 500 else status, [("ETag", '"0"')], b"")
        else:
            if fault is Fault.SLOW:
                threading.Event().wait(SLOW_SECONDS)
            self._answer(*self._altered(fault, *self._forward(body)))

    def _altered(self, fault: Fault, status: int, headers: Any, body: bytes) -> tuple[int, Any, bytes]:
        if fault is Fault.WRONG_CHECKSUM:
            headers = [(n, "A" * 43 + "=" if n.lower() == "x-amz-checksum-sha256" else v) for n, v in headers]
        if fault is Fault.WRONG_LENGTH and self.command == "HEAD":
            headers = [(n, "7" if n.lower() == "content-length" else v) for n, v in headers]
        return status, headers, body

    def _forward(self, body: bytes) -> tuple[int, Any, bytes]:
        try:
            return self.store.forward(self.command, self.path, list(self.headers.items()), body)
        except (OSError, HTTPException):
            return 502, [], b""

    def _answer(self, status: int, headers: Any, body: bytes) -> None:
        with suppress(OSError):  # who asked may be gone, or killed
            self.send_response_only(status)
            length = len(body)
            for name, value in headers:
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = int(value)
                if name.lower() not in _OF_THE_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
