"""A transcript as subtitles: WebVTT (W3C, webvtt1) and SRT. Its JSON is the document itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.recorder.domain.transcript.transcript import Speaker, Transcript, Turn
from services.recorder.domain.transcript.words import Word

MOST_CHARACTERS: Final = 84
"""Two lines of 42, what a reader takes in at once."""
MOST_CUE_MS: Final = 7_000
_VOICES: Final = {Speaker.CUSTOMER: "Customer", Speaker.AGENT: "Agent"}


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle."""

    speaker: Speaker
    start_ms: int
    end_ms: int
    text: str


def cues_of(transcript: Transcript) -> list[Cue]:
    """Cut turns into subtitles that can be read, in order of their beginning."""
    cues = [cue for turn in transcript.turns for cue in _cues(turn)]
    return sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms, cue.speaker.value))


def _cues(turn: Turn) -> Iterator[Cue]:
    part: list[Word] = []
    for word in turn.words:
        if part and _is_full(part, word):
            yield _cue(turn.speaker, part)
            part = []
        part.append(word)
    if part:
        yield _cue(turn.speaker, part)


def _is_full(part: list[Word], word: Word) -> bool:
    characters = sum(len(one.text) + 1 for one in part) + len(word.text)
    return characters > MOST_CHARACTERS or word.end_ms - part[0].start_ms > MOST_CUE_MS


def _cue(speaker: Speaker, words: list[Word]) -> Cue:
    # A subtitle of no length is an error in WebVTT, and a word may have been given no time.
    return Cue(
        speaker, words[0].start_ms, max(words[-1].end_ms, words[0].start_ms + 1), " ".join(word.text for word in words)
    )


def to_webvtt(transcript: Transcript) -> str:
    """Write WebVTT; each cue's voice is the speaker."""
    blocks = ["WEBVTT"]
    for cue in cues_of(transcript):
        times = f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        blocks.append(f"{times}\n<v {_VOICES[cue.speaker]}>{_escaped(cue.text)}")
    return "\n\n".join(blocks) + "\n"


def to_srt(transcript: Transcript) -> str:
    """Write SRT; the speaker stands before the text."""
    blocks = [
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        f"{_VOICES[cue.speaker]}: {_one_line(cue.text).replace('-->', '->')}\n"
        for number, cue in enumerate(cues_of(transcript), 1)
    ]
    return "\n".join(blocks)


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}"


def _escaped(text: str) -> str:
    """Leave nothing that WebVTT reads as a tag, a time or the end of a cue."""
    return _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    return " ".join(text.split())
