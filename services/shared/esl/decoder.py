"""The event-socket protocol without I/O: bytes in, frames out.

A frame is header lines, a blank line, and Content-Length bytes of body where there is that header. Only the frame's own
Content-Length moves the boundary: a length inside an event (BACKGROUND_JOB has one) is a header like any other.
"""

import re

from services.shared.esl.errors import ProtocolError
from services.shared.esl.frames import Event, Frame, JsonEvent, Kind, PlainEvent

__all__ = ["Decoder", "Event", "Frame", "JsonEvent", "Kind", "PlainEvent"]

MAX_HEAD_BYTES = 256 * 1024
"""Longest run of frame headers. The largest real one is the answer to `connect`: a whole channel, 6-20 kB."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest body. `show channels as json` of 10,000 channels is 8.6 MB."""

_EVENT_HEAD = re.compile(rb"Content-Length: (\d{1,10})\nContent-Type: text/event-(plain|json)\n\n").match
_LENGTH = re.compile(rb"\d{1,10}").fullmatch
_KINDS = {kind.value: kind for kind in Kind}


class Decoder:
    """Feed it what the socket gave, take what is complete. Any split of the bytes gives the same frames."""

    def __init__(self, max_head_bytes: int = MAX_HEAD_BYTES, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_head = max_head_bytes
        self._max_body = max_body_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._needed_bytes = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes fed that belong to a frame not complete yet."""
        return self._pending_bytes

    def feed(self, data: bytes) -> list[Frame | Event]:
        """Return the frames that `data` completes. Raises ProtocolError; the decoder is unusable after that."""
        if self._pending:
            self._pending.append(data)
            self._pending_bytes += len(data)
            if self._pending_bytes < self._needed_bytes:
                return []  # joined once when the body is whole: a large one in small pieces costs no repeated copies
            data = b"".join(self._pending)
            self._pending.clear()
        frames: list[Frame | Event] = []
        end = self._take_frames(data, frames)
        self._pending_bytes = len(data) - end
        if self._pending_bytes:
            self._pending.append(data[end:])
        return frames

    def _take_frames(self, data: bytes, frames: list[Frame | Event]) -> int:
        """Append the complete frames of `data`; return where the incomplete one begins."""
        position, size = 0, len(data)
        while position < size:
            if event_head := _EVENT_HEAD(data, position):
                head_end = event_head.end()
                end = head_end + self._checked(int(event_head[1]))
                if end > size:
                    self._needed_bytes = end - position
                    return position
                if event_head[2] == b"plain":
                    frames.append(PlainEvent(data[head_end - 1 : end]))
                else:
                    frames.append(JsonEvent(data[head_end:end]))
            elif data.startswith(b"\n", position):
                end = position + 1  # a stray line feed between frames means nothing
            else:
                end = self._take_other(data, position, frames)
                if end < 0:
                    return position
            position = end
        return position

    def _take_other(self, data: bytes, start: int, frames: list[Frame | Event]) -> int:
        """Append the one frame at `start`; return its end, or -1 while it is incomplete."""
        head_end = data.find(b"\n\n", start, start + self._max_head)
        if head_end < 0:
            if len(data) - start >= self._max_head:
                raise ProtocolError(f"no end of the frame's headers within {self._max_head} bytes")
            self._needed_bytes = 0
            return -1
        headers = _headers(data[start:head_end])
        end = head_end + 2 + self._length(headers)
        if end > len(data):
            self._needed_bytes = end - start
            return -1
        frames.append(_frame(headers, data[head_end + 2 : end]))
        return end

    def _length(self, headers: dict[str, str]) -> int:
        text = headers.get("Content-Length")
        if text is None:
            return 0
        if not _LENGTH(text.encode()):
            raise ProtocolError(f"Content-Length {text[:40]!r} is not a length")
        return self._checked(int(text))

    def _checked(self, length: int) -> int:
        if length > self._max_body:
            raise ProtocolError(f"a body of {length} bytes is over the limit of {self._max_body}")
        return length


def _frame(headers: dict[str, str], body: bytes) -> Frame | Event:
    kind = _KINDS.get(headers.get("Content-Type", ""), Kind.UNKNOWN)
    if kind is Kind.EVENT_PLAIN:
        return PlainEvent(b"\n" + body)
    if kind is Kind.EVENT_JSON:
        return JsonEvent(body)
    return Frame(kind, headers, body)


def _headers(head: bytes) -> dict[str, str]:
    """Read a frame's header lines: split first, decode each value after, keep the first of repeated ones.

    Frame headers are not percent-encoded, save in the answer to `connect`, which is a whole channel event.
    """
    event = PlainEvent(b"\n" + head + b"\n\n")
    encoded = head.startswith(b"Event-Name: ")
    headers: dict[str, str] = {}
    for name, value in event.items() if encoded else _raw_lines(head):
        if headers.setdefault(name, value) != value and name == "Content-Length":
            raise ProtocolError("two different Content-Length headers in one frame")
    return headers


def _raw_lines(head: bytes) -> list[tuple[str, str]]:
    lines = (line.partition(b":") for line in head.split(b"\n"))
    return [
        (name.decode("utf-8", "replace"), value.removeprefix(b" ").decode("utf-8", "replace"))
        for name, colon, value in lines
        if colon
    ]
