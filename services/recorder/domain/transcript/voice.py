"""Where somebody speaks: from a voice detector's probabilities to stretches of speech."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

FRAME_MS: Final = 32
"""What one probability stands for: silero's window of 512 samples at 16 kHz."""
Stretch = tuple[int, int]
"""Where speech begins and ends, milliseconds."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """How speech is told from the rest. Speech begins above `threshold` and ends below `lower`, for long enough."""

    threshold: float = 0.5
    lower: float = 0.35
    min_speech_ms: int = 96
    min_silence_ms: int = 320
    pad_ms: int = 400
    """Kept before and behind: the first and last sounds of words are quiet, and found late."""


def stretches_of(probabilities: Sequence[float], duration_ms: int, hearing: Hearing = Hearing()) -> list[Stretch]:
    """Return the stretches of speech in order, padded, never overlapping, within the sound."""
    padded: list[Stretch] = []
    for start, end in _spoken(probabilities, hearing):
        if end - start < hearing.min_speech_ms:
            continue
        first, last = max(0, start - hearing.pad_ms), min(duration_ms, end + hearing.pad_ms)
        if padded and first <= padded[-1][1]:
            first, _ = padded.pop()
        if last > first:
            padded.append((first, last))
    return padded


def _spoken(probabilities: Sequence[float], hearing: Hearing) -> Iterator[Stretch]:
    start: int | None = None
    quiet_since: int | None = None
    for number, probability in enumerate(probabilities):
        now = number * FRAME_MS
        if probability >= hearing.threshold:
            start = now if start is None else start
            quiet_since = None
        elif start is not None and probability < hearing.lower:
            quiet_since = now if quiet_since is None else quiet_since
            if now + FRAME_MS - quiet_since >= hearing.min_silence_ms:
                yield start, quiet_since
                start = quiet_since = None
    if start is not None:
        yield start, quiet_since if quiet_since is not None else len(probabilities) * FRAME_MS
