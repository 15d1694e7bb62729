"""Streams of one service: how many, how long, and who does not read."""

import errno
from collections.abc import Generator

import gevent
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.shared.chassis import event_stream
from services.shared.chassis.event_stream import StreamMetrics, Streams, TooManyStreams

DEADLINE_SECONDS = 60.0


class Frames:
    """Frames without an end, and whether somebody closed them."""

    def __init__(self) -> None:
        self.closed = 0

    def __call__(self) -> Generator[bytes]:
        try:
            while True:
                yield b"data: 1\n\n"
        finally:
            self.closed += 1


@pytest.fixture
def told() -> StreamMetrics:
    registry = CollectorRegistry()
    return StreamMetrics(
        Gauge("open", "-", registry=registry),
        Counter("refused", "-", registry=registry),
        Counter("slow", "-", registry=registry),
    )


def test_a_company_takes_no_other_company_s_room_and_an_end_makes_room_once(told: StreamMetrics) -> None:
    streams, frames = Streams(3, 2, told), Frames()
    begun, never_begun = streams.open("acme", frames()), streams.open("acme", frames())
    next(begun)
    with pytest.raises(TooManyStreams, match="2 streams a company and 3 in all"):
        streams.open("acme", frames())
    streams.open("beta", frames())
    with pytest.raises(TooManyStreams):
        streams.open("gamma", frames())
    assert (told.open._value.get(), told.refused._value.get()) == (3, 2)
    for stream in (begun, begun, never_begun, never_begun):
        stream.close()
    assert (streams.of("acme"), streams.of("beta"), told.open._value.get(), told.slow._value.get()) == (0, 1, 1, 0)
    assert frames.closed == 1


def test_a_reader_who_takes_nothing_is_dropped_as_if_he_had_gone(
    told: StreamMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "SLOW_SECONDS", 0.01)
    streams = Streams(1, 1, told)
    stream = streams.open("acme", Frames()())
    next(stream)
    with pytest.raises(BrokenPipeError) as raised:
        gevent.sleep(DEADLINE_SECONDS)  # the web server waits like this for room in the connection
    assert raised.value.errno == errno.EPIPE
    stream.close()
    assert (told.slow._value.get(), told.open._value.get()) == (1, 0)


def test_who_reads_is_not_dropped_while_nothing_happens(told: StreamMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SLOW_SECONDS", 0.01)

    def seldom() -> Generator[bytes]:
        for _ in range(2):
            gevent.sleep(0.05)
            yield b"data: 1\n\n"

    assert len(list(Streams(1, 1, told).open("acme", seldom()))) == 2


def test_a_stream_ends_after_its_time_so_that_a_token_taken_away_opens_nothing_more(
    told: StreamMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "STREAM_SECONDS", 0.1)
    stream = Streams(1, 1, told).open("acme", Frames()())
    next(stream)
    with gevent.Timeout(DEADLINE_SECONDS):
        assert set(stream) <= {b"data: 1\n\n"}
