"""On a real switch the customer is heard on the left of a recording, whoever was dialled, and after a transfer too.

Whose leg is recorded: tests/unit/router/test_recording_sides.py. The simulated switch's sides:
tests/unit/switch/test_recordings.py, where two speakers are told apart by their loudness.
"""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.switch.conftest import Bench
from tests.switch.oracle import EventSocket
from tests.switch.test_truths import answered, ends, parked_caller

CUSTOMER_HZ, AGENT_HZ, SECOND_HZ = 400, 1000, 1600
"""Whole waves in a frame of 20 ms."""
RATE = 8000


def frame(hertz: int) -> bytes:
    """Return 20 ms of a tone as PCMU (ITU-T G.711)."""
    level = 8000 * np.sin(2 * np.pi * hertz * np.arange(RATE // 50) / RATE)
    size = np.abs(level).astype(int) + 132
    exponent = np.floor(np.log2(size)).astype(int) - 7
    code = (np.where(level < 0, 128, 0)) | (exponent << 4) | ((size >> (exponent + 3)) & 15)
    return bytes((~code & 255).astype(np.uint8))


@pytest.fixture
def talkers(bench: Bench) -> Iterator[Bench]:
    """Give a switch whose customers, agents and second agents say different tones."""
    if not bench.is_real:
        pytest.skip("the phones of the simulated switch say no tones")
    from tests.switch.real import RealSwitch  # noqa: PLC0415 - as in the fixture

    assert isinstance(bench, RealSwitch)
    tones = {"": CUSTOMER_HZ, "customer": CUSTOMER_HZ, "answer": AGENT_HZ, "second": SECOND_HZ}
    bench.say({who: frame(hertz) for who, hertz in tones.items()})
    yield bench
    bench.say({})


def tones(path: Path, begin: float) -> tuple[int, int]:
    """Return what is heard for half a second, left and right; `begin` is counted from the end where it is negative."""
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    at = round(begin * RATE) % len(samples)
    spectrum = np.abs(np.fft.rfft(samples[at : at + RATE // 2], axis=0))
    left, right = (int(place) for place in np.argmax(spectrum, axis=0))
    for side, other in ((0, right), (1, left)):
        assert spectrum[other, side] < spectrum[:, side].max() / 100, "the two are mixed"
    return left * 2, right * 2


@pytest.mark.parametrize("way", ["inbound", "agent first", "customer first"])
def test_the_customer_is_on_the_left_whoever_was_dialled_and_after_a_transfer(
    talkers: Bench, commands: EventSocket, events: EventSocket, way: str
) -> None:
    if way == "inbound":
        customer, agent = parked_caller(talkers, events), answered(talkers, commands, events)
    elif way == "agent first":
        agent, customer = answered(talkers, commands, events), answered(talkers, commands, events, "customer")
    else:
        customer, agent = answered(talkers, commands, events, "customer"), answered(talkers, commands, events)
    second = answered(talkers, commands, events, "second")
    path = talkers.recordings / f"sides-{way.replace(' ', '-')}.wav"
    for name in ("RECORD_STEREO", "RECORD_BRIDGE_REQ", "park_after_bridge"):
        commands.api(f"uuid_setvar {customer} {name} true")
    assert commands.api(f"uuid_record {customer} start {path}") == "+OK Success\n"
    for other in (agent, second):
        commands.api(f"uuid_bridge {customer} {other}")
        events.event_of(other, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
        commands.let_pass(3)
    commands.api(f"uuid_record {customer} stop {path}")
    events.event_of(customer, "RECORD_STOP")
    assert tones(path, 1.0) == (CUSTOMER_HZ, AGENT_HZ)
    assert tones(path, -1.0) == (CUSTOMER_HZ, SECOND_HZ)
    commands.api("hupall")
    ends(commands, events, customer)
