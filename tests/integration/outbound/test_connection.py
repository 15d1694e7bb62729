from collections.abc import Iterator

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer

from services.shared.outbound.address import AddressGuard
from services.shared.outbound.answer import MAX_ANSWER_BYTES
from services.shared.outbound.dial import Limits, Outside
from services.shared.outbound.target import Target, target_of
from services.shared.testing.patience import Stopwatch
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.outcome import Attempt

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Far:
    """A far side that answers each request with the same bytes, perhaps a byte at a time, and counts connections."""

    def __init__(self, answer: bytes, *, closes: bool = False, pause: float | None = None) -> None:
        self._answer, self._closes, self._pause = answer, closes, pause
        self.connections = 0
        self.received = b""
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()

    @property
    def target(self) -> Target:
        return target_of(f"http://localhost:{self._server.server_port}/hook")

    def stop(self) -> None:
        self._server.stop(timeout=1)

    def _serve(self, connection: socket.socket, _address: object) -> None:
        self.connections += 1
        while data := connection.recv(65536):
            self.received += data
            if self._pause is None:
                connection.sendall(self._answer)
            else:
                self._drip(connection, self._pause)
            if self._closes:
                return

    def _drip(self, connection: socket.socket, pause: float) -> None:
        try:
            for sign in self._answer:
                connection.sendall(bytes([sign]))
                gevent.sleep(pause)
        except OSError:
            return  # the near side had enough


@pytest.fixture
def near() -> Iterator[EndpointConnection]:
    guard = AddressGuard.parse("127.0.0.1/32")
    connection = EndpointConnection(Outside(guard, Limits(connect_seconds=1.0, total_seconds=0.6)))
    yield connection
    connection.close()


def post(near: EndpointConnection, far: Far) -> Attempt:
    attempt = near.post(far.target, "Content-Length: 2\r\nwebhook-id: a\r\n", b"{}")
    far.stop()
    return attempt


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK, 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.0 503 Busy\r\n\r\n", 503),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 2 * MAX_ANSWER_BYTES, 200),
        (b"220 mail.example ESMTP\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", 0),
        (b"HTTP/1.1 2", 0),
        (b"", 0),
    ],
)
def test_an_answer_counts_by_its_status_whatever_its_body(near: EndpointConnection, answer: bytes, status: int) -> None:
    attempt = post(near, Far(answer, closes=True))
    assert attempt.status == status
    assert bool(attempt.error) == (status == 0 or status >= 300)


def test_an_answer_that_comes_byte_by_byte_is_read(near: EndpointConnection) -> None:
    assert post(near, Far(OK, pause=0.0001)).status == 200


def test_an_answer_that_drips_for_ever_is_cut_off(near: EndpointConnection) -> None:
    watch = Stopwatch()
    attempt = post(near, Far(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, pause=0.01))
    assert (attempt.status, attempt.error) == (0, "no answer in time")
    assert watch.seconds() < 2


def test_a_body_that_drips_is_not_waited_for_once_the_status_is_there() -> None:
    far = Far(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500, pause=0.02)
    near = EndpointConnection(Outside(AddressGuard.parse("127.0.0.1/32"), Limits(total_seconds=20.0)))
    attempt = near.post(far.target, "Content-Length: 2\r\nwebhook-id: a\r\n", b"{}")
    assert attempt.status == 200
    assert attempt.milliseconds < 5_000  # the whole of it would take ten seconds, and its head one
    near.close()
    far.stop()


def test_a_connection_is_kept_and_made_anew_when_the_far_side_closed_it(near: EndpointConnection) -> None:
    keeping, closing = Far(OK), Far(OK, closes=True)
    assert [near.post(keeping.target, "Content-Length: 0\r\n", b"").status for _ in range(3)] == [200] * 3
    assert keeping.connections == 1
    assert [near.post(closing.target, "Content-Length: 0\r\n", b"").status for _ in range(3)] == [200] * 3
    assert closing.connections == 3
    keeping.stop()
    closing.stop()


def test_the_request_is_exactly_ours(near: EndpointConnection) -> None:
    far = Far(OK)
    port = far.target.port
    post(near, far)
    assert far.received == (
        f"POST /hook HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 2\r\nwebhook-id: a\r\n\r\n{{}}".encode()
    )


def test_retry_after_is_read_from_split_and_odd_headers(near: EndpointConnection) -> None:
    answer = b"HTTP/1.1 429 Slow\r\nreTRY-after: 17\r\nX-Retry-After: 99\r\nContent-Length: 0\r\n\r\n"
    assert post(near, Far(answer, pause=0.0001)).retry_after == 17


def test_a_port_where_nobody_listens_is_no_answer(near: EndpointConnection) -> None:
    far = Far(OK)
    target = far.target
    far.stop()
    attempt = near.post(target, "", b"")
    assert attempt.status == 0
    assert attempt.error.startswith("the host can't be connected to")
