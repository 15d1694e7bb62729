"""Sound files read for recognition: decoded to 16 kHz by channel on disk, and searched for voice.

Runs in a process of its own (see ear.py): decoders are large, old C programs, and the files are not ours.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.recorder.adapters.engines.port import SAMPLE_RATE, Sound
from services.recorder.domain.transcript.packing import Chunk
from services.recorder.domain.transcript.voice import FRAME_MS

FORMATS: Final = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
}
"""By media type. The format is told to the decoder, never guessed: some formats make it open further files."""
MOST_CHANNELS: Final = 8
_FRAME: Final = SAMPLE_RATE * FRAME_MS // 1000
_BLOCK_FRAMES: Final = 18_750
"""Ten minutes at once: the detector's memory does not grow with the recording."""
_WARM_UP_FRAMES: Final = 64
"""The detector remembers: these frames before a block are heard again and their answers thrown away."""
_SAMPLES_A_MS: Final = SAMPLE_RATE // 1000


class BadSound(Exception):
    """The file is no sound that can be read; the sentence says why. Trying again helps nothing."""


def decode(path: Path, media_type: str, folder: Path, longest_ms: int) -> list[Sound]:
    """Write each channel as 16 kHz, 16 bit into `folder` and return it, mapped. Raises BadSound."""
    import av  # noqa: PLC0415 - heavy, and the parent process never decodes

    files: list[Any] = []
    try:
        with av.open(str(path), format=_format(media_type)) as container:
            if not container.streams.audio:
                raise BadSound("the file holds no sound")
            resampler = av.AudioResampler(format="s16p", rate=SAMPLE_RATE)
            written = 0
            for block in _blocks(container.decode(audio=0), resampler):
                if not files:
                    files = _open_files(folder, len(block))
                for file, samples in zip(files, block, strict=True):
                    samples.tofile(file)
                written += block.shape[1]
                if written > longest_ms * _SAMPLES_A_MS:
                    raise BadSound(f"the sound is longer than {longest_ms // 60_000} minutes")
    except (av.error.FFmpegError, ValueError) as error:
        raise BadSound(f"the sound can't be decoded: {error}") from error
    finally:
        for file in files:
            file.close()
    return [_mapped(Path(file.name)) for file in files]


def voice_probabilities(sound: Sound) -> list[float]:
    """Return for each FRAME_MS how likely somebody speaks in it (silero, which faster-whisper brings)."""
    from faster_whisper.vad import get_vad_model  # noqa: PLC0415 - heavy, and the parent process never listens

    detector = get_vad_model()
    frames = -(-len(sound) // _FRAME)
    probabilities: list[float] = []
    for first in range(0, frames, _BLOCK_FRAMES):
        warm_up = min(first, _WARM_UP_FRAMES)
        block = sound[(first - warm_up) * _FRAME : (first + _BLOCK_FRAMES) * _FRAME].astype(np.float32) / 32_768
        padded = np.pad(block, (0, -len(block) % _FRAME))
        probabilities += [float(one) for one in detector(padded).reshape(-1)[warm_up:]]
    return probabilities


def sound_of(chunk: Chunk, channel: Sound) -> Sound:
    """Return what a chunk sounds like: its pieces of the channel, silence between."""
    sound = np.zeros(chunk.length_ms * _SAMPLES_A_MS, dtype=np.int16)
    for piece in chunk.pieces:
        samples = channel[piece.start_ms * _SAMPLES_A_MS : piece.end_ms * _SAMPLES_A_MS]
        begin = piece.at_ms * _SAMPLES_A_MS
        sound[begin : begin + len(samples)] = samples
    return sound


def _format(media_type: str) -> str:
    try:
        return FORMATS[media_type]
    except KeyError as error:
        raise BadSound(f"sound of the type {media_type[:60]} can't be read") from error


def _blocks(frames: Iterator[Any], resampler: Any) -> Iterator["np.ndarray[Any, np.dtype[np.int16]]"]:
    """Yield (channels, samples)."""
    for frame in frames:
        for resampled in resampler.resample(frame):
            yield resampled.to_ndarray()
    for resampled in resampler.resample(None):
        yield resampled.to_ndarray()


def _open_files(folder: Path, channels: int) -> list[Any]:
    if channels > MOST_CHANNELS:
        raise BadSound(f"the sound has {channels} channels")
    return [(folder / f"channel-{number}.raw").open("wb") for number in range(channels)]


def _mapped(path: Path) -> Sound:
    if not path.stat().st_size:
        return np.zeros(0, dtype=np.int16)
    return np.memmap(path, dtype=np.int16, mode="r")


def durations_ms(channels: Sequence[Sound]) -> int:
    """Return how long the longest channel is."""
    return max((len(channel) // _SAMPLES_A_MS for channel in channels), default=0)
