"""What every recogniser does. One suite of tests holds each of them to it (tests/contract/test_engines.py)."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recorder.domain.transcript.words import Word

SAMPLE_RATE: Final = 16_000
Sound: TypeAlias = NDArray[np.int16]
"""One channel at SAMPLE_RATE, 16 bit, at most 30 seconds."""


class EngineAway(Exception):
    """The recogniser does not answer, or fails for now: the same sound may succeed later."""


class EngineRefused(Exception):
    """The recogniser can't do this, however often it is asked: a wrong setting, a language that it does not know."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The language of a sound, BCP 47, and how sure that is, 0 to 1; 0 = it was not listened for."""

    language: str
    certainty: float


class Engine(Protocol):
    """A recogniser. Used by one thread; blocks until it has the answer.

    Every method raises EngineAway and EngineRefused and nothing else.
    """

    @property
    def name(self) -> str:
        """Engine and model, as transcripts tell it: faster-whisper/base."""

    @property
    def at_once(self) -> int:
        """How many sounds it recognises together for less than one by one; more are heard so many at a time."""

    def detect(self, sound: Sound, among: Sequence[str]) -> Spoken | None:
        """Return which of these languages is spoken; None when the recogniser can't tell."""

    def recognise(self, sounds: Sequence[Sound], language: str, expected: Sequence[str] = ()) -> list[list[Word]]:
        """Return each sound's words in order of time, each within its sound; none where nobody speaks.

        `language` is BCP 47; empty = whatever the recogniser takes it for. `expected` are phrases that may well come.
        """

    def close(self) -> None:
        """Let memory and connections go."""


def primary(language: str) -> str:
    """Return the language without script and region: recognisers know nothing else. en-GB is en."""
    return language.partition("-")[0].lower()


def only(among: Sequence[str], known: Container[str]) -> Spoken | None:
    """Return the first language that is known at all, with no certainty: for recognisers that can't tell languages."""
    found = next((language for language in among if primary(language) in known), None)
    return Spoken(found, 0.0) if found else None


def length_ms(sound: Sound) -> int:
    """Return how long a sound is."""
    return len(sound) * 1000 // SAMPLE_RATE


def in_order(words: Sequence[Word], longest_ms: int) -> list[Word]:
    """Return words as the port promises them: with text, within the sound, none beginning before an earlier one."""
    ordered: list[Word] = []
    before = 0
    for word in words:
        text = " ".join(word.text.split())
        if not text:
            continue
        start = min(max(word.start_ms, before), longest_ms)
        end = min(max(word.end_ms, start), longest_ms)
        ordered.append(Word(text, start, end, min(max(word.confidence, 0.0), 1.0)))
        before = start
    return ordered
