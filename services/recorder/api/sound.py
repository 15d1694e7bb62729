"""Sound to a browser, whole or in the pieces that it asks for (RFC 9110, section 14)."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import IO, Protocol

from flask import Response, request

from services.recorder.adapters.disk import in_thread

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_PIECE = 65_536


class Ranged(Protocol):
    """Where bytes come from."""

    def read_range(self, key: str, first: int, last: int) -> Iterator[bytes]:
        """Yield bytes from first to last, both included."""


class _Kept:
    """An open file of the node's own, sent and then closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read_range(self, _key: str, first: int, last: int) -> Iterator[bytes]:
        try:
            self._file.seek(first)
            left = last - first + 1
            while left > 0 and (piece := in_thread(self._file.read, min(_PIECE, left))):
                left -= len(piece)
                yield piece
        finally:
            self._file.close()


def send_file(file: IO[bytes], size_bytes: int, media_type: str) -> Response:
    """Answer with a file; it is closed when it was sent."""
    return send_sound(_Kept(file), "", size_bytes, media_type, "")


def send_sound(source: Ranged, key: str, size_bytes: int, media_type: str, file_name: str) -> Response:
    """Answer with an object's sound; with a file name it is saved and not played."""
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if file_name:
        headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    asked = asked_range(request.headers.get("Range", ""), size_bytes)
    if asked is None:
        return Response(status=416, headers={**headers, "Content-Range": f"bytes */{size_bytes}"})
    first, last = asked
    is_part = (first, last) != (0, size_bytes - 1) or "Range" in request.headers
    if is_part:
        headers["Content-Range"] = f"bytes {first}-{last}/{size_bytes}"
    headers["Content-Length"] = str(last - first + 1)
    pieces = source.read_range(key, first, last)
    begin = next(pieces, b"")  # a store that does not answer is told of before the answer has begun
    return Response(chain((begin,), pieces), status=206 if is_part else 200, mimetype=media_type, headers=headers)


def asked_range(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Return first and last byte asked for; all of them for a header that is no single range; None for one outside."""
    found = _RANGE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return 0, size_bytes - 1
    if not found[1]:
        return (max(0, size_bytes - int(found[2])), size_bytes - 1) if int(found[2]) else None
    first = int(found[1])
    last = min(int(found[2]), size_bytes - 1) if found[2] else size_bytes - 1
    return (first, last) if first <= last else None
