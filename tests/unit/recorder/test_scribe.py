"""What a scribe listens to and tells: sides, languages, chunks heard together, and what another one has told before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.recorder import scribe
from services.recorder.adapters.engines.port import Sound, Spoken
from services.recorder.domain.transcript.voice import FRAME_MS
from services.recorder.domain.transcript.words import Word
from services.recorder.scribe import Heard, Order, Side, from_json, to_json, write_down
from tests.unit.recorder.sounds import wav
from tests.unit.recorder.test_encoding import talk

SECONDS = 6


class Script:
    """An engine that says what it was asked."""

    name, at_once = "script/1", 4

    def __init__(self, spoken: Spoken | None = None) -> None:
        self.spoken = spoken
        self.detected: list[tuple[str, ...]] = []
        self.asked: list[tuple[str, int]] = []

    def detect(self, sound: Sound, among: Sequence[str]) -> Spoken | None:
        assert sound.any()
        self.detected.append(tuple(among))
        return self.spoken

    def recognise(self, sounds: Sequence[Sound], language: str, expected: Sequence[str] = ()) -> list[list[Word]]:
        del expected
        self.asked.append((language, len(sounds)))
        return [[Word(f"{language}-word", 1_100, 1_400, 0.9)] for _ in sounds]

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def loud_is_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take whatever is loud for voice: the true detector knows noise from speech."""

    def probabilities(sound: Sound) -> list[float]:
        frame = 16 * FRAME_MS
        return [float(np.abs(sound[at : at + frame]).max() > 1_000) for at in range(0, len(sound), frame)]

    monkeypatch.setattr(scribe, "voice_probabilities", probabilities)


def told(tmp_path: Path, engine: Script, *sides: Side, **more: Any) -> list[dict[str, Any]]:
    path = tmp_path / "talk.wav"
    path.write_bytes(wav(talk(SECONDS).tobytes()))
    steps: list[dict[str, Any]] = []
    order = Order(path, "audio/wav", sides, 60_000, **more)
    write_down(from_json(to_json(order)), engine, steps.append)
    return steps


def languages(plan: dict[str, Any]) -> list[tuple[int, str, bool]]:
    return [(side["channel"], side["language"], side["is_detected"]) for side in plan["sides"]]


def test_both_sides_of_one_language_are_heard_together(tmp_path: Path) -> None:
    engine = Script()
    plan, *chunks = told(tmp_path, engine, Side(0, "uk"), Side(1, "uk"))
    assert (plan["channels"], plan["duration_ms"], languages(plan)) == (2, 6_000, [(0, "uk", False), (1, "uk", False)])
    assert engine.asked == [("uk", 2)]
    assert [(chunk["channel"], chunk["words"][0][0]) for chunk in chunks] == [(0, "uk-word"), (1, "uk-word")]
    assert engine.detected == []


def test_of_one_side_alone_nothing_of_the_other_is_heard(tmp_path: Path) -> None:
    engine = Script()
    plan, *chunks = told(tmp_path, engine, Side(1, "en"))
    assert languages(plan) == [(1, "en", False)]
    assert {chunk["channel"] for chunk in chunks} == {1}
    assert all(start >= 600 for chunk in chunks for _, start, _, _ in chunk["words"])  # the agent speaks from 1 s on
    assert engine.asked == [("en", 1)]


def test_each_side_may_speak_a_language_of_its_own(tmp_path: Path) -> None:
    engine = Script()
    told(tmp_path, engine, Side(0, "uk"), Side(1, "en"))
    assert engine.asked == [("en", 1), ("uk", 1)]


@pytest.mark.parametrize(
    ("spoken", "found"),
    [
        (Spoken("en", 0.9), ("en", True)),
        (Spoken("en", 0.3), ("en", False)),  # for want of a better
        (None, ("uk", False)),  # who can't tell takes the company's first
    ],
)
def test_a_language_that_nobody_chose_is_listened_for_among_the_companys(
    tmp_path: Path, spoken: Spoken | None, found: tuple[str, bool]
) -> None:
    engine = Script(spoken)
    plan, *_ = told(tmp_path, engine, Side(0, "", ("uk", "en")))
    assert languages(plan) == [(0, *found)]
    assert engine.detected == [("uk", "en")]


def test_a_company_of_one_language_is_not_listened_to_for_it(tmp_path: Path) -> None:
    engine = Script()
    plan, *_ = told(tmp_path, engine, Side(0, "", ("uk",)))
    assert (languages(plan), engine.detected) == ([(0, "uk", False)], [])


def test_what_an_earlier_scribe_has_told_is_not_heard_again(tmp_path: Path) -> None:
    engine = Script()
    known = tuple(Heard(channel, ((0, 900),), "uk", is_detected=False) for channel in (0, 1))
    steps = told(tmp_path, engine, Side(0, "uk"), Side(1, "uk"), plan=known, done=frozenset({(0, 0)}))
    assert [(step["told"], step["channel"]) for step in steps] == [("chunk", 1)]
    assert engine.asked == [("uk", 1)]
