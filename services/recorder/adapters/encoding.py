"""Sound into FLAC or Opus through PyAV; it blocks. Only samples go in: no decoder sees a hostile file."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np

from services.recorder.adapters.measure import KeptSound
from services.recorder.domain.form import Form
from services.recorder.domain.wav import Format, Shape
from services.recorder.errors import EncodingFailed

_CHUNK_FRAMES = 65_536
_OPUS_BITS_A_CHANNEL = 16_000
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
# Without bitexact each file gets a random serial number, and a second try would make another object.
_BITEXACT = {"fflags": "+bitexact"}
_CONTAINERS = {Form.FLAC: "flac", Form.OPUS: "ogg"}
_OPUS_OPTIONS = {
    "application": "voip",
    # Channels coded one by one: libopus's joint stereo mixes caller and agent into one at telephone rates (0 dB apart).
    "mapping_family": "255",
}


class EncodedFile:
    """A finished file of encoded sound."""

    in_memory: memoryview | None = None

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size_bytes = os.fstat(self._file.fileno()).st_size

    def read_into(self, place: memoryview, at: int) -> None:
        """Fill a place with the bytes from `at` on. Raises EncodingFailed when they are gone."""
        if os.preadv(self._file.fileno(), [place], at) != len(place):
            raise EncodingFailed("the encoded file became shorter")

    def close(self) -> None:
        """Let it go."""
        self._file.close()


def encode(content: KeptSound, shape: Shape, form: Form, target: Path) -> None:
    """Write the sound in another form; `target` is there whole or not at all. Raises EncodingFailed, OSError."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
    try:
        heard = _write(content, shape, form, draft)
        _check(draft, shape, form, heard)
        draft.rename(target)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
            raise OSError(error.errno, os.strerror(error.errno)) from error
        raise EncodingFailed(f"the sound can't be encoded: {type(error).__name__}") from error
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _write(content: KeptSound, shape: Shape, form: Form, draft: Path) -> str:
    """Encode everything and return the samples' hash."""
    heard = hashlib.sha256()
    with draft.open("wb") as file:
        with av.open(file, "w", format=_CONTAINERS[form], options=_BITEXACT) as container:
            stream = _stream(container, shape.format, form)
            at, end, pts = shape.data_offset, shape.data_offset + shape.data_bytes, 0
            while at < end:
                samples = content.read(at, min(_CHUNK_FRAMES * shape.format.frame_bytes, end - at))
                _encode_some(container, stream, shape.format, samples, pts)
                heard.update(samples)
                at += len(samples)
                pts += len(samples) // shape.format.frame_bytes
            _encode_rest(container, stream)
        file.flush()
        os.fsync(file.fileno())
    return heard.hexdigest()


def _stream(container: Any, sound: Format, form: Form) -> Any:
    if form is Form.FLAC:
        stream = container.add_stream("flac", rate=sound.sample_rate)
    else:
        stream = container.add_stream("libopus", rate=sound.sample_rate, options=_OPUS_OPTIONS)
        stream.bit_rate = _OPUS_BITS_A_CHANNEL * sound.channels
    stream.format = "s16"
    stream.layout = _LAYOUTS[sound.channels]
    return stream


def _encode_some(container: Any, stream: Any, sound: Format, samples: bytearray, pts: int) -> None:
    shaped = np.frombuffer(samples, np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(shaped, format="s16", layout=_LAYOUTS[sound.channels])
    frame.sample_rate, frame.pts = sound.sample_rate, pts
    for packet in stream.encode(frame):
        container.mux(packet)


def _encode_rest(container: Any, stream: Any) -> None:
    for packet in stream.encode(None):
        container.mux(packet)


def _check(draft: Path, shape: Shape, form: Form, heard: str) -> None:
    """Believe no encoder: FLAC gives back every sample, Opus sound of the same length."""
    wanted = shape.data_bytes // shape.format.frame_bytes
    if form is Form.OPUS:
        frames = _opus_frames(draft, shape.format.sample_rate)
    else:
        frames, found = _flac_frames(draft)
        if found != heard:
            raise EncodingFailed("the encoded sound is not the sound that was encoded")
    if frames != wanted:
        raise EncodingFailed("the encoded sound is not as long as the sound that was encoded")


def _flac_frames(path: Path) -> tuple[int, str]:
    """Return how many frames a file holds and the hash of its samples."""
    found, frames = hashlib.sha256(), 0
    with av.open(str(path), format=_CONTAINERS[Form.FLAC]) as container:
        for frame in container.decode(audio=0):
            found.update(frame.to_ndarray().tobytes())
            frames += frame.samples
    return frames, found.hexdigest()


def _opus_frames(path: Path, sample_rate: int) -> int:
    """Return how many frames a file holds at its source's rate, by its packets' times (RFC 7845: 48 kHz)."""
    with av.open(str(path), format=_CONTAINERS[Form.OPUS]) as container:
        stream = container.streams.audio[0]
        ends = [(packet.pts or 0) + (packet.duration or 0) for packet in container.demux(stream) if packet.size]
        return round(max(ends, default=0) * (stream.time_base or 0) * sample_rate)
