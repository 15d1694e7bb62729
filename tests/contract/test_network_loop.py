"""kafka-python's own loop and ours for gevent do the same: one suite for both."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from kafka.errors import KafkaTimeoutError
from kafka.net.selector import NetworkSelector

from services.shared.bus.network_loop import MOST_ROUNDS, NetworkLoop
from services.shared.testing.waiting import wait_until

SOON_SECONDS = 60.0


@pytest.fixture(params=[NetworkSelector, NetworkLoop], ids=["library", "hub"])
def loop(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    made.start()
    yield made
    made.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)  # noqa: FBT003 - the library's name for it
    yield pair
    for end in pair:
        end.close()


async def _read(loop: Any, sock: socket.socket, timeout_at: float | None = None) -> bytes:
    await loop.wait_read(sock, timeout_at)
    return sock.recv(65536)


async def _write_all(loop: Any, sock: socket.socket, data: bytes) -> int:
    left, waits = memoryview(data), 0
    while left:
        await loop.wait_write(sock)
        waits += 1
        left = left[sock.send(left) :]
    return waits


def test_a_task_gives_its_value_or_its_error_to_who_waits(loop: Any) -> None:
    async def fails() -> None:
        raise ValueError("as it should")

    async def adds(one: int, other: int) -> int:
        return one + other

    assert loop.run(adds, 1, 2) == 3
    with pytest.raises(ValueError, match="as it should"):
        loop.run(fails)


def test_bytes_wake_who_waits_for_them_each_time(loop: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    reads, writes = ends
    for number in range(50):
        waiting = gevent.spawn(loop.run, _read, loop, reads)
        gevent.idle()
        writes.send(b"%d" % number)
        assert waiting.get(timeout=SOON_SECONDS) == b"%d" % number


def test_a_full_socket_is_waited_for_and_nothing_is_lost(loop: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    reads, writes = ends
    data = bytes(range(256)) * 20_000
    writing = gevent.spawn(loop.run, _write_all, loop, writes, data)
    found = bytearray()
    with gevent.Timeout(SOON_SECONDS):
        while len(found) < len(data):
            found += loop.run(_read, loop, reads)
    assert bytes(found) == data
    assert 1 < writing.get(timeout=SOON_SECONDS) < 5_000  # it waited, and did not spin


def test_a_wait_has_an_end(loop: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    reads, writes = ends
    with pytest.raises(KafkaTimeoutError):
        loop.run(_read, loop, reads, time.monotonic() + 0.05)
    writes.send(b"later")
    assert loop.run(_read, loop, reads) == b"later"


def test_a_timer_comes_when_it_is_due_and_not_before(loop: Any) -> None:
    began = time.monotonic()

    async def sleeps() -> None:
        await loop.sleep(0.05)

    loop.run(sleeps)
    assert 0.05 <= time.monotonic() - began < SOON_SECONDS


def test_a_cancelled_wait_leaves_the_socket_to_others(loop: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    reads, writes = ends
    taken: list[bytes] = []

    async def takes() -> None:
        taken.append(await _read(loop, reads))

    first = loop.call_soon_threadsafe(takes)
    wait_until(lambda: first.state.name == "WAIT_IO", "the first one waits", SOON_SECONDS)
    loop.cancel(first)
    writes.send(b"for the second")
    assert loop.run(_read, loop, reads) == b"for the second"
    assert taken == []


def test_who_is_called_before_the_loop_rests_is_not_forgotten(loop: Any) -> None:
    for _ in range(200):
        _call(loop)


def _call(loop: Any) -> None:
    called = Event()

    def call() -> None:
        called.set()

    loop.call_soon_threadsafe(call)
    assert called.wait(SOON_SECONDS)


def test_tasks_that_are_always_ready_leave_time_to_others(loop: Any) -> None:
    goes_on = True

    async def never_rests() -> None:
        while goes_on:
            await loop.sleep(0)

    others: list[int] = []

    def works() -> None:
        for number in range(100):
            gevent.sleep(0)
            others.append(number)

    task = loop.call_soon_threadsafe(never_rests)
    try:
        gevent.spawn(works).get(timeout=SOON_SECONDS)
    finally:
        goes_on = False
    wait_until(lambda: task.is_done, "it ends", SOON_SECONDS)
    assert len(others) == 100


def test_the_end_of_the_loop_ends_every_wait(loop: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    waiting = gevent.spawn(loop.run, _read, loop, ends[0])
    gevent.idle()
    loop.close()
    with pytest.raises(Exception, match=r"(?i)stopped|cancelled"):
        waiting.get(timeout=SOON_SECONDS)


def test_a_wait_that_can_not_begin_is_an_error_of_its_task(loop: Any) -> None:
    closed, other = socket.socketpair()
    closed.close()
    other.close()
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever a closed socket raises
        loop.run(_read, loop, closed)

    async def still_works() -> str:
        return "yes"

    assert loop.run(still_works) == "yes"


def test_a_request_takes_fewer_turns_of_the_hub_than_are_allowed_at_once() -> None:
    """A write that fits is done before anybody else works: that is what this loop is for."""
    loop, (reads, writes) = NetworkLoop(), socket.socketpair()
    rests: list[float | None] = []
    rest: Callable[[float | None], None] = loop._rest

    def counted(seconds: float | None) -> None:
        rests.append(seconds)
        rest(seconds)

    loop._rest = counted  # type: ignore[method-assign]  # it tells when it is called
    task = loop.call_soon(lambda: _write_all(loop, writes, b"a request"))
    loop.poll(timeout_ms=0)
    assert task.is_done
    assert reads.recv(100) == b"a request"
    assert rests == []
    assert loop._rounds < MOST_ROUNDS
    loop.close()
    reads.close()
    writes.close()
