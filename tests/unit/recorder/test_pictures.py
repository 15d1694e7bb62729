"""The picture of a recording: who speaks when, and how loud."""

import struct

import pytest

from tests.unit.recorder.conftest import Node
from tests.unit.recorder.sounds import sound, wav


def test_the_picture_shows_who_speaks_when(node: Node) -> None:
    quiet, loud = b"\0\0", struct.pack("<h", -32_768)
    left = (loud + quiet) * 8_000 + (quiet + quiet) * 8_000
    node.put(wav(left))
    node.store_it()
    waveform = node.documents.waveforms["rec-1"]
    assert (waveform.column_ms, waveform.channels) == (20, 2)
    columns = [waveform.peaks[at : at + 2] for at in range(0, len(waveform.peaks), 2)]
    assert columns == [b"\xff\0"] * 50 + [b"\0\0"] * 50


@pytest.mark.parametrize("frames", [1, 159, 160, 161, 400_001])
def test_the_picture_is_the_same_however_the_sound_comes(node: Node, frames: int) -> None:
    data = sound(frames)
    node.put(wav(data))
    node.store_it()
    waveform = node.documents.waveforms["rec-1"]
    step = 8 * waveform.column_ms
    samples = struct.unpack(f"<{frames * 2}h", data)
    wanted = bytearray()
    for at in range(0, frames, step):
        for channel in (0, 1):
            peak = max(abs(value) for value in samples[2 * at + channel : 2 * (at + step) : 2])
            wanted.append(round((min(peak, 32_768) / 32_768) ** 0.5 * 255))
    assert waveform.peaks == bytes(wanted)
