"""The `record` application: what a caller answers, until silence, a digit or the limit."""

import random
import wave
from pathlib import Path

import numpy as np
import pytest

from local.switch.callers import Caller
from local.switch.core import Switch
from local.switch.scenario import CallerKind, parse_caller_kind
from tests.unit.switch.conftest import Tape, agent_leg, run


def answering(switch: Switch, path: Path, *says: str, terminators: str = "12") -> None:
    """Let a leg, whose far end says these texts in turn, record one answer: eight seconds, two of silence."""
    agent_leg(switch)
    leg = switch.legs["agent-1"]
    leg.far_end = Caller(switch, parse_caller_kind({"says": list(says)}, CallerKind()), random.Random(1))
    run(switch, f"uuid_setvar agent-1 playback_terminators {terminators}")
    leg.broadcast("record", f"{path} 8 200 2")
    switch.scheduler.advance(0.2)


def sound(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 8_000, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def test_it_ends_two_seconds_after_the_last_word(switch: Switch, tape: Tape, tmp_path: Path) -> None:
    answering(switch, tmp_path / "a.wav", "one")
    switch.scheduler.advance(2.9)
    assert not tape.count("RECORD_STOP")
    switch.scheduler.advance(0.5)
    assert tape.count("RECORD_STOP") == 1
    heard = sound(tmp_path / "a.wav")
    assert 3.0 <= len(heard) / 8_000 <= 3.4
    assert np.abs(heard).max() == 1_000
    assert not heard[-16_000:].any()


def test_who_says_nothing_is_recorded_for_two_seconds(switch: Switch, tape: Tape, tmp_path: Path) -> None:
    answering(switch, tmp_path / "a.wav", "")
    switch.scheduler.advance(2.1)
    assert tape.count("RECORD_STOP") == 1
    assert not sound(tmp_path / "a.wav").any()


@pytest.mark.parametrize(("digit", "ends"), [("1", True), ("7", False)])
def test_a_digit_that_was_named_ends_it_and_no_other(
    switch: Switch, tape: Tape, tmp_path: Path, digit: str, *, ends: bool
) -> None:
    answering(switch, tmp_path / "a.wav", "one")
    switch.legs["agent-1"].receive_digit(digit)
    switch.scheduler.advance(0.3)
    assert bool(tape.count("RECORD_STOP")) is ends
    assert tape.count("DTMF") == 1


def test_a_folder_that_can_not_be_written_ends_the_leg(switch: Switch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answering(switch, tmp_path / "file" / "a.wav", "one")
    switch.scheduler.advance(4)
    assert "agent-1" not in switch.legs or not switch.legs["agent-1"].is_up
