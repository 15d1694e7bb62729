"""Reads what is kept of a recording: whole, by parts, with its fingerprint and its picture. All of it blocks."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.recorder.adapters.disk import ClaimedFile
from services.recorder.domain.digest import Digest
from services.recorder.domain.wav import Shape
from services.recorder.errors import FileChanged

PART_BYTES = 32 * 1024 * 1024
"""A larger object is sent in parts of this size. Each part is hashed once more than the whole: 20 MB in three parts of
8 MiB cost a fifth more than in one. S3 takes parts from 5 MiB, at most 10,000."""
PIECE_BYTES = 1024 * 1024
"""What is read at once: bytes in memory for each recording in hand."""
SILENT_PEAK = 64
"""No sample above this is silence: -54 dB below full scale, quieter than a telephone line's own noise."""
WAVEFORM_COLUMNS = 2_000
_LEAST_COLUMN_MS = 20
_SLICE_FRAMES = 131_072
_FULL_SCALE = 32_768


class Content(Protocol):
    """Bytes that are stored as one object."""

    size_bytes: int

    def read(self, at: int, size: int) -> bytes:
        """Return exactly so many bytes. Raises FileChanged, FolderFailed."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """A recording's picture: for each column and channel the loudest sample, as its root in 255 steps."""

    column_ms: int
    channels: int
    peaks: bytes


@dataclass(frozen=True, slots=True)
class Measured:
    """What one reading of a recording found out."""

    digest: Digest
    is_silent: bool
    waveform: Waveform | None
    """None where the samples are no 16-bit integers."""


class KeptSound:
    """What is kept of a claimed file: the head that was judged or rebuilt, the file's bytes, the padding."""

    def __init__(self, file: ClaimedFile, shape: Shape) -> None:
        self._file = file
        self._shape = shape
        self.size_bytes = shape.size_bytes

    def read(self, at: int, size: int) -> bytes:
        """Return exactly so many bytes. Raises FileChanged, FolderFailed."""
        shape, end = self._shape, at + size
        pieces = [shape.head[at:end]]
        begin = max(at, len(shape.head))
        wanted = min(end, shape.until) - begin
        if wanted > 0:
            pieces.append(self._file.read(begin, wanted))
            if len(pieces[-1]) != wanted:
                raise FileChanged("the file became shorter while it was read")
        if end > shape.until:
            pieces.append(shape.padding)
        return pieces[1] if not pieces[0] and len(pieces) == 2 else b"".join(pieces)  # noqa: PLR2004 - head and file


def ranges(size_bytes: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield place and length of the pieces of a content, at least one, the last shorter."""
    for at in range(0, max(size_bytes, 1), most):
        yield at, min(most, size_bytes - at)


def digest_of(content: Content, part_bytes: int = PART_BYTES) -> Digest:
    """Return a fingerprint by reading everything once."""
    hashes = _Hashes(content.size_bytes, part_bytes)
    for at, size in ranges(content.size_bytes, PIECE_BYTES):
        hashes.take(content.read(at, size))
    return hashes.digest()


def measure(content: KeptSound, shape: Shape, part_bytes: int = PART_BYTES) -> Measured:
    """Return the fingerprint of what is kept, whether nothing is heard in it, and how it looks."""
    hashes = _Hashes(content.size_bytes, part_bytes)
    picture = _Picture(shape) if shape.format.is_pcm16 else None
    sound_at = shape.data_offset
    for at, size in ranges(content.size_bytes, PIECE_BYTES):
        piece = content.read(at, size)
        hashes.take(piece)
        if picture is not None:
            picture.take(memoryview(piece)[sound_at:] if sound_at else piece)
            sound_at = max(0, sound_at - size)
    digest = hashes.digest()
    if picture is None:
        return Measured(digest, is_silent=False, waveform=None)
    return Measured(digest, picture.is_silent, picture.drawn())


class _Hashes:
    """Of the whole, and of its parts where there are several. PIECE_BYTES divides a part's."""

    def __init__(self, size_bytes: int, part_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._part_bytes = part_bytes
        self._whole = hashlib.sha256()
        self._parts = [hashlib.sha256() for _ in ranges(size_bytes, part_bytes)]
        self._taken = 0

    def take(self, piece: bytes) -> None:
        self._whole.update(piece)
        if len(self._parts) > 1:
            self._parts[self._taken // self._part_bytes].update(piece)
        self._taken += len(piece)

    def digest(self) -> Digest:
        parts = self._parts if len(self._parts) > 1 else [self._whole]  # a lone part is hashed once
        return Digest(self._size_bytes, self._whole.hexdigest(), tuple(part.digest() for part in parts))


class _Picture:
    def __init__(self, shape: Shape) -> None:
        self._channels = shape.format.channels
        frames = shape.data_bytes // shape.format.frame_bytes
        self._frames = frames
        self._column_ms = max(_LEAST_COLUMN_MS, -(-shape.duration_ms // WAVEFORM_COLUMNS))
        self._column_frames = max(1, shape.format.sample_rate * self._column_ms // 1000)
        self._peaks = np.zeros((-(-frames // self._column_frames), self._channels), np.int32)
        self._taken = 0
        self._rest = b""

    @property
    def is_silent(self) -> bool:
        return not self._peaks.size or int(self._peaks.max()) <= SILENT_PEAK

    def take(self, sound: bytes | memoryview) -> None:
        """Take the next bytes of the sound; what follows its end (titles) is left out."""
        held = self._rest + bytes(sound) if self._rest else sound
        frame = self._channels * 2
        whole = min(len(held) // frame, self._frames - self._taken)
        self._rest = bytes(held[whole * frame : (whole + 1) * frame - 1]) if whole * frame < len(held) else b""
        samples = np.frombuffer(held, np.int16, whole * self._channels).reshape(-1, self._channels)
        for at in range(0, whole, _SLICE_FRAMES):
            self._note(samples[at : at + _SLICE_FRAMES])

    def _note(self, samples: NDArray[np.int16]) -> None:
        first, offset = divmod(self._taken, self._column_frames)
        edges = np.arange(self._column_frames - offset, len(samples), self._column_frames)
        starts = np.concatenate(([0], edges))
        # The loudest by both ends: abs of the lowest 16-bit sample has no 16-bit value, and this copies nothing.
        highest = np.maximum.reduceat(samples, starts, axis=0).astype(np.int32)
        lowest = -np.minimum.reduceat(samples, starts, axis=0).astype(np.int32)
        place = self._peaks[first : first + len(starts)]
        np.maximum(place, np.maximum(highest, lowest), out=place)
        self._taken += len(samples)

    def drawn(self) -> Waveform:
        roots = np.sqrt(np.minimum(self._peaks, _FULL_SCALE) / _FULL_SCALE)
        return Waveform(self._column_ms, self._channels, np.rint(roots * 255).astype(np.uint8).tobytes())
