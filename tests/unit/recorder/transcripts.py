"""Transcripts for tests, written down the way a play is."""

from services.recorder.domain.transcript.transcript import Speaker, Subject, Track, Transcript, turns_of
from services.recorder.domain.transcript.words import Word

SUBJECT = Subject("acme", "call-1", "rec-1", 60_000, 1_795_399_051_000_000, "sales", "olena")
WORD_MS = 300


def words(text: str, start_ms: int = 0, confidence: float = 0.9) -> list[Word]:
    """Return words of WORD_MS each, one after the other."""
    return [
        Word(word, start_ms + number * WORD_MS, start_ms + (number + 1) * WORD_MS, confidence)
        for number, word in enumerate(text.split())
    ]


def play(*lines: tuple[str, int, str], language: str = "en", subject: Subject = SUBJECT) -> Transcript:
    """Return a transcript of lines (speaker, start in ms, text)."""
    said = {speaker: [] for speaker in Speaker}  # type: dict[Speaker, list[Word]]
    for speaker, start_ms, text in lines:
        said[Speaker(speaker)] += words(text, start_ms)
    tracks = tuple(
        Track(
            number,
            speaker,
            language,
            is_language_detected=False,
            speech=tuple((w.start_ms, w.end_ms) for w in said[speaker]),
        )
        for number, speaker in enumerate(Speaker)
    )
    return Transcript(subject, "script/1", tracks, turns_of(said.items()))
