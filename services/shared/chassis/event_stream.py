"""An answer that goes on: server-sent events, as the pages follow them."""

from collections.abc import Iterable
from typing import Final

from flask import Response

EVENT_STREAM: Final = "text/event-stream"


def event_stream(frames: Iterable[bytes]) -> Response:
    """Return an answer that sends each frame at once: a proxy that collected them would hold back every change."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(frames, mimetype=EVENT_STREAM, headers=headers)
