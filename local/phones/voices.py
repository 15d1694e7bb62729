"""What the phones say: A-law speech, other words for callers than for agents, so that they can be told apart."""

from pathlib import Path

import numpy as np

from local.voices.clips import SAMPLE_RATE, Samples, Speech

_SECONDS = 60
_PAUSE = np.zeros(SAMPLE_RATE // 2, dtype=np.int16)
_LOUDEST = 32_635
_SEGMENT = 256


def write_voices(folder: Path, speech: Speech) -> None:
    """Write caller.alaw and agent.alaw (G.711 A-law, 8 kHz, no header), each of other clips."""
    for first, name in enumerate(("caller", "agent")):
        said = [part for clip in speech.clips[first::2] for part in (clip.samples, _PAUSE)]
        samples = np.concatenate(said)[: _SECONDS * SAMPLE_RATE]
        (folder / f"{name}.alaw").write_bytes(alaw(samples))


def alaw(samples: Samples) -> bytes:
    """Encode 16-bit samples as ITU-T G.711 A-law: sign, three bits of segment, four of place, even bits inverted."""
    loudness = np.minimum(np.abs(samples.astype(np.int32)), _LOUDEST)
    is_linear = loudness < _SEGMENT
    segment = np.where(is_linear, 0, np.floor(np.log2(np.maximum(loudness, _SEGMENT))).astype(np.int32) - 7)
    shift = np.where(is_linear, 4, segment + 3)
    code = (segment << 4) | ((loudness >> shift) & 0x0F)
    encoded = code ^ np.where(samples >= 0, 0xD5, 0x55)
    return encoded.astype(np.uint8).tobytes()
