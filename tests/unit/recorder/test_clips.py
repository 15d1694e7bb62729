"""A clip of a menu is answered once, in time, and with the choice that was said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.recorder.adapters.scribes import ScribeFailed
from services.recorder.clips import MOST_BYTES, Clips
from services.recorder.scribe import Order
from services.shared.bus.errors import BusUnavailable
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.recognition_pb2 import RecogniseClip, RecognitionOutcome

NOW = 1_795_399_051.0


@dataclass
class ScriptedScribe:
    """Hears what it is told to hear."""

    heard: str = ""
    fails: bool = False
    orders: list[Order] = field(default_factory=list)

    def start(self) -> None:
        pass

    def write_down(self, order: Order) -> Iterator[dict[str, Any]]:
        self.orders.append(order)
        assert order.path.read_bytes()
        if self.fails:
            raise ScribeFailed("the sound can't be decoded", is_final=True)
        yield {"told": "plan", "sides": [{"channel": 0, "language": "uk", "speech": [], "chunks": 1}]}
        if self.heard:
            yield {"told": "chunk", "words": [[word, 0, 100, 0.8] for word in self.heard.split()]}


def clip(**more: Any) -> RecogniseClip:
    given: dict[str, Any] = {
        "clip_id": "c-1",
        "tenant_id": "acme",
        "call_id": "call-1",
        "leg_id": "leg-1",
        "sound": b"RIFF",
        "languages": ["uk", "en"],
        "phrases": ["відділ продажу", "підтримка"],
        "deadline_ms": int(NOW * 1000) + 3_000,
    }
    return RecogniseClip(**given | more)


def answers(scribe: ScriptedScribe) -> Clips:
    def nothing() -> Any:
        raise AssertionError("no bus here")

    return Clips(nothing, nothing, scribe, Clock(wall=lambda: NOW))


def test_an_answer_says_what_was_heard_and_which_choice_it_is() -> None:
    scribe = ScriptedScribe("підтримку, будь ласка")
    answer = answers(scribe).answer(clip())
    assert (answer.clip_id, answer.call_id, answer.leg_id) == ("c-1", "call-1", "leg-1")
    assert answer.outcome == RecognitionOutcome.RECOGNITION_OUTCOME_HEARD
    assert (answer.text, answer.language, answer.phrase) == ("підтримку, будь ласка", "uk", 1)
    assert answer.confidence == pytest.approx(0.8)
    assert scribe.orders[0].expected == ("відділ продажу", "підтримка")


def test_what_fits_no_choice_is_told_without_one() -> None:
    answer = answers(ScriptedScribe("добрий ранок")).answer(clip())
    assert answer.outcome == RecognitionOutcome.RECOGNITION_OUTCOME_HEARD
    assert not answer.HasField("phrase")


def test_silence_is_told() -> None:
    assert answers(ScriptedScribe()).answer(clip()).outcome == RecognitionOutcome.RECOGNITION_OUTCOME_SILENT


def test_a_clip_that_nobody_waits_for_is_not_even_heard() -> None:
    scribe = ScriptedScribe("так")
    answer = answers(scribe).answer(clip(deadline_ms=int(NOW * 1000)))
    assert answer.outcome == RecognitionOutcome.RECOGNITION_OUTCOME_LATE
    assert not scribe.orders


@pytest.mark.parametrize("sound", [b"", b"x" * (MOST_BYTES + 1)])
def test_a_clip_that_can_be_none_is_refused(sound: bytes) -> None:
    answer = answers(ScriptedScribe("так")).answer(clip(sound=sound))
    assert answer.outcome == RecognitionOutcome.RECOGNITION_OUTCOME_FAILED


def test_a_recogniser_that_fails_is_an_answer_too() -> None:
    answer = answers(ScriptedScribe(fails=True)).answer(clip())
    assert answer.outcome == RecognitionOutcome.RECOGNITION_OUTCOME_FAILED


class AwayBus:
    """A bus whose broker goes away whenever it is read; who stops is told so after three times."""

    def __init__(self) -> None:
        self.opened = self.closed = self.waits = 0

    def open(self) -> Any:
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def poll(self, _timeout_seconds: float) -> Any:
        raise BusUnavailable("the broker is away")

    def is_set(self) -> bool:
        return self.waits == 3

    def wait(self, _seconds: float) -> None:
        self.waits += 1


def test_a_broker_that_goes_away_again_and_again_leaves_no_connection_open() -> None:
    bus: Any = AwayBus()
    Clips(bus.open, bus.open, ScriptedScribe(), Clock()).run(bus)
    assert bus.opened == bus.closed == 6
