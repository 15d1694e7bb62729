"""The transcript of one recording, and its document: what is stored, shown, searched and exported."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from services.recorder.domain.transcript.words import Personal, Word

VERSION: Final = 1
"""Rises when the document's shape changes."""
TURN_PAUSE_MS: Final = 1_500
"""Who is silent for longer, or is answered, begins a new turn."""


class Speaker(Enum):
    """Who speaks on a channel."""

    CUSTOMER = "customer"
    AGENT = "agent"


SPEAKERS: Final = (Speaker.CUSTOMER, Speaker.AGENT)
"""Of a stereo recording's channels, left first (SPEC 6.1)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said without a long pause or an answer."""

    speaker: Speaker
    words: tuple[Word, ...]

    @property
    def start_ms(self) -> int:
        """Where it begins in the recording."""
        return self.words[0].start_ms

    @property
    def end_ms(self) -> int:
        """Where it ends."""
        return self.words[-1].end_ms

    @property
    def text(self) -> str:
        """The words with spaces between."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Track:
    """One channel: who spoke, in which language, and when anything was said at all ((start, end), milliseconds)."""

    channel: int
    speaker: Speaker
    language: str
    is_language_detected: bool
    speech: tuple[tuple[int, int], ...]

    @property
    def speech_ms(self) -> int:
        """How long this speaker spoke."""
        return sum(end - start for start, end in self.speech)


@dataclass(frozen=True, slots=True)
class Subject:
    """Which recording this is, and of what call."""

    tenant_id: str
    call_id: str
    recording_id: str
    duration_ms: int
    recorded_us: int
    queue_id: str = ""
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Turns in order of their beginning, and where they come from."""

    subject: Subject
    engine: str
    tracks: tuple[Track, ...]
    turns: tuple[Turn, ...]
    analysis: Mapping[str, Any] = field(default_factory=dict)
    """Measures, matches and scores (see analytics.analysis)."""

    @property
    def words(self) -> list[Word]:
        """All words in the order of turns."""
        return [word for turn in self.turns for word in turn.words]

    @property
    def confidence(self) -> float:
        """Mean over the words that are kept, 0 to 1; 0 without any."""
        heard = [word.confidence for word in self.words if word.personal is None]
        return sum(heard) / len(heard) if heard else 0.0

    @property
    def redactions(self) -> int:
        """How many places were taken out."""
        return sum(word.personal is not None for word in self.words)

    @property
    def language(self) -> str:
        """The language of who spoke most."""
        spoken = max(self.tracks, key=lambda track: (track.speech_ms, -track.channel), default=None)
        return spoken.language if spoken else ""


def turns_of(tracks: Iterable[tuple[Speaker, Sequence[Word]]]) -> tuple[Turn, ...]:
    """Tell the words of all speakers in turns: one ends with a long pause, or where another one answers into a gap."""
    tracks = list(tracks)
    turns: list[Turn] = []
    for speaker, words in tracks:
        others = sorted(word.start_ms for who, theirs in tracks if who is not speaker for word in theirs)
        turns += [Turn(speaker, tuple(part)) for part in _parts(words, others)]
    return tuple(sorted(turns, key=lambda turn: (turn.start_ms, turn.speaker.value)))


def _parts(words: Sequence[Word], others: list[int]) -> Iterable[list[Word]]:
    part: list[Word] = []
    for word in sorted(words, key=lambda word: (word.start_ms, word.end_ms)):
        if part and _is_new_turn(part[-1], word, others):
            yield part
            part = []
        part.append(word)
    if part:
        yield part


def _is_new_turn(last: Word, word: Word, others: list[int]) -> bool:
    pause_ms = word.start_ms - last.end_ms
    return pause_ms > TURN_PAUSE_MS or any(last.end_ms <= start < word.start_ms for start in others)


def to_document(transcript: Transcript) -> dict[str, Any]:
    """Return the document: plain JSON values, the fields that the API shows."""
    subject = transcript.subject
    return {
        "version": VERSION,
        "recording_id": subject.recording_id,
        "tenant_id": subject.tenant_id,
        "call_id": subject.call_id,
        "queue_id": subject.queue_id,
        "agent_id": subject.agent_id,
        "duration_ms": subject.duration_ms,
        "recorded_us": subject.recorded_us,
        "engine": transcript.engine,
        "language": transcript.language,
        "words": len(transcript.words),
        "confidence": round(transcript.confidence, 4),
        "redactions": transcript.redactions,
        "speakers": [_track_document(track) for track in transcript.tracks],
        "turns": [_turn_document(turn) for turn in transcript.turns],
        "analysis": dict(transcript.analysis),
    }


def _track_document(track: Track) -> dict[str, Any]:
    return {
        "speaker": track.speaker.value,
        "channel": track.channel,
        "language": track.language,
        "is_language_detected": track.is_language_detected,
        "speech_ms": track.speech_ms,
        "speech": [list(piece) for piece in track.speech],
    }


def _turn_document(turn: Turn) -> dict[str, Any]:
    return {
        "speaker": turn.speaker.value,
        "start_ms": turn.start_ms,
        "end_ms": turn.end_ms,
        "text": turn.text,
        "words": [_word_document(word) for word in turn.words],
    }


def _word_document(word: Word) -> dict[str, Any]:
    document: dict[str, Any] = {
        "text": word.text,
        "start_ms": word.start_ms,
        "end_ms": word.end_ms,
        "confidence": round(word.confidence, 3),
    }
    return document | {"personal": word.personal.value} if word.personal else document


def from_document(document: Mapping[str, Any]) -> Transcript:
    """Read what `to_document` wrote."""
    names = ("tenant_id", "call_id", "recording_id", "duration_ms", "recorded_us", "queue_id", "agent_id")
    return Transcript(
        Subject(**{name: document[name] for name in names}),
        document["engine"],
        tuple(_track(one) for one in document["speakers"]),
        tuple(Turn(Speaker(one["speaker"]), tuple(map(_word, one["words"]))) for one in document["turns"]),
        document["analysis"],
    )


def _track(one: Mapping[str, Any]) -> Track:
    speech = tuple((start, end) for start, end in one["speech"])
    return Track(one["channel"], Speaker(one["speaker"]), one["language"], one["is_language_detected"], speech)


def _word(one: Mapping[str, Any]) -> Word:
    personal = Personal(one["personal"]) if "personal" in one else None
    return Word(one["text"], one["start_ms"], one["end_ms"], one["confidence"], personal)
