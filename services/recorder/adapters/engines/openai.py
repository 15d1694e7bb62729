"""A server with OpenAI's transcription endpoint: OpenAI itself, or one's own (speaches, vLLM, LocalAI, whisper.cpp).

Platform documentation, "Create transcription": POST <base>/audio/transcriptions with a file, a model, and verbose_json
with word times.
"""

import io
import json
import math
import wave
from collections.abc import Iterator, Sequence
from typing import Any, Final

import urllib3

from services.recorder.adapters.engines.port import (
    SAMPLE_RATE,
    EngineAway,
    EngineRefused,
    Sound,
    Spoken,
    in_order,
    length_ms,
    primary,
)
from services.recorder.domain.transcript.words import Word

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0
MOST_ANSWER_BYTES: Final = 4 * 1024 * 1024
UNKNOWN_CONFIDENCE: Final = 0.5
_TOO_MANY, _SERVER_FAULTS, _OK = 429, 500, 200
_TIME_OUT = 408
# The names that verbose_json gives to languages.
_NAMES: Final = {"english": "en", "ukrainian": "uk", "russian": "ru", "polish": "pl", "german": "de", "french": "fr"}


class OpenAi:
    """One endpoint and one of its models."""

    def __init__(self, base: str, model: str, key: str = "") -> None:
        if not base.startswith(("http://", "https://")) or not model:
            raise EngineRefused("the endpoint must be named as openai:https://host/v1#model")
        self._url = base.rstrip("/") + "/audio/transcriptions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        )

    @property
    def name(self) -> str:
        """Engine and model."""
        return f"openai/{self._model}"

    @property
    def at_once(self) -> int:
        """One: each sound is a question of its own."""
        return 1

    def detect(self, sound: Sound, among: Sequence[str]) -> Spoken | None:
        """Return the language that the endpoint tells; None when it tells none of these."""
        told = str(self._ask(sound, "", ()).get("language", "")).lower()
        told = _NAMES.get(told, told)
        found = next((language for language in among if primary(language) == told), None)
        return Spoken(found, 1.0) if found else None

    def recognise(self, sounds: Sequence[Sound], language: str, expected: Sequence[str] = ()) -> list[list[Word]]:
        """Return the words; where the endpoint gives none their times, those of its segments shared out."""
        return [self._heard(sound, language, expected) for sound in sounds]

    def _heard(self, sound: Sound, language: str, expected: Sequence[str]) -> list[Word]:
        answer = self._ask(sound, language, expected)
        try:
            words = list(_words(answer))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise EngineAway("the endpoint answers with words that can't be read") from error
        return in_order(words, length_ms(sound))

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _ask(self, sound: Sound, language: str, expected: Sequence[str]) -> dict[str, Any]:
        fields: list[tuple[str, Any]] = [
            ("file", ("sound.wav", _wav(sound), "audio/wav")),
            ("model", self._model),
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
            ("temperature", "0"),
        ]
        if language:
            fields.append(("language", primary(language)))
        if expected:
            fields.append(("prompt", ", ".join(expected)))
        try:
            answer = self._pool.request(
                "POST", self._url, fields=fields, headers=self._headers, redirect=False, preload_content=False
            )
            body = answer.read(MOST_ANSWER_BYTES, decode_content=True)
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise EngineAway(f"the endpoint does not answer: {type(error).__name__}") from error
        return _read(answer.status, body)


def _read(status: int, body: bytes) -> dict[str, Any]:
    if status in (_TOO_MANY, _TIME_OUT) or status >= _SERVER_FAULTS:
        raise EngineAway(f"the endpoint answers {status}")
    if status != _OK:
        raise EngineRefused(f"the endpoint answers {status}: look at its address, its key and the model's name")
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise EngineAway("the endpoint's answer is no JSON") from error
    if not isinstance(answer, dict):
        raise EngineAway("the endpoint's answer is no object")
    return answer


def _wav(sound: Sound) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(sound.astype("<i2").tobytes())
    return file.getvalue()


def _words(answer: dict[str, Any]) -> Iterator[Word]:
    segments = answer.get("segments") or []
    if answer.get("words"):
        for one in answer["words"]:
            yield Word(str(one["word"]), _ms(one["start"]), _ms(one["end"]), _confidence(segments, float(one["start"])))
        return
    for segment in segments:
        yield from _shared_out(segment)


def _shared_out(segment: dict[str, Any]) -> Iterator[Word]:
    """Give each word of a segment a part of its time, by its length in letters."""
    texts = str(segment["text"]).split()
    start, length = float(segment["start"]), float(segment["end"]) - float(segment["start"])
    letters = sum(map(len, texts)) or 1
    at = 0
    for text in texts:
        begin, at = at, at + len(text)
        yield Word(
            text,
            _ms(start + length * begin / letters),
            _ms(start + length * at / letters),
            _confidence([segment], start),
        )


def _confidence(segments: Sequence[dict[str, Any]], at: float) -> float:
    """Return the segment's mean token probability: words have none of their own."""
    for segment in segments:
        if float(segment["start"]) <= at <= float(segment["end"]) and "avg_logprob" in segment:
            return math.exp(min(float(segment["avg_logprob"]), 0.0))
    return UNKNOWN_CONFIDENCE


def _ms(seconds: Any) -> int:
    return round(float(seconds) * 1000)
