"""Reads what is kept of a recording: whole, by parts, with its fingerprint and its picture."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.recorder.adapters.disk import ClaimedFile, in_thread
from services.recorder.domain.digest import Digest
from services.recorder.domain.wav import Shape
from services.recorder.errors import FileChanged

PART_BYTES = 8 * 1024 * 1024
"""Bytes in memory for each recording that is being stored; S3 takes parts from 5 MiB."""
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


def parts_of(content: Content, part_bytes: int = PART_BYTES) -> Iterator[bytes]:
    """Yield the bytes in parts, at least one, the last shorter."""
    at = 0
    while at < content.size_bytes or not at:
        part = content.read(at, min(part_bytes, content.size_bytes - at))
        at += len(part)
        yield part


def digest_of(content: Content) -> Digest:
    """Return a fingerprint by reading everything once."""
    hashes = _Hashes()
    for part in parts_of(content):
        in_thread(hashes.take, part)
    return hashes.digest(content.size_bytes)


def measure(content: KeptSound, shape: Shape) -> Measured:
    """Return the fingerprint of what is kept, whether nothing is heard in it, and how it looks."""
    hashes = _Hashes()
    picture = _Picture(shape) if shape.format.is_pcm16 else None
    sound_at = shape.data_offset
    for part in parts_of(content):
        in_thread(hashes.take, part)
        if picture is not None:
            in_thread(picture.take, part[sound_at:] if sound_at else part)
            sound_at = 0
    digest = hashes.digest(shape.size_bytes)
    if picture is None:
        return Measured(digest, is_silent=False, waveform=None)
    return Measured(digest, picture.is_silent, picture.drawn())


class _Hashes:
    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._parts: list[bytes] = []

    def take(self, part: bytes) -> None:
        self._whole.update(part)
        if len(part) == PART_BYTES or self._parts:
            self._parts.append(hashlib.sha256(part).digest())

    def digest(self, size_bytes: int) -> Digest:
        parts = tuple(self._parts) or (self._whole.digest(),)  # a lone part is hashed once
        return Digest(size_bytes, self._whole.hexdigest(), parts)


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

    def take(self, sound: bytes) -> None:
        """Take the next bytes of the sound; what follows its end (titles) is left out."""
        held = self._rest + sound if self._rest else sound
        frame = self._channels * 2
        whole = min(len(held) // frame, self._frames - self._taken)
        self._rest = held[whole * frame : (whole + 1) * frame - 1] if whole * frame < len(held) else b""
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
