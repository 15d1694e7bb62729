"""Reads what is kept of a recording: whole, by parts, with its fingerprint and its picture. All of it blocks."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.recorder.adapters.disk import Blocks, ClaimedFile
from services.recorder.domain.digest import Digest
from services.recorder.domain.wav import Shape
from services.recorder.errors import FileChanged

PART_BYTES = 32 * 1024 * 1024
"""A larger object is sent in parts of this size. Each part is hashed once more than the whole: 20 MB in three parts of
8 MiB cost a fifth more than in one. S3 takes parts from 5 MiB, at most 10,000."""
PIECE_BYTES = 1024 * 1024
"""What is read at once: bytes in memory for each recording in hand. Half a minute of a call fits, and is read once."""
SILENT_PEAK = 64
"""No sample above this is silence: -54 dB below full scale, quieter than a telephone line's own noise."""
WAVEFORM_COLUMNS = 2_000
_LEAST_COLUMN_MS = 20
_SLICE_FRAMES = 131_072
_FULL_SCALE = 32_768
BLOCKS = Blocks(PIECE_BYTES)


class Content(Protocol):
    """Bytes that are stored as one object."""

    size_bytes: int
    in_memory: memoryview | None
    """All of them, where they need not be read."""

    def read_into(self, place: memoryview, at: int) -> None:
        """Fill a place with the bytes from `at` on. Raises FileChanged, FolderFailed."""


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
        self.in_memory: memoryview | None = None

    def hold_in(self, place: memoryview) -> None:
        """Read all of it into a place, and give it from there. Raises FileChanged, FolderFailed."""
        self.read_into(place[: self.size_bytes], 0)
        self.in_memory = place[: self.size_bytes]

    def read_into(self, place: memoryview, at: int) -> None:
        """Fill a place with the bytes from `at` on. Raises FileChanged, FolderFailed."""
        if self.in_memory is not None:
            place[:] = self.in_memory[at : at + len(place)]
            return
        shape, end = self._shape, at + len(place)
        head = shape.head[at:end]
        place[: len(head)] = head
        begin, until = max(at, len(shape.head)), min(end, shape.until)
        if until > begin and self._file.read_into(place[begin - at : until - at], begin) != until - begin:
            raise FileChanged("the file became shorter while it was read")
        if end > shape.until:
            place[max(shape.until - at, 0) :] = shape.padding[max(at - shape.until, 0) : end - shape.until]

    def read(self, at: int, size: int) -> bytearray:
        """Return exactly so many bytes. Raises FileChanged, FolderFailed."""
        found = bytearray(size)
        self.read_into(memoryview(found), at)
        return found


def ranges(size_bytes: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield place and length of the pieces of a content, at least one, the last shorter."""
    for at in range(0, max(size_bytes, 1), most):
        yield at, min(most, size_bytes - at)


def pieces(content: Content) -> Iterator[memoryview]:
    """Yield all of a content; each piece is good until the next one is asked for."""
    if content.in_memory is not None:
        yield content.in_memory
        return
    with BLOCKS.block(content.size_bytes) as block:
        for at, size in ranges(content.size_bytes, PIECE_BYTES):
            content.read_into(block[:size], at)
            yield block[:size]


def digest_of(content: Content, part_bytes: int = PART_BYTES) -> Digest:
    """Return a fingerprint by reading everything once."""
    hashes = _Hashes(content.size_bytes, part_bytes)
    for piece in pieces(content):
        hashes.take(piece)
    return hashes.digest()


def measure(content: KeptSound, shape: Shape, part_bytes: int = PART_BYTES) -> Measured:
    """Return the fingerprint of what is kept, whether nothing is heard in it, and how it looks."""
    hashes = _Hashes(content.size_bytes, part_bytes)
    picture = _Picture(shape) if shape.format.is_pcm16 else None
    sound_at = shape.data_offset
    for piece in pieces(content):
        hashes.take(piece)
        if picture is not None:
            picture.take(piece[sound_at:])
            sound_at = max(0, sound_at - len(piece))
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

    def take(self, piece: memoryview) -> None:
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

    def take(self, sound: memoryview) -> None:
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
        # The lowest sample has no positive of 16 bits: its abs is itself, and the right one when it is read unsigned.
        loudness = np.abs(samples).view(np.uint16)
        place = self._peaks[first : first + len(starts)]
        np.maximum(place, np.maximum.reduceat(loudness, starts, axis=0), out=place)
        self._taken += len(samples)

    def drawn(self) -> Waveform:
        roots = np.sqrt(np.minimum(self._peaks, _FULL_SCALE) / _FULL_SCALE)
        return Waveform(self._column_ms, self._channels, np.rint(roots * 255).astype(np.uint8).tobytes())
