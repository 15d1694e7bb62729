"""What a talk was like in numbers: who spoke how much, silence, interruptions, monologues, speed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.recorder.domain.transcript.transcript import Speaker, Transcript
from services.recorder.domain.transcript.voice import Stretch

INTERRUPTION_MS: Final = 500
"""So long both have to speak: less is a breath, or a "yes" that keeps the other going."""
AHEAD_MS: Final = 1_000
"""So long the other one must have spoken already: who begins with him interrupts nobody."""
MONOLOGUE_PAUSE_MS: Final = 2_000
"""A speaker's own pause that does not end a monologue."""
SILENCE_MS: Final = 2_000
"""Less is a pause in a talk and no silence."""
_MINUTE_MS: Final = 60_000
_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class Side:
    """What one speaker did."""

    speech_ms: int
    interruptions: int
    longest_monologue_ms: int
    words_per_minute: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Of a whole talk. `talk_percent` is the agent's part of all speech, None where nobody spoke."""

    duration_ms: int
    silence_ms: int
    longest_silence_ms: int
    overlap_ms: int
    talk_percent: float | None
    sides: dict[Speaker, Side]

    @property
    def silence_percent(self) -> float:
        """Time in which nobody speaks, of the recording."""
        return _HUNDRED * self.silence_ms / self.duration_ms if self.duration_ms else 0.0


def measure(transcript: Transcript) -> Measures:
    """Measure a talk by when its speakers spoke; a speaker who was not written down counts as silent."""
    speech = {speaker: joined(_speech_of(transcript, speaker)) for speaker in Speaker}
    duration_ms = transcript.subject.duration_ms
    anybody = joined(stretch for stretches in speech.values() for stretch in stretches)
    gaps = _gaps(anybody, duration_ms)
    spoken = {speaker: _length(stretches) for speaker, stretches in speech.items()}
    return Measures(
        duration_ms,
        sum(end - start for start, end in gaps),
        max((end - start for start, end in gaps), default=0),
        sum(spoken.values()) - _length(anybody),
        _HUNDRED * spoken[Speaker.AGENT] / sum(spoken.values()) if any(spoken.values()) else None,
        {speaker: _side(transcript, speaker, speech) for speaker in Speaker},
    )


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return the union of stretches of time, in order."""
    result: list[Stretch] = []
    for start, end in sorted(stretches):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _speech_of(transcript: Transcript, speaker: Speaker) -> Iterable[Stretch]:
    return (stretch for track in transcript.tracks if track.speaker is speaker for stretch in track.speech)


def _length(stretches: Iterable[Stretch]) -> int:
    return sum(end - start for start, end in stretches)


def _gaps(speech: Sequence[Stretch], duration_ms: int) -> list[Stretch]:
    edges = [0, *(edge for stretch in speech for edge in stretch), duration_ms]
    gaps = zip(edges[0::2], edges[1::2], strict=True)
    return [(start, end) for start, end in gaps if end - start >= SILENCE_MS]


def _side(transcript: Transcript, speaker: Speaker, speech: dict[Speaker, list[Stretch]]) -> Side:
    mine = speech[speaker]
    others = joined(stretch for who, theirs in speech.items() if who is not speaker for stretch in theirs)
    words = sum(len(turn.words) for turn in transcript.turns if turn.speaker is speaker)
    spoken_ms = _length(mine)
    return Side(
        spoken_ms,
        sum(_interrupts(stretch, others) for stretch in mine),
        longest_monologue(mine, others),
        words * _MINUTE_MS / spoken_ms if spoken_ms else 0.0,
    )


def _interrupts(stretch: Stretch, others: Sequence[Stretch]) -> bool:
    start, end = stretch
    return any(
        before + AHEAD_MS <= start < after and min(end, after) - start >= INTERRUPTION_MS for before, after in others
    )


def longest_monologue(mine: Sequence[Stretch], others: Sequence[Stretch]) -> int:
    """Return the longest time in which one spoke, with short pauses, and the others not a word, milliseconds."""
    longest = 0
    begin = last_end = 0
    for start, end in alone(mine, others):
        is_new = start - last_end > MONOLOGUE_PAUSE_MS or any(a < start and last_end < b for a, b in others)
        begin = start if is_new or not last_end else begin
        last_end = end
        longest = max(longest, end - begin)
    return longest


def alone(mine: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    """Return when one spoke and nobody else did, in order. Both are unions of stretches (see `joined`)."""
    result: list[Stretch] = []
    for start, end in mine:
        at = start
        for before, after in others:
            if after <= at or before >= end:
                continue
            if before > at:
                result.append((at, before))
            at = max(at, after)
        if at < end:
            result.append((at, end))
    return result


def to_document(measures: Measures) -> dict[str, Any]:
    """Return the measures as a transcript's document tells them."""
    return {
        "duration_ms": measures.duration_ms,
        "silence_ms": measures.silence_ms,
        "silence_percent": round(measures.silence_percent, 1),
        "longest_silence_ms": measures.longest_silence_ms,
        "overlap_ms": measures.overlap_ms,
        "agent_talk_percent": None if measures.talk_percent is None else round(measures.talk_percent, 1),
        **{
            speaker.value: {
                "speech_ms": side.speech_ms,
                "interruptions": side.interruptions,
                "longest_monologue_ms": side.longest_monologue_ms,
                "words_per_minute": round(side.words_per_minute, 1),
            }
            for speaker, side in measures.sides.items()
        },
    }
