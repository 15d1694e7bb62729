"""What a WAV file's first bytes say (RIFF, Microsoft 1991), and how a cut recording is made whole.

A killed FreeSWITCH leaves a header that says zero bytes of sound before a file full of it (wire truth 25). The file on
disk is never changed: the repair is a new head that is sent in place of the old one, so any try makes the same object.
"""

import struct
from dataclasses import dataclass

HEAD_BYTES = 65_536
"""How much of the file `read_shape` wants to see; the sound must begin within it."""

_RIFF_HEAD = 12
_CHUNK_HEAD = 8
_FORMAT_BYTES = 16
_MAX_RIFF_BYTES = 0xFFFF_FFFF
_PCM, _EXTENSIBLE = 1, 0xFFFE
_CODECS = frozenset({_PCM, 3, 6, 7, _EXTENSIBLE})
"""PCM, float, A-law, mu-law, extensible: what FreeSWITCH can write through libsndfile."""
_MAX_CHANNELS = 8
_MAX_SAMPLE_RATE = 192_000


class NotWav(ValueError):
    """The bytes are no WAV file that could be repaired; the sentence says why. The file is quarantined."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the sound is coded."""

    codec: int
    channels: int
    sample_rate: int
    frame_bytes: int
    sample_bits: int

    @property
    def is_pcm16(self) -> bool:
        """Whether samples are 16-bit integers, so that silence can be told."""
        return self.codec in (_PCM, _EXTENSIBLE) and self.sample_bits == 16  # noqa: PLR2004 - the name says it


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a file is kept: `head`, then the file's bytes from `len(head)` until `until`, then `padding`."""

    format: Format
    is_complete: bool
    """The header agrees with the file's size and there is sound: nobody writes to it any more."""
    head: bytes
    data_offset: int
    data_bytes: int
    until: int
    padding: bytes
    is_repaired: bool

    @property
    def size_bytes(self) -> int:
        """Size of what is kept."""
        return self.until + len(self.padding)

    @property
    def duration_ms(self) -> int:
        """Length of the sound."""
        return self.data_bytes // self.format.frame_bytes * 1000 // self.format.sample_rate


@dataclass(frozen=True, slots=True)
class _Header:
    riff_bytes: int
    format: Format
    data_offset: int
    data_bytes: int


def read_shape(head: bytes, file_bytes: int) -> Shape:
    """Judge a file by its first HEAD_BYTES and its size. Raises NotWav.

    A complete file is kept byte for byte. Any other keeps every whole frame that is there, under a header that tells
    the true size; a last, half-written frame is dropped.
    """
    if file_bytes - _CHUNK_HEAD > _MAX_RIFF_BYTES:
        raise NotWav("the file is larger than a WAV file can be")
    header = _read_header(head)
    data_end = header.data_offset + header.data_bytes
    is_whole = header.riff_bytes + _CHUNK_HEAD == file_bytes and data_end <= file_bytes
    is_plain = data_end in (file_bytes, file_bytes - header.data_bytes % 2)
    if header.data_bytes and is_whole and (is_plain or _chunk_follows(header, file_bytes)):
        return Shape(
            format=header.format,
            is_complete=True,
            head=head[: header.data_offset],
            data_offset=header.data_offset,
            data_bytes=header.data_bytes,
            until=file_bytes,
            padding=b"",
            is_repaired=False,
        )
    return _rebuilt(head, header, file_bytes)


def _chunk_follows(header: _Header, file_bytes: int) -> bool:
    """Whether what lies behind the sound is long enough to be a further chunk (titles, for example)."""
    padded_end = header.data_offset + header.data_bytes + header.data_bytes % 2
    return file_bytes - padded_end >= _CHUNK_HEAD


def _rebuilt(head: bytes, header: _Header, file_bytes: int) -> Shape:
    frame_bytes = header.format.frame_bytes
    data_bytes = (file_bytes - header.data_offset) // frame_bytes * frame_bytes
    padding = b"\0" * (data_bytes % 2)
    until = header.data_offset + data_bytes
    new = bytearray(head[: header.data_offset])
    struct.pack_into("<I", new, 4, until + len(padding) - _CHUNK_HEAD)
    struct.pack_into("<I", new, header.data_offset - 4, data_bytes)
    is_repaired = bytes(new) != head[: header.data_offset] or until != file_bytes
    return Shape(
        format=header.format,
        is_complete=False,
        head=bytes(new),
        data_offset=header.data_offset,
        data_bytes=data_bytes,
        until=until,
        padding=padding,
        is_repaired=is_repaired,
    )


def _read_header(head: bytes) -> _Header:
    if len(head) < _RIFF_HEAD:
        raise NotWav("the file is empty" if not head else "the header is cut")
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise NotWav("the file is not RIFF/WAVE")
    (riff_bytes,) = struct.unpack_from("<I", head, 4)
    found: Format | None = None
    at = _RIFF_HEAD
    while at + _CHUNK_HEAD <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        at += _CHUNK_HEAD
        if name == b"data":
            if found is None:
                raise NotWav("the sound comes before its format")
            return _Header(riff_bytes, found, at, size)
        if name == b"fmt ":
            found = _read_format(head[at : at + size])
        at += size + size % 2
    raise NotWav("the header has no sound chunk")


def _read_format(chunk: bytes) -> Format:
    if len(chunk) < _FORMAT_BYTES:
        raise NotWav("the format chunk is cut")
    codec, channels, sample_rate, _bytes_per_second, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if codec not in _CODECS:
        raise NotWav("the sound's codec is unknown")
    if not 1 <= channels <= _MAX_CHANNELS or not 1 <= sample_rate <= _MAX_SAMPLE_RATE:
        raise NotWav("the format's channels or sample rate are impossible")
    if bits % 8 or not bits or frame_bytes != channels * bits // 8:
        raise NotWav("the format's frame size contradicts its channels")
    return Format(codec, channels, sample_rate, frame_bytes, bits)
