"""Live numbers as bytes for browsers: rendered once for all who look, pushed when they change."""

import errno
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import gevent
import orjson
from gevent.event import Event as Flag

from services.shared.chassis.clock import Clock
from services.stats import metrics
from services.stats.domain.board import Board

# A change reaches a browser after this at most; more of them within it go together.
COALESCE_SECONDS: Final = 0.25
# Windows slide without an event: what they changed is looked for so often.
TICK_SECONDS: Final = 1.0
# A stream is ended after this, so that a token that was taken away does not live on in it; the page opens a new one.
STREAM_SECONDS: Final = 600.0
# A reader who takes nothing for so long is dropped.
SLOW_SECONDS: Final = 10.0
MOST_STREAMS: Final = 200
MOST_STREAMS_OF_TENANT: Final = 50
BEAT: Final = b": beat\n\n"


class TooManyStreams(Exception):
    """Whoever asks should come back later."""


class Feed:
    """Renders and streams live numbers."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._changed = Flag()
        self._rendered: dict[str, tuple[int, float, bytes, bytes]] = {}
        self._open: dict[str, int] = {}

    def notify(self) -> None:
        """Wake every stream: something changed."""
        changed, self._changed = self._changed, Flag()
        changed.set()

    def view(self, tenant_id: str) -> dict[str, Any]:
        """Return a tenant's live numbers; `speed` is platform seconds a second, for a page that counts on by itself."""
        return self._board.view(tenant_id, self._clock.now_ms()) | {"speed": self._clock.speed}

    def stream(self, tenant_id: str, stopping: Flag) -> Iterator[bytes]:
        """Return server-sent events: `live` with the view, comments while nothing changes. Raises TooManyStreams."""
        if sum(self._open.values()) >= MOST_STREAMS or self._open.get(tenant_id, 0) >= MOST_STREAMS_OF_TENANT:
            metrics.STREAMS_REFUSED.inc()
            raise TooManyStreams(f"{MOST_STREAMS_OF_TENANT} streams a company and {MOST_STREAMS} in all may be open")
        self._count(tenant_id, 1)
        return _Stream(self._frames(tenant_id, stopping), lambda: self._count(tenant_id, -1))

    def _frames(self, tenant_id: str, stopping: Flag) -> Iterator[bytes]:
        sent = b""
        end = time.monotonic() + STREAM_SECONDS
        while not stopping.is_set() and time.monotonic() < end:
            version, essence, frame = self._render(tenant_id)
            yield from _while_it_reads(BEAT if essence == sent else frame)
            sent = essence
            gevent.sleep(COALESCE_SECONDS)
            self._wait_for_change(tenant_id, version)

    def _wait_for_change(self, tenant_id: str, version: int) -> None:
        end = time.monotonic() + TICK_SECONDS - COALESCE_SECONDS
        while (left := end - time.monotonic()) > 0:
            changed = self._changed
            if self._board.version(tenant_id) != version:
                return
            changed.wait(left)

    def _render(self, tenant_id: str) -> tuple[int, bytes, bytes]:
        """Return (version, what it says but for the time, frame); streams that ask at nearly the same time share it."""
        version, now = self._board.version(tenant_id), time.monotonic()
        known = self._rendered.get(tenant_id)
        if known is None or known[0] != version or now - known[1] >= COALESCE_SECONDS:
            view = self.view(tenant_id)
            frame = b"event: live\ndata: " + orjson.dumps(view) + b"\n\n"
            known = self._rendered[tenant_id] = (version, now, orjson.dumps(view | {"now_ms": 0}), frame)
        return known[0], known[2], known[3]

    def _count(self, tenant_id: str, by: int) -> None:
        count = self._open.get(tenant_id, 0) + by
        if count:
            self._open[tenant_id] = count
        else:
            self._open.pop(tenant_id, None)
            self._rendered.pop(tenant_id, None)
        metrics.STREAMS.set(sum(self._open.values()))


class _Stream:
    """An iterator that tells its end once, also when it was never begun: a generator alone would not."""

    def __init__(self, frames: Iterator[bytes], ended: Callable[[], None]) -> None:
        self._frames = frames
        self._ended: Callable[[], None] | None = ended

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._frames)

    def close(self) -> None:
        """Let the stream go; the web server calls it whatever happened."""
        ended, self._ended = self._ended, None
        if ended is not None:
            self._frames.close()  # type: ignore[attr-defined]  # it is a generator of ours
            ended()


def _while_it_reads(frame: bytes) -> Iterator[bytes]:
    """Hand out a frame; when it is not taken in SLOW_SECONDS the connection ends as if the reader had closed it."""
    timer = gevent.Timeout.start_new(SLOW_SECONDS, BrokenPipeError(errno.EPIPE, "the reader does not read"))
    try:
        yield frame
    finally:
        if not timer.pending:
            metrics.SLOW_READERS.inc()
        timer.close()
