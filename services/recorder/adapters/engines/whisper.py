"""faster-whisper with any of its model folders (CTranslate2)."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


AT_ONCE: Final = 6
"""Sounds that are decoded together: each next token costs the reading of all of the model's weights, for six sounds as
for one. Of the decoder's time for base, two at once take 0.79 and four 0.64; the words are the same. Six take 200 MB
more than four, and 12 % less time for a minute of Ukrainian."""
BEAM: Final = 3
"""So many beginnings of a sentence are followed. Of 2,511 words in three languages 193 are wrong with three, 196 with
five, which take 4 to 12 % longer."""
WINDOW_SECONDS: Final = 30
_WINDOW: Final = WINDOW_SECONDS * SAMPLE_RATE
_WINDOW_HUNDREDTHS: Final = WINDOW_SECONDS * 100
NO_SPEECH, LEAST_LIKELY = 0.6, -1.0
UNHEARD_MS, LEAST_HEARD_MS = 2_000, 1_000
"""So much behind the last word is speech that the model did not come to; unless it came nowhere."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """A sentence or so, its times within its sound."""

    text: str
    words: tuple[Word, ...]
    chances: list[float]
    """Of the parts that the library makes of words."""


class Whisper:
    """One model in memory. int8 on a processor; what the model was made for on a graphics card."""

    def __init__(self, folder: Path, model: str, threads: int, beam: int = BEAM, device: str = "cpu") -> None:
        try:
            from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: PLC0415 - half a second, and only this engine needs it

            compute = "int8" if device == "cpu" else "default"
            self._model: Any = WhisperModel(
                str(folder), device=device, compute_type=compute, cpu_threads=threads, num_workers=1
            )
            self._together: Any = BatchedInferencePipeline(self._model)
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

    @property
    def at_once(self) -> int:
        """How many sounds are decoded together."""
        return AT_ONCE

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

    def recognise(self, sounds: Sequence[Sound], language: str, expected: Sequence[str] = ()) -> list[list[Word]]:
        """Return the words. A language that the model was not taught is refused.

        What is expected is not told to the model: it takes it for what was said just before and goes on with it. Of six
        spoken choices of a Russian menu it then added another choice's words to two; without, all six were understood.
        """
        del expected
        self._check(language)
        heard: list[list[Word]] = [[] for _ in sounds]
        left: dict[int, int] = {}
        spoken = [number for number, sound in enumerate(sounds) if length_ms(sound) >= SHORTEST_MS]
        for at in range(0, len(spoken), AT_ONCE):
            some = spoken[at : at + AT_ONCE]
            found = self._segments([sounds[number] for number in some], language)
            for number, segments in zip(some, found, strict=True):
                heard[number] = _words(sounds[number], segments)
                left |= {number: last_ms} if (last_ms := _left_from(sounds[number], segments)) else {}
        self._hear_rests(sounds, language, left, heard)
        return heard

    def _hear_rests(
        self, sounds: Sequence[Sound], language: str, left: dict[int, int], heard: list[list[Word]]
    ) -> None:
        """Hear together, by itself, what the model has left unheard of sounds: from which millisecond on."""
        if not left:
            return
        rests = self.recognise([sounds[at][last_ms * SAMPLE_RATE // 1000 :] for at, last_ms in left.items()], language)
        for (number, last_ms), rest in zip(left.items(), rests, strict=True):
            moved = [replace(word, start_ms=word.start_ms + last_ms, end_ms=word.end_ms + last_ms) for word in rest]
            heard[number] = in_order([*heard[number], *moved], length_ms(sounds[number]))

    def _segments(self, sounds: Sequence[Sound], language: str) -> list[list[_Segment]]:
        """Recognise all at once. Each lies in a window of its own of one long sound, as the library wants it."""
        long = np.zeros(len(sounds) * _WINDOW, dtype=np.float32)
        for number, sound in enumerate(sounds):
            long[number * _WINDOW :][: len(sound)] = sound
        begins = [number * WINDOW_SECONDS for number in range(len(sounds))]
        ends = [begin + len(sound) / SAMPLE_RATE for begin, sound in zip(begins, sounds, strict=True)]
        found: list[list[_Segment]] = [[] for _ in sounds]
        try:
            told, _ = self._together.transcribe(
                long / np.float32(FULL_SCALE),
                language=primary(language) or None,
                temperature=0.0,
                beam_size=self._beam,
                word_timestamps=True,
                without_timestamps=False,
                vad_filter=False,
                clip_timestamps=[{"start": start, "end": end} for start, end in zip(begins, ends, strict=True)],
                batch_size=len(sounds),
            )
            for segment in told:
                if not _is_silence(segment):
                    number = segment.seek // _WINDOW_HUNDREDTHS
                    found[number].append(_segment(segment, begins[number] * 1000))
        except (RuntimeError, ValueError) as error:
            raise EngineAway(f"the model failed: {error}") from error
        return found

    def close(self) -> None:
        """Let the model's memory go."""
        self._model = self._together = None

    def _check(self, language: str) -> None:
        known = self._model.supported_languages
        if language and primary(language) not in known:
            raise EngineRefused(f"{self.name} does not know the language {language}")


def _segment(told: Any, begins_ms: int) -> _Segment:
    """Return whole words: the library parts them at apostrophes and hyphens, п'ятниця too; a new one has a space."""
    words: list[Word] = []
    for part in told.words or ():
        start, end = round(part.start * 1000) - begins_ms, round(part.end * 1000) - begins_ms
        word = Word(part.word, start, end, float(part.probability))
        if words and not part.word.startswith(" "):
            before = words.pop()
            confidence = min(before.confidence, word.confidence)
            word = Word(before.text + word.text, before.start_ms, word.end_ms, confidence)
        words.append(word)
    return _Segment(told.text, tuple(words), [part.probability for part in told.words or ()])


def _words(sound: Sound, segments: list[_Segment]) -> list[Word]:
    kept = [word for segment in _unless_repeated(segments) if _is_heard(segment) for word in segment.words]
    return in_order(kept, length_ms(sound))


def _left_from(sound: Sound, segments: list[_Segment]) -> int:
    """Return where the model stopped, milliseconds; 0 where it came to the end, or nowhere."""
    last_ms = max((word.end_ms for segment in segments for word in segment.words), default=0)
    return last_ms if last_ms >= LEAST_HEARD_MS and length_ms(sound) - last_ms >= UNHEARD_MS else 0


def _unless_repeated(window: list[_Segment]) -> list[_Segment]:
    """Return what was heard in a window at once, nothing where it goes round in a circle."""
    return [] if compression("".join(segment.text for segment in window)) > MOST_COMPRESSION else window


def _is_silence(told: Any) -> bool:
    """Whether the model itself holds it for silence (openai/whisper, transcribe.py)."""
    return bool(told.no_speech_prob > NO_SPEECH and told.avg_logprob <= LEAST_LIKELY)


def compression(text: str) -> float:
    """Return how many times a text gets shorter by zlib, each letter taken as one byte whatever its script."""
    letters = bytes(ord(letter) & 0xFF for letter in text)
    return len(letters) / len(zlib.compress(letters))


def _is_heard(segment: _Segment) -> bool:
    chances = segment.chances
    return bool(chances) and sum(chances) >= LEAST_CONFIDENCE * len(chances)


def _floats(sound: Sound) -> "np.ndarray[Any, np.dtype[np.float32]]":
    assert SAMPLE_RATE == 16_000  # noqa: S101, PLR2004 - what Whisper was taught on
    return sound.astype(np.float32) / np.float32(FULL_SCALE)
