"""Writes one sound down: decode, find voice, pack, recognise. It blocks, and is run in a process of its own.

What it does is told in steps as plain JSON values, so that whoever listens can keep each step: a scribe that is killed
and started again is given what is kept, and goes on behind it.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from services.recorder.adapters.engines.port import Engine, Sound
from services.recorder.adapters.sound import decode, durations_ms, sound_of, voice_probabilities
from services.recorder.domain.transcript.packing import Chunk, pack, unpack
from services.recorder.domain.transcript.voice import Stretch, stretches_of
from services.recorder.domain.transcript.words import Word

Tell = Callable[[dict[str, Any]], None]
SURE: Final = 0.5
"""A language that is less certain than this is taken for want of a better, and does not count as detected."""


@dataclass(frozen=True, slots=True)
class Side:
    """A channel to be written down: in this language, or in whichever of several is spoken."""

    channel: int
    language: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of a channel before its words: where speech is, and in which language."""

    channel: int
    speech: tuple[Stretch, ...]
    language: str
    is_detected: bool


@dataclass(frozen=True, slots=True)
class Order:
    """What to write down. `plan` and `done` (channel, chunk) are what an earlier scribe has told already."""

    path: Path
    media_type: str
    sides: tuple[Side, ...]
    longest_ms: int
    expected: tuple[str, ...] = ()
    plan: tuple[Heard, ...] | None = None
    done: frozenset[tuple[int, int]] = frozenset()


def write_down(order: Order, engine: Engine, tell: Tell) -> None:
    """Tell the plan, unless it is known, then each chunk that is not done.

    Raises BadSound, EngineAway, EngineRefused.
    """
    with tempfile.TemporaryDirectory(prefix="scribe-") as folder:
        channels = decode(order.path, order.media_type, Path(folder), order.longest_ms)
        plan = order.plan
        if plan is None:
            plan = tuple(
                _listen(side, channels[side.channel], engine) for side in order.sides if side.channel < len(channels)
            )
            tell(_told_plan(plan, len(channels), durations_ms(channels)))
        _recognise(plan, channels, order, engine, tell)


def _listen(side: Side, sound: Sound, engine: Engine) -> Heard:
    speech = tuple(stretches_of(voice_probabilities(sound), durations_ms([sound])))
    if side.language or not speech:
        return Heard(side.channel, speech, side.language, is_detected=False)
    among = side.languages
    if len(among) == 1:
        return Heard(side.channel, speech, among[0], is_detected=False)
    longest = max(pack(speech), key=lambda chunk: chunk.speech_ms)
    spoken = engine.detect(sound_of(longest, sound), among)
    if spoken is None:
        return Heard(side.channel, speech, next(iter(among), ""), is_detected=False)
    return Heard(side.channel, speech, spoken.language, is_detected=spoken.certainty >= SURE)


def _recognise(plan: Sequence[Heard], channels: Sequence[Sound], order: Order, engine: Engine, tell: Tell) -> None:
    """Recognise as many chunks together as the engine can: of one language, whoever of the two speaks it."""
    left = [
        (heard, number, chunk)
        for heard in sorted(plan, key=lambda heard: heard.language)
        for number, chunk in enumerate(pack(heard.speech))
        if (heard.channel, number) not in order.done
    ]
    for language, group in groupby(left, key=lambda one: one[0].language):
        chunks = list(group)
        for at in range(0, len(chunks), engine.at_once):
            some = chunks[at : at + engine.at_once]
            sounds = [sound_of(chunk, channels[heard.channel]) for heard, _, chunk in some]
            told = engine.recognise(sounds, language, order.expected)
            for (heard, number, chunk), words in zip(some, told, strict=True):
                tell(_told_chunk(heard, number, chunk, _rows(unpack(chunk, words))))


def _rows(words: Sequence[Word]) -> list[list[Any]]:
    return [[word.text, word.start_ms, word.end_ms, round(word.confidence, 4)] for word in words]


def _told_plan(plan: Sequence[Heard], channels: int, duration_ms: int) -> dict[str, Any]:
    return {
        "told": "plan",
        "channels": channels,
        "duration_ms": duration_ms,
        "sides": [
            {
                "channel": heard.channel,
                "speech": [list(stretch) for stretch in heard.speech],
                "language": heard.language,
                "is_detected": heard.is_detected,
                "chunks": len(pack(heard.speech)),
            }
            for heard in plan
        ],
    }


def _told_chunk(heard: Heard, number: int, chunk: Chunk, words: list[list[Any]]) -> dict[str, Any]:
    return {
        "told": "chunk",
        "channel": heard.channel,
        "number": number,
        "speech_ms": chunk.speech_ms,
        "words": words,
    }


def to_json(order: Order) -> dict[str, Any]:
    """Return an order as it is handed to another process."""
    return {
        "path": str(order.path),
        "media_type": order.media_type,
        "sides": [[side.channel, side.language, list(side.languages)] for side in order.sides],
        "longest_ms": order.longest_ms,
        "expected": list(order.expected),
        "plan": None
        if order.plan is None
        else [[one.channel, [list(s) for s in one.speech], one.language, one.is_detected] for one in order.plan],
        "done": sorted(list(place) for place in order.done),
    }


def from_json(given: dict[str, Any]) -> Order:
    """Read what `to_json` wrote."""
    plan = given["plan"]
    return Order(
        Path(given["path"]),
        given["media_type"],
        tuple(Side(channel, language, tuple(languages)) for channel, language, languages in given["sides"]),
        given["longest_ms"],
        tuple(given["expected"]),
        None
        if plan is None
        else tuple(
            Heard(channel, tuple((start, end) for start, end in speech), language, is_detected=is_detected)
            for channel, speech, language, is_detected in plan
        ),
        frozenset((channel, number) for channel, number in given["done"]),
    )
