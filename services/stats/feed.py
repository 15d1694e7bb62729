"""Live numbers as bytes for browsers: rendered once for all who look, pushed when they change."""

import time
from collections.abc import Generator
from typing import Any, Final

import gevent
import orjson
from gevent.event import Event as Flag

from services.shared.chassis.clock import Clock
from services.shared.chassis.event_stream import BEAT, StreamMetrics, Streams
from services.stats import metrics
from services.stats.domain.board import Board

# A change reaches a browser after this at most; more of them within it go together.
COALESCE_SECONDS: Final = 0.25
# Windows slide without an event: what they changed is looked for so often.
TICK_SECONDS: Final = 1.0
MOST_STREAMS: Final = 200
MOST_STREAMS_OF_TENANT: Final = 50


class Feed:
    """Renders and streams live numbers."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._changed = Flag()
        self._rendered: dict[str, tuple[int, float, bytes, bytes]] = {}
        told = StreamMetrics(metrics.STREAMS, metrics.STREAMS_REFUSED, metrics.SLOW_READERS)
        self.streams = Streams(MOST_STREAMS, MOST_STREAMS_OF_TENANT, told)

    def notify(self) -> None:
        """Wake every stream: something changed."""
        changed, self._changed = self._changed, Flag()
        changed.set()

    def view(self, tenant_id: str) -> dict[str, Any]:
        """Return a tenant's live numbers; `speed` is platform seconds a second, for a page that counts on by itself."""
        return self._board.view(tenant_id, self._clock.now_ms()) | {"speed": self._clock.speed}

    def frames(self, tenant_id: str, stopping: Flag) -> Generator[bytes]:
        """Yield server-sent events: `live` with the view, comments while nothing changes."""
        sent = b""
        try:
            while not stopping.is_set():
                version, essence, frame = self._render(tenant_id)
                yield BEAT if essence == sent else frame
                sent = essence
                gevent.sleep(COALESCE_SECONDS)
                self._wait_for_change(tenant_id, version)
        finally:
            if not self.streams.of(tenant_id):
                self._rendered.pop(tenant_id, None)

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
