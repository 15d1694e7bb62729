"""faster-whisper with any of its model folders (CTranslate2)."""

import zlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.recorder.adapters.engines.port import (
    SAMPLE_RATE,
    EngineAway,
    EngineRefused,
    Sound,
    Spoken,
    in_order,
    length_ms,
    only,
    primary,
)
from services.recorder.domain.transcript.words import Word

FULL_SCALE: Final = 32_768
MOST_COMPRESSION: Final = 2.4
"""A text that zips better repeats itself: Whisper does so where it hears nothing (openai/whisper, transcribe.py).

The library measures UTF-8, where every second byte of Cyrillic says the same and honest prompts reach 2.8: with its
figure, one word in ten of telephone Russian was thrown away. Measured by letters, all scripts have English's bound.
"""
LEAST_CONFIDENCE: Final = 0.1
"""A sentence that the model holds for so unlikely itself is one of those that it invents in silence: "You"."""
SHORTEST_MS: Final = 100
"""Less is no word, and the model's window would be all padding."""


class Whisper:
    """One model in memory. int8 on a processor; what the model was made for on a graphics card."""

    def __init__(self, folder: Path, model: str, threads: int, beam: int = 5, device: str = "cpu") -> None:
        try:
            from faster_whisper import WhisperModel  # noqa: PLC0415 - half a second, and only this engine needs it

            compute = "int8" if device == "cpu" else "default"
            self._model: Any = WhisperModel(
                str(folder), device=device, compute_type=compute, cpu_threads=threads, num_workers=1
            )
        except ImportError as error:
            raise EngineRefused("faster-whisper is not installed (the extra `transcribe`)") from error
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineRefused(f"{folder} holds no model that faster-whisper can load: {error}") from error
        self._name = f"faster-whisper/{model}"
        self._beam = beam

    @property
    def name(self) -> str:
        """Engine and model."""
        return self._name

    def detect(self, sound: Sound, among: Sequence[str]) -> Spoken | None:
        """Return the likeliest of these languages. A model of English alone takes everything for English."""
        if not self._model.model.is_multilingual:
            return only(among, self._model.supported_languages)
        try:
            _, _, all_of_them = self._model.detect_language(_floats(sound))
        except (RuntimeError, ValueError) as error:
            raise EngineAway(f"the model failed: {error}") from error
        chances = dict(all_of_them)
        asked = {language: chances.get(primary(language), 0.0) for language in among} or chances
        language = max(asked, key=lambda name: asked[name])
        return Spoken(language, asked[language] / (sum(asked.values()) or 1.0))

    def recognise(self, sound: Sound, language: str, expected: Sequence[str] = ()) -> list[Word]:
        """Return the words. A language that the model was not taught is refused.

        What is expected is not told to the model: it takes it for what was said just before and goes on with it. Of six
        spoken choices of a Russian menu it then added another choice's words to two; without, all six were understood.
        """
        del expected
        self._check(language)
        if length_ms(sound) < SHORTEST_MS:
            return []
        try:
            segments, _ = self._model.transcribe(
                _floats(sound),
                language=primary(language) or None,
                temperature=0.0,
                beam_size=self._beam,
                condition_on_previous_text=False,
                word_timestamps=True,
            )
            kept = [
                segment
                for _, window in groupby(segments, key=lambda segment: segment.seek)
                for segment in _unless_repeated(list(window))
                if _is_heard(segment)
            ]
        except (RuntimeError, ValueError) as error:
            raise EngineAway(f"the model failed: {error}") from error
        return in_order([word for segment in kept for word in _words(segment.words or ())], length_ms(sound))

    def close(self) -> None:
        """Let the model's memory go."""
        self._model = None

    def _check(self, language: str) -> None:
        known = self._model.supported_languages
        if language and primary(language) not in known:
            raise EngineRefused(f"{self.name} does not know the language {language}")


def _words(parts: Iterable[Any]) -> list[Word]:
    """Return whole words: the library parts them at apostrophes and hyphens, п'ятниця too; a new one has a space."""
    words: list[Word] = []
    for part in parts:
        word = Word(part.word, round(part.start * 1000), round(part.end * 1000), float(part.probability))
        if words and not part.word.startswith(" "):
            before = words.pop()
            confidence = min(before.confidence, word.confidence)
            word = Word(before.text + word.text, before.start_ms, word.end_ms, confidence)
        words.append(word)
    return words


def _unless_repeated(window: list[Any]) -> list[Any]:
    """Return what was heard in a window at once, nothing where it goes round in a circle."""
    return [] if compression("".join(segment.text for segment in window)) > MOST_COMPRESSION else window


def compression(text: str) -> float:
    """Return how many times a text gets shorter by zlib, each letter taken as one byte whatever its script."""
    letters = bytes(ord(letter) & 0xFF for letter in text)
    return len(letters) / len(zlib.compress(letters))


def _is_heard(segment: Any) -> bool:
    chances = [word.probability for word in segment.words or ()]
    return bool(chances) and sum(chances) >= LEAST_CONFIDENCE * len(chances)


def _floats(sound: Sound) -> "np.ndarray[Any, np.dtype[np.float32]]":
    assert SAMPLE_RATE == 16_000  # noqa: S101, PLR2004 - what Whisper was taught on
    return sound.astype(np.float32) / np.float32(FULL_SCALE)
