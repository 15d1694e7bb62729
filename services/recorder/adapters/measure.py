"""Reads what is kept of a recording: whole, by parts, with its fingerprint."""

import hashlib
from array import array
from collections.abc import Iterator

from services.recorder.adapters.disk import ClaimedFile, in_thread
from services.recorder.domain.digest import Digest
from services.recorder.domain.wav import Shape
from services.recorder.errors import FileChanged

PART_BYTES = 8 * 1024 * 1024
"""Bytes in memory for each recording that is being stored; S3 takes parts from 5 MiB."""
SILENT_PEAK = 64
"""No sample above this is silence: -54 dB below full scale, quieter than a telephone line's own noise."""
_SLICE = 262_144


def parts_of(file: ClaimedFile, shape: Shape) -> Iterator[bytes]:
    """Yield what is kept in parts of PART_BYTES, at least one, the last shorter. Raises FileChanged, FolderFailed."""
    at = 0
    while at < shape.size_bytes or not at:
        part = _read_kept(file, shape, at, min(PART_BYTES, shape.size_bytes - at))
        at += len(part)
        yield part


def measure(file: ClaimedFile, shape: Shape) -> tuple[Digest, bool]:
    """Return the fingerprint of what is kept, and whether nothing is heard in it."""
    whole = hashlib.sha256()
    parts: list[bytes] = []
    is_silent = shape.format.is_pcm16
    sound_at = shape.data_offset
    for part in parts_of(file, shape):
        digest = in_thread(_hash, whole, part)
        if is_silent:
            is_silent = in_thread(_is_silent, part, sound_at)
            sound_at = 0
        parts.append(digest)
    return Digest(shape.size_bytes, whole.hexdigest(), tuple(parts)), is_silent


def _hash(whole: "hashlib._Hash", part: bytes) -> bytes:
    whole.update(part)
    return hashlib.sha256(part).digest()


def _read_kept(file: ClaimedFile, shape: Shape, at: int, size: int) -> bytes:
    """Read from the kept bytes: the head that was judged or rebuilt, the file, the padding."""
    end = at + size
    pieces = [shape.head[at:end]]
    begin = max(at, len(shape.head))
    wanted = min(end, shape.until) - begin
    if wanted > 0:
        pieces.append(file.read(begin, wanted))
        if len(pieces[-1]) != wanted:
            raise FileChanged("the file became shorter while it was read")
    if end > shape.until:
        pieces.append(shape.padding)
    return b"".join(pieces)


def _is_silent(part: bytes, start: int) -> bool:
    """Whether no 16-bit sample from `start` is louder than SILENT_PEAK. Parts and sound begin at even offsets."""
    for at in range(start, len(part), _SLICE):
        piece = part[at : at + _SLICE]
        if piece.count(0) == len(piece):
            continue
        samples = array("h", piece[: len(piece) // 2 * 2])
        if max(samples) > SILENT_PEAK or min(samples) < -SILENT_PEAK:
            return False
    return True
