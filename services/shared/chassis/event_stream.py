"""Answers that go on: server-sent events, as the pages follow them."""

import errno
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

import gevent
import prometheus_client
from flask import Response

from services.shared.chassis.problems import problem

EVENT_STREAM: Final = "text/event-stream"
BEAT: Final = b": beat\n\n"
"""A comment: it keeps proxies from ending a silent stream, and finds browsers that are gone."""
BEAT_SECONDS: Final = 15.0
# A stream is ended after this, so that a token that was taken away does not live on in it; the page opens a new one.
STREAM_SECONDS: Final = 600.0
# A reader who takes nothing for so long is dropped.
SLOW_SECONDS: Final = 10.0
RETRY_AFTER_SECONDS: Final = 10


class TooManyStreams(Exception):
    """Whoever asks should come back later."""


@dataclass(frozen=True, slots=True)
class StreamMetrics:
    """What Prometheus is told of a service's streams."""

    open: prometheus_client.Gauge
    refused: prometheus_client.Counter
    slow: prometheus_client.Counter


class Streams:
    """The streams of one service: how many may be open, how long each lives, and what becomes of who does not read."""

    def __init__(self, most: int, most_of_tenant: int, metrics: StreamMetrics) -> None:
        self._most = most
        self._most_of_tenant = most_of_tenant
        self._metrics = metrics
        self._open = Counter[str]()

    def answer(self, tenant_id: str, frames: Generator[bytes]) -> Response:
        """Return an answer that sends each frame at once, or a problem (503) where too many are open.

        A frame is a whole event. Who has none for BEAT_SECONDS gives a BEAT: between two frames nothing is looked at.
        """
        try:
            stream = self.open(tenant_id, frames)
        except TooManyStreams as error:
            answer = problem(503, "too-many-streams", f"{error}.")
            answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return answer
        # A proxy that collected the frames would hold back every change.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Response(stream, mimetype=EVENT_STREAM, headers=headers)

    def open(self, tenant_id: str, frames: Generator[bytes]) -> "Stream":
        """Return frames as a stream that is counted until it is closed. Raises TooManyStreams."""
        if self._open.total() >= self._most or self._open[tenant_id] >= self._most_of_tenant:
            self._metrics.refused.inc()
            raise TooManyStreams(f"{self._most_of_tenant} streams a company and {self._most} in all may be open")
        self._count(tenant_id, 1)
        return Stream(self, tenant_id, frames)

    def of(self, tenant_id: str) -> int:
        """Return how many a company has open."""
        return self._open[tenant_id]

    def ended(self, tenant_id: str, *, was_slow: bool) -> None:
        """Note the end of a stream."""
        self._count(tenant_id, -1)
        if was_slow:
            self._metrics.slow.inc()

    def _count(self, tenant_id: str, by: int) -> None:
        self._open[tenant_id] += by
        if not self._open[tenant_id]:
            del self._open[tenant_id]
        self._metrics.open.set(self._open.total())


class Stream:
    """Frames for one reader. Its end is told once, also when it was never begun: a generator alone would not."""

    def __init__(self, streams: Streams, tenant_id: str, frames: Generator[bytes]) -> None:
        self._streams = streams
        self._tenant_id = tenant_id
        self._frames = frames
        self._until = time.monotonic() + STREAM_SECONDS
        self._patience: gevent.Timeout | None = None
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Return the next frame. When it is not taken in time the connection ends as if its reader had closed it."""
        self._is_taken()
        if time.monotonic() >= self._until:
            raise StopIteration
        frame = next(self._frames)
        self._patience = gevent.Timeout.start_new(
            SLOW_SECONDS, BrokenPipeError(errno.EPIPE, "the reader does not read")
        )
        return frame

    def close(self) -> None:
        """Let the stream go; the web server calls it whatever happened."""
        if not self._is_open:
            return
        self._is_open = False
        self._streams.ended(self._tenant_id, was_slow=not self._is_taken())
        self._frames.close()

    def _is_taken(self) -> bool:
        """End the wait for the last frame's reader; return whether he took it in time."""
        patience, self._patience = self._patience, None
        if patience is None:
            return True
        in_time = bool(patience.pending)
        patience.close()
        return in_time
