"""A part of a stored recording as a WAV file of its own."""

import struct
import tempfile
from collections.abc import Iterator
from typing import IO, Any, Protocol

import av

from services.recorder.adapters.disk import in_thread
from services.recorder.adapters.mongo import RecordingDocument

LONGEST_CUT_MS = 600_000
_CONTAINERS = {"audio/wav": "wav", "audio/flac": "flac", "audio/ogg": "ogg"}
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_LAYOUTS = {1: "mono", 2: "stereo"}


class Fetching(Protocol):
    """Where sound comes from."""

    def fetch(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes."""


def cut(store: Fetching, document: RecordingDocument, from_ms: int, to_ms: int) -> IO[bytes]:
    """Return an open file of the part, 16-bit WAV at the recording's rate; the caller closes it. Raises StoreFailed."""
    whole = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, or by the one who reads it
    try:
        for piece in store.fetch(document.key):
            in_thread(whole.write, piece)
        whole.seek(0)
        part: IO[bytes] = in_thread(_cut, whole, document, from_ms, to_ms)
    finally:
        whole.close()
    return part


def _cut(whole: IO[bytes], document: RecordingDocument, from_ms: int, to_ms: int) -> IO[bytes]:
    part = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads and closes it
    rate, channels = document.sample_rate, min(document.channels, 2)
    part.write(b"\0" * _HEADER.size)
    first, last = rate * from_ms // 1000, rate * to_ms // 1000
    with av.open(whole, "r", format=_CONTAINERS[document.media_type]) as container:
        resampler = av.AudioResampler(format="s16", layout=_LAYOUTS[channels], rate=rate)
        at = 0
        for samples in _blocks(container, resampler):
            frames = len(samples) // (2 * channels)
            begin, end = max(0, first - at), min(frames, last - at)
            if begin < end:
                part.write(samples[begin * 2 * channels : end * 2 * channels])
            at += frames
            if at >= last:
                break
    _write_header(part, rate, channels)
    return part


def _blocks(container: Any, resampler: Any) -> Iterator[bytes]:
    for frame in container.decode(audio=0):
        for block in resampler.resample(frame):
            yield block.to_ndarray().tobytes()
    for block in resampler.resample(None):
        yield block.to_ndarray().tobytes()


def _write_header(part: IO[bytes], rate: int, channels: int) -> None:
    size = part.tell() - _HEADER.size
    frame = 2 * channels
    head = (b"RIFF", size + _HEADER.size - 8, b"WAVE", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16)
    part.seek(0)
    part.write(_HEADER.pack(*head, b"data", size))
    part.seek(0)
