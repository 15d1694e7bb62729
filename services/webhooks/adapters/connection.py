"""One keep-alive HTTP/1.1 connection to an endpoint, on a bare socket.

A bare socket sends 2.4 times as much as geventhttpclient's pool and 21 times as much as requests.Session (measured).
The answer is read by llhttp, which refuses what is ambiguous. The socket modules are gevent's own, so that it behaves
the same with and without monkey patching.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
from gevent import socket, ssl
from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from services.webhooks.domain.address import AddressGuard
from services.webhooks.domain.ladder import retry_after_seconds
from services.webhooks.domain.outcome import HTTP_OK, Attempt
from services.webhooks.domain.target import Target

# An answer means only its status; what is longer than this is not read to its end, and its connection is closed.
MAX_ANSWER_BYTES = 64 * 1024
MAX_HEADER_BYTES = 16 * 1024
READ_BYTES = 16 * 1024
# How many addresses of one name are tried in one attempt.
MAX_ADDRESSES = 4
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)


class NoAnswer(Exception):
    """No status came back. The message is one sentence for the delivery log; the delivery is tried again."""


class ClosedWhileIdle(NoAnswer):
    """The receiver had closed a kept connection: the same request is sent once more on a new one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, seconds."""

    connect_seconds: float = 5.0
    total_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Outside:
    """How the world is reached: which addresses, which certificates, how long."""

    guard: AddressGuard
    limits: Limits = field(default_factory=Limits)
    tls: Any = None

    @classmethod
    def with_certificates(cls, guard: AddressGuard, limits: Limits, ca_file: Path | None) -> "Outside":
        """Trust the system's certificates, or those of a file. Raises OSError when the file can't be read."""
        return cls(guard, limits, ssl.create_default_context(cafile=str(ca_file) if ca_file else None))


class _Answer(HTTPResponseParser):
    """Keeps of an answer only what matters: status, Retry-After, whether it is complete."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 0
        self.retry_after = ""
        self.is_complete = False
        self.size = 0
        self._field = ""
        self._in_value = False
        self._header_bytes = 0

    def _on_message_begin(self) -> None:
        if self.is_complete:
            raise HTTPParseError("a second answer to one request", 0)
        self.retry_after = ""

    def _on_status(self, _text: str) -> None:
        """Ignore the reason phrase."""

    def _on_header_field(self, text: str) -> None:
        if self._in_value:
            self._field, self._in_value = "", False
        self._count_header(text)
        self._field += text

    def _on_header_value(self, text: str) -> None:
        self._in_value = True
        self._count_header(text)
        if self._field.lower() == "retry-after":
            self.retry_after += text

    def _on_headers_complete(self) -> bool:
        status = self.get_code()
        self.status = status if status >= HTTP_OK else 0
        return False

    def _on_body(self, data: bytes) -> None:
        self.size += len(data)

    def _on_message_complete(self) -> None:
        # An interim answer (1xx) is followed by the true one.
        self.is_complete = self.status != 0

    def _on_chunk_header(self, *_ignored: object) -> None:
        """Ignore a chunk's size and extensions."""

    def _on_chunk_complete(self, *_ignored: object) -> None:
        """Keep nothing of a body."""

    def _count_header(self, text: str) -> None:
        self._header_bytes += len(text)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise HTTPParseError("headers without end", 0)


class EndpointConnection:
    """Posts to one endpoint at a time and keeps the connection between posts. Used by one greenlet."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._socket: Any = None
        self._target: Target | None = None

    def post(self, target: Target, headers: str, body: bytes) -> Attempt:
        """Send one request and wait for its answer, at most `total_seconds`. Never raises for what the far side does.

        `headers` are ASCII lines of ours, each ended by CR LF.
        """
        request = f"POST {target.path} HTTP/1.1\r\nHost: {target.host_header}\r\n{headers}\r\n".encode() + body
        started = time.monotonic()
        status, error, retry_after = 0, "", None
        answer = _Answer()
        try:
            with gevent.Timeout(self._outside.limits.total_seconds, NoAnswer("no answer in time")):
                answer = self._exchange(target, request, answer)
        except NoAnswer as reason:
            self.close()
            error = str(reason)
        status = answer.status
        if status:
            error = ""
            retry_after = retry_after_seconds(answer.retry_after, time.time()) if answer.retry_after else None
        if status >= HTTP_OK + 100:
            error = f"the endpoint answered {status}"
        return Attempt(status, int((time.monotonic() - started) * 1000), error, retry_after)

    def close(self) -> None:
        """End the connection; the next post makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._target = None, None

    def _exchange(self, target: Target, request: bytes, answer: _Answer) -> _Answer:
        if self._socket is not None and self._target == target:
            try:
                return self._ask(request, answer)
            except ClosedWhileIdle:
                self.close()
        self.close()
        self._socket = self._connect(target)
        self._target = target
        return self._ask(request, answer)

    def _ask(self, request: bytes, answer: _Answer) -> _Answer:
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
        return answer

    def _read(self, answer: _Answer) -> bool:
        """Feed the answer until it is complete, ends or is too long; False when nothing at all came."""
        received = False
        while not answer.is_complete and answer.size <= MAX_ANSWER_BYTES:
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

    def _connect(self, target: Target) -> Any:
        sockets = [found for found in self._resolve(target) if self._outside.guard.permits(found[1][0])]
        if not sockets:
            raise NoAnswer("the host has no address that may be connected to")
        reason = ""
        for family, address in sockets[:MAX_ADDRESSES]:
            try:
                return self._open(family, address, target)
            except ssl.SSLError:
                reason = "the certificate or the TLS handshake was refused"
            except OSError as error:
                reason = f"the host can't be connected to: {type(error).__name__}"
        raise NoAnswer(reason)

    def _resolve(self, target: Target) -> list[tuple[int, Any]]:
        try:
            found = socket.getaddrinfo(target.host, target.port, 0, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NoAnswer("the host's name can't be resolved") from error
        return [(family, address) for family, _, _, _, address in found]

    def _open(self, family: int, address: Any, target: Target) -> Any:
        """Connect to exactly this address: what was checked is what is used. The name goes only into SNI and Host."""
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(self._outside.limits.connect_seconds)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if target.is_tls:
                connection = self._outside.tls.wrap_socket(connection, server_hostname=target.host)
            connection.settimeout(self._outside.limits.total_seconds)
        except BaseException:
            connection.close()
            raise
        return connection
