"""Recordings hold what was said, on the right side, for as long as it was said."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from local.switch.channel import Leg
from local.switch.core import Switch
from local.switch.distributions import Fixed
from local.switch.phones import Behaviour, PhoneBook
from tests.unit.switch.conftest import Tape, agent_leg, run


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, file.getnchannels())


def talking(switch: Switch) -> tuple[Leg, Leg]:
    caller = switch.call_in("1200", "+4930555")
    agent = switch.find(agent_leg(switch))
    assert agent is not None
    run(switch, f"uuid_bridge {caller.uuid} {agent.uuid}")
    switch.scheduler.advance(0.2)
    for leg in (caller, agent):
        leg.variables.set("RECORD_STEREO", "true")
    return caller, agent


def test_left_is_the_recorded_leg_and_right_is_the_other(switch: Switch, tmp_path: Path) -> None:
    caller, agent = talking(switch)
    run(switch, f"uuid_record {caller.uuid} start {tmp_path}/a.wav")
    run(switch, f"uuid_record {agent.uuid} start {tmp_path}/b.wav")
    switch.scheduler.advance(10)
    run(switch, f"uuid_record {caller.uuid} stop all")
    run(switch, f"uuid_record {agent.uuid} stop all")
    a, b = samples(tmp_path / "a.wav"), samples(tmp_path / "b.wav")
    assert set(np.unique(a[:, 0])) == {0, 1000}
    assert set(np.unique(a[:, 1])) == {0, 2000}
    assert np.array_equal(a[:, 0], b[:, 1])
    assert np.array_equal(a[:, 1], b[:, 0])
    assert abs(len(a) - 80_000) <= 160


@pytest.mark.parametrize("first", ["the recorded leg", "the other leg"])
def test_left_stays_the_recorded_leg_whoever_was_dialled_and_after_a_transfer(
    switch: Switch, tmp_path: Path, first: str
) -> None:
    """A customer who is called back is a leg that was dialled, as each agent's is."""
    assert isinstance(switch.directory, PhoneBook)
    for number, name in enumerate(("home", "olena", "taras")):
        switch.directory.add_agent(name, "acme.example", Behaviour(answer_seconds=Fixed(1.0)), 41_000 + number)
    customer, agent, second = (agent_leg(switch, f"leg-{name}", f"user/{name}") for name in ("home", "olena", "taras"))
    paths = [str(tmp_path / name) for name in ("left.wav", "right.wav", "later.wav")]
    for leg in (customer, agent, second):
        run(switch, f"uuid_setvar {leg} RECORD_STEREO true")
    run(switch, f"uuid_setvar {customer} park_after_bridge true")
    run(switch, f"uuid_record {customer} start {paths[0]}")
    for other, path in ((agent, paths[1]), (second, paths[2])):
        pair = (customer, other) if first == "the recorded leg" else (other, customer)
        run(switch, f"uuid_bridge {pair[0]} {pair[1]}")
        switch.scheduler.advance(0.2)
        run(switch, f"uuid_record {other} start {path}")
        switch.scheduler.advance(10)
        run(switch, f"uuid_record {other} stop all")
    run(switch, f"uuid_record {customer} stop all")
    whole, talk, later = (samples(Path(path)) for path in paths)
    heard = slice(len(whole) - len(later), None)
    for side in (0, 1):  # the two begin within a step of the switch's clock
        assert np.mean(whole[heard, side] == later[:, 1 - side]) > 0.99
    assert set(np.unique(talk[:, 1])) == set(np.unique(whole[:, 0])) == {0, 1000 if pair[0] == customer else 2000}


def test_nobody_speaks_while_the_other_does(switch: Switch, tmp_path: Path) -> None:
    caller, _ = talking(switch)
    run(switch, f"uuid_record {caller.uuid} start {tmp_path}/a.wav")
    switch.scheduler.advance(20)
    run(switch, f"uuid_record {caller.uuid} stop all")
    a = samples(tmp_path / "a.wav")
    assert not np.any((a[:, 0] != 0) & (a[:, 1] != 0))
    assert np.mean(a != 0) > 0.2


def test_a_mask_is_silence_of_the_same_length(switch: Switch, tmp_path: Path, tape: Tape) -> None:
    caller, _ = talking(switch)
    path = tmp_path / "a.wav"
    run(switch, f"uuid_record {caller.uuid} start {path}")
    switch.scheduler.advance(5)
    before = len(tape.events)
    assert run(switch, f"uuid_record {caller.uuid} mask {path}") == "+OK Success\n"
    switch.scheduler.advance(5)
    assert run(switch, f"uuid_record {caller.uuid} unmask {path}") == "+OK Success\n"
    assert {event.name for event in tape.events[before:]} <= {"API"}
    switch.scheduler.advance(5)
    run(switch, f"uuid_record {caller.uuid} stop {path}")
    a = samples(path)
    assert abs(len(a) - 120_000) <= 160
    assert not np.any(a[40_160:79_840])
    assert np.any(a[:40_000])
    assert np.any(a[80_000:])


def test_a_pause_leaves_the_time_out(switch: Switch, tmp_path: Path) -> None:
    caller, _ = talking(switch)
    path = tmp_path / "a.wav"
    run(switch, f"uuid_record {caller.uuid} start {path}")
    switch.scheduler.advance(2)
    run(switch, f"uuid_record {caller.uuid} pause {path}")
    switch.scheduler.advance(5)
    run(switch, f"uuid_record {caller.uuid} resume {path}")
    switch.scheduler.advance(2)
    run(switch, f"uuid_record {caller.uuid} stop {path}")
    assert abs(len(samples(path)) - 32_000) <= 320


def test_a_muted_leg_says_nothing(switch: Switch, tmp_path: Path) -> None:
    caller, agent = talking(switch)
    run(switch, f"uuid_record {caller.uuid} start {tmp_path}/a.wav")
    run(switch, f"uuid_audio {agent.uuid} start read mute 1")
    switch.scheduler.advance(10)
    run(switch, f"uuid_record {caller.uuid} stop all")
    a = samples(tmp_path / "a.wav")
    assert np.any(a[:, 0])
    assert not np.any(a[400:, 1])


def test_music_is_heard_on_the_right_while_one_waits(switch: Switch, tmp_path: Path) -> None:
    caller = switch.call_in("1200", "+4930555")
    caller.variables.set("RECORD_STEREO", "true")
    run(switch, f"uuid_record {caller.uuid} start {tmp_path}/a.wav")
    run(switch, f"uuid_broadcast {caller.uuid} local_stream://default")
    switch.scheduler.advance(3)
    run(switch, f"uuid_break {caller.uuid}")
    switch.scheduler.advance(2)
    run(switch, f"uuid_record {caller.uuid} stop all")
    a = samples(tmp_path / "a.wav")
    assert not np.any(a[:, 0])
    assert set(np.unique(a[:, 1])) == {0, 500}
    assert 2.7 * 8000 < np.count_nonzero(a[:, 1]) < 3.1 * 8000


def test_a_file_grows_in_64_kib_steps_and_says_zero_until_it_is_stopped(switch: Switch, tmp_path: Path) -> None:
    caller, _ = talking(switch)
    path = tmp_path / "a.wav"
    run(switch, f"uuid_record {caller.uuid} start {path}")
    switch.scheduler.advance(1)
    assert path.stat().st_size in {0, 44}
    switch.scheduler.advance(4)
    assert path.stat().st_size == 44 + 2 * 65_536
    assert struct.unpack("<I", path.read_bytes()[40:44])[0] == 0
    run(switch, f"uuid_record {caller.uuid} stop {path}")
    data = path.read_bytes()
    assert struct.unpack("<I", data[40:44])[0] == len(data) - 44
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8


def test_a_limit_stops_the_recording_by_itself(switch: Switch, tmp_path: Path, tape: Tape) -> None:
    caller, _ = talking(switch)
    run(switch, f"uuid_record {caller.uuid} start {tmp_path}/a.wav 2")
    switch.scheduler.advance(5)
    assert tape.count("RECORD_STOP") == 1
    assert abs(len(samples(tmp_path / "a.wav")) - 16_000) <= 160


def test_a_hangup_completes_the_file_before_the_event(switch: Switch, tmp_path: Path) -> None:
    caller, _ = talking(switch)
    path = tmp_path / "a.wav"
    sizes: list[int] = []

    class Watch:
        is_json = False

        def wants(self, name: str, _subclass: str | None) -> bool:
            return name == "RECORD_STOP"

        def put(self, event: object) -> None:
            sizes.append(struct.unpack("<I", path.read_bytes()[40:44])[0])

    switch.bus.attach(Watch())
    run(switch, f"uuid_record {caller.uuid} start {path}")
    switch.scheduler.advance(3)
    caller.hangup_by_phone()
    switch.scheduler.advance(1)
    assert sizes == [path.stat().st_size - 44]


@pytest.mark.parametrize("where", ["/proc/nope/a.wav", "bad.mp3"])
def test_what_can_not_be_written_is_refused(switch: Switch, tmp_path: Path, where: str) -> None:
    caller, _ = talking(switch)
    path = where if where.startswith("/") else f"{tmp_path}/{where}"
    assert run(switch, f"uuid_record {caller.uuid} start {path}") == "-ERR Cannot record session!\n"
    assert not caller.recordings
