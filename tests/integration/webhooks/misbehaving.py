"""Receivers on bare sockets that do what no receiver should, and good ones beside them, in the same way."""

import struct
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import gevent
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gevent import socket, ssl
from gevent.server import StreamServer
from standardwebhooks import Webhook

from services.shared.testing.patience import own_time
from tests.integration.webhooks.harness import SECRET

LONG_SECONDS = 120.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def status(line: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {line}", *headers, "Content-Length: 0", "", "")).encode()


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it came."""

    webhook_id: str
    at: float
    """In time that this process had."""
    body: bytes
    was_taken: bool


Answer = Callable[["Peer", int], bool]
"""Answers the n-th request of a receiver on a socket; whether that was a success."""


@dataclass
class Peer:
    """The sender's side of a connection."""

    socket: Any

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> NoReturn:
        """End the connection with a RST in the middle of everything."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> NoReturn:
        """Leave the connection to be closed by whoever serves it, who reads from it too: it is open until both end."""
        raise ConnectionAbortedError


def good(peer: Peer, _number: int) -> bool:
    peer.send(OK)
    return True


def slow(peer: Peer, _number: int) -> bool:
    gevent.sleep(0.4)
    peer.send(OK)
    return True


def hang(_peer: Peer, _number: int) -> bool:
    gevent.sleep(LONG_SECONDS)
    return False


def reset(peer: Peer, _number: int) -> bool:
    peer.reset()


def redirect_to(url: str) -> Answer:
    def answer(peer: Peer, number: int) -> bool:
        peer.send(status(("301 Moved", "302 Found", "307 Temporary", "308 Permanent")[number % 4], f"Location: {url}"))
        return False

    return answer


def gone(peer: Peer, _number: int) -> bool:
    peer.send(status("410 Gone"))
    return False


def busy(peer: Peer, number: int) -> bool:
    """Take fifteen, then ask for a second's pause."""
    peer.send(status("429 Too Many Requests", "Retry-After: 1") if number % 16 == 15 else OK)
    return number % 16 != 15


def bursts(peer: Peer, number: int) -> bool:
    """Fail six times, then take thirty."""
    peer.send(status("500 Broken") if number % 36 < 6 else OK)
    return number % 36 >= 6


def huge(peer: Peer, _number: int) -> bool:
    """Say 200, then send a body without end."""
    peer.send(CHUNKED)
    while True:
        peer.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def drip(peer: Peer, _number: int) -> bool:
    """Say 200, then send a byte now and then, for ever."""
    peer.send(CHUNKED)
    while True:
        peer.send(b"1\r\nx\r\n")
        gevent.sleep(0.1)


def drip_head(peer: Peer, _number: int) -> bool:
    """Send a header without end, letter by letter."""
    peer.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        peer.send(b"x")
        gevent.sleep(0.1)


def garbage(peer: Peer, _number: int) -> bool:
    peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    peer.hang_up()


# These have said 200 before they begin to misbehave: the delivery counts, however its answer ends.
TAKEN_BEFORE = (huge, drip)


@dataclass
class RawReceiver:
    """One receiver that answers each request as it is told, and keeps what came."""

    answer: Answer
    tls: Any = None
    arrivals: list[Arrival] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._numbers = count()
        self._verifier = Webhook(SECRET)
        self._server.start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._server.server_port}/hook"

    @property
    def taken(self) -> set[str]:
        return {arrival.webhook_id for arrival in self.arrivals if arrival.was_taken}

    def first_taken(self) -> dict[str, float]:
        """Return when each delivery was first taken, in the order in which they came."""
        found: dict[str, float] = {}
        for arrival in self.arrivals:
            if arrival.was_taken:
                found.setdefault(arrival.webhook_id, arrival.at)
        return found

    def stop(self) -> None:
        self._server.stop(timeout=0.1)

    def _serve(self, connection: Any, _address: Any) -> None:
        try:
            # Whoever doubts the certificate hangs up in the middle of this.
            connection = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
            with connection.makefile("rb") as reader:
                while (request := _request(reader)) is not None:
                    self._take(connection, *request)
        except (OSError, ValueError):
            pass
        finally:
            connection.close()

    def _take(self, connection: Any, headers: dict[str, str], body: bytes) -> None:
        at, was_taken = own_time(), self.answer in TAKEN_BEFORE
        try:
            self._verifier.verify(body, headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            self.mistakes.append(f"{headers.get('webhook-id')}: {error}")
        place = len(self.arrivals)
        self.arrivals.append(Arrival(headers["webhook-id"], at, body, was_taken))
        if self.answer(Peer(connection), next(self._numbers)):
            self.arrivals[place] = Arrival(headers["webhook-id"], at, body, was_taken=True)


def _request(reader: Any) -> tuple[dict[str, str], bytes] | None:
    if not reader.readline():
        return None
    headers = {}
    while line := reader.readline().rstrip(b"\r\n"):
        name, _, value = line.decode("ascii").partition(": ")
        headers[name.lower()] = value
    body = reader.read(int(headers["content-length"]))
    return (headers, body) if len(body) == int(headers["content-length"]) else None


def untrusted_tls(folder: Path) -> Any:
    """Return a server's TLS context with a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = made.sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "untrusted.pem"
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def order_by_call(receiver: RawReceiver) -> dict[str, list[str]]:
    """Return for each call its deliveries in the order in which they were first taken: ids are "<call>.<n>-…"."""
    found: dict[str, list[str]] = defaultdict(list)
    for webhook_id in receiver.first_taken():
        found[webhook_id.split("-")[1]].append(webhook_id)
    return found
