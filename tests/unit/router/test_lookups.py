"""The asking of CRMs over true sockets: what is reached, what comes back, and what a hostile server can do."""

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event as Flag
from gevent.server import StreamServer

from services.router.adapters import lookups as module
from services.router.adapters.lookups import MOST_OF_A_TENANT, Lookups, read_answer
from services.router.domain.turn import Lookup
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.request_pb2 import TakeLookup
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.connection import Answer
from services.shared.outbound.dial import Outside
from services.shared.testing.memory_bus import MemoryBus

PATIENCE_SECONDS = 60.0
Handler = Callable[[bytes], bytes]


class Crm:
    """A server that answers each request with what the test says."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answer = b'{"customer": {"name": "Ivan", "vip": true, "orders": [{"state": "sent"}]}, "score": 7}'
        self.head = b"HTTP/1.1 200 OK\r\n"
        self.release = Flag()
        self.release.set()
        self.server = StreamServer(("127.0.0.1", 0), self._serve)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/of/1"

    def _serve(self, connection: object, _address: object) -> None:
        stream = connection.makefile("rwb")  # type: ignore[attr-defined]  # gevent's socket
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += stream.readline() or b"\r\n\r\n"
        length = next((int(line[15:]) for line in request.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
        self.requests.append(request + stream.read(length))
        self.release.wait(PATIENCE_SECONDS)
        stream.write(self.head + b"Content-Length: %d\r\n\r\n" % len(self.answer) + self.answer)
        stream.flush()


@pytest.fixture
def crm() -> Iterator[Crm]:
    crm = Crm()
    yield crm
    crm.server.stop(timeout=1)


class Desk:
    """Workers that ask, and the log into which they answer."""

    def __init__(self, allowed: str = "127.0.0.1/32") -> None:
        self.bus = MemoryBus()
        self.stopping = Flag()
        self.asker = Lookups(Outside(AddressGuard.parse(allowed)), self.bus.producer, Clock())
        self.workers = [gevent.spawn(self.asker.run, self.stopping) for _ in range(4)]

    def close(self) -> None:
        self.stopping.set()
        gevent.joinall(self.workers, timeout=PATIENCE_SECONDS, raise_error=True)

    def answers(self, count: int) -> list[TakeLookup]:
        with gevent.Timeout(PATIENCE_SECONDS, AssertionError("no answer came")):
            while len(self.bus.records(INPUTS)) < count:
                gevent.sleep(0.005)
        inputs = [Input.FromString(record.value) for record in self.bus.records(INPUTS)]
        assert all((given.tenant_id, given.request.actor) == ("acme", "system") for given in inputs)
        return [given.request.take_lookup for given in inputs]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.02)
    desk = Desk()
    yield desk
    desk.close()


def lookup(url: str, lookup_id: str = "l1", body: bytes = b"", timeout_ms: int = 2_000) -> Lookup:
    wanted = (("customer.name", "name"), ("customer.vip", "vip"), ("customer.orders.0.state", "state"), ("x.y", "none"))
    return Lookup("acme", "c1", lookup_id, url, body, timeout_ms, wanted)


def test_what_the_crm_says_comes_back_as_a_record_of_the_tenant(crm: Crm, desk: Desk) -> None:
    desk.asker.ask([lookup(crm.url, body=b'{"who": "me"}')])
    (found,) = desk.answers(1)
    assert (found.call_id, found.lookup_id, found.status, found.fault) == ("c1", "l1", 200, "")
    assert dict(found.values) == {"name": "Ivan", "vip": "true", "state": "sent"}
    assert crm.requests[0].startswith(b"POST /of/1 HTTP/1.1\r\n")
    assert b"Idempotency-Key: l1\r\n" in crm.requests[0]
    assert crm.requests[0].endswith(b'{"who": "me"}')


def test_without_fields_the_url_is_only_read(crm: Crm, desk: Desk) -> None:
    desk.asker.ask([lookup(crm.url)])
    desk.answers(1)
    assert crm.requests[0].startswith(b"GET /of/1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("head", "answer", "fault"),
    [
        (b"HTTP/1.1 500 Oops\r\n", b"{}", "it answered 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n", b"", "it answered 302"),
        (b"HTTP/1.1 200 OK\r\n", b"<html>", "the answer is not JSON"),
        (b"HTTP/1.1 200 OK\r\n", b"[" * 60_000, "the answer is not JSON"),
        (b"HTTP/1.1 200 OK\r\n", b'"' + b"x" * 100_000 + b'"', "too long"),
        (b"nonsense\r\n", b"", "not HTTP"),
    ],
)
def test_an_answer_that_is_of_no_use_is_a_fault(crm: Crm, desk: Desk, head: bytes, answer: bytes, fault: str) -> None:
    crm.head, crm.answer = head, answer
    desk.asker.ask([lookup(crm.url)])
    (found,) = desk.answers(1)
    assert fault in found.fault
    assert not found.values
    assert len(crm.requests) == 1


def test_a_crm_that_is_silent_is_given_up_at_the_deadline(crm: Crm, desk: Desk) -> None:
    crm.release.clear()
    desk.asker.ask([lookup(crm.url, timeout_ms=200)])
    (found,) = desk.answers(1)
    assert found.fault == "no answer in time"
    crm.release.set()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/", "nonsense"]
)
def test_no_private_address_is_reached_and_none_that_is_not_one(
    crm: Crm, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.02)
    desk = Desk(allowed="")
    desk.asker.ask([lookup(url.format(port=crm.server.server_port))])
    (found,) = desk.answers(1)
    assert found.fault
    assert crm.requests == []
    desk.close()


def test_a_slow_crm_of_one_tenant_takes_a_bounded_number_of_workers(crm: Crm, desk: Desk) -> None:
    crm.release.clear()
    desk.asker.ask([lookup(crm.url, f"l{number}") for number in range(MOST_OF_A_TENANT + 3)])
    refused = desk.answers(3)
    assert {found.fault for found in refused} == {"too many lookups at once"}
    crm.release.set()
    assert len(desk.answers(MOST_OF_A_TENANT + 3)) == MOST_OF_A_TENANT + 3


def test_what_is_being_asked_is_not_asked_again(crm: Crm, desk: Desk) -> None:
    crm.release.clear()
    desk.asker.ask([lookup(crm.url)])
    desk.asker.ask([lookup(crm.url), lookup(crm.url, "l2")])
    crm.release.set()
    assert {found.lookup_id for found in desk.answers(2)} == {"l1", "l2"}
    assert len(crm.requests) == 2


def test_a_broker_that_is_away_ends_no_worker(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.02)
    tries: list[int] = []

    def away() -> None:
        tries.append(1)
        raise BusUnavailable("away")

    stopping = Flag()
    asker = Lookups(Outside(AddressGuard.parse("127.0.0.1/32")), away, Clock())  # type: ignore[arg-type]  # never returns
    worker = gevent.spawn(asker.run, stopping)
    asker.ask([lookup(crm.url)])
    with gevent.Timeout(PATIENCE_SECONDS, AssertionError("it was never told")):
        while not tries:
            gevent.sleep(0.005)
    assert not worker.dead
    stopping.set()
    worker.join(PATIENCE_SECONDS)


def test_numbers_are_texts_and_what_is_no_single_value_is_left_out() -> None:
    body = b'{"a": 1.5, "b": {"c": 1}, "d": null, "e": [], "f": 7, "g": "' + b"x" * 900 + b'"}'
    paths = [(name, name) for name in "abdefgz"]
    found = read_answer(Answer(200, 5, body=body), paths)
    assert {name: value[:9] for name, value in found.values.items()} == {"a": "1.5", "f": "7", "g": "x" * 9}
    assert len(found.values["g"]) == 500
