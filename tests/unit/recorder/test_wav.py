"""What is kept of a file is every whole frame that is in it, under a header that any player reads."""

import struct
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.adapters.disk import ClaimedFile
from services.recorder.adapters.measure import KeptSound
from services.recorder.domain.wav import HEAD_BYTES, NotWav, Shape, read_shape
from tests.unit.recorder.sounds import cut, frames_of, sound, wav

pcm = st.tuples(st.integers(1, 2), st.sampled_from([8000, 16000, 48000]), st.binary(max_size=2000))


def kept(file: bytes) -> tuple[Shape, bytes]:
    """Put together what the recorder keeps, by the shape's definition."""
    shape = read_shape(file[:HEAD_BYTES], len(file))
    return shape, shape.head + file[len(shape.head) : shape.until] + shape.padding


def whole_frames(data: bytes, channels: int) -> bytes:
    return data[: len(data) // (2 * channels) * (2 * channels)]


@given(pcm)
def test_a_finished_file_is_kept_byte_for_byte(case: tuple[int, int, bytes]) -> None:
    channels, rate, data = case
    file = wav(whole_frames(data, channels), channels, rate)
    shape, stored = kept(file)
    assert stored == file
    assert not shape.is_repaired
    assert shape.is_complete == (len(file) > 44)
    assert (shape.format.channels, shape.format.sample_rate) == (channels, rate)
    assert shape.duration_ms == (len(file) - 44) // (2 * channels) * 1000 // rate


class OpenFile:
    """A claimed file of bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_into(self, place: memoryview, offset: int) -> int:
        found = self._content[offset : offset + len(place)]
        place[: len(found)] = found
        return len(found)


@given(case=pcm, is_cut=st.booleans(), data=st.data())
def test_any_piece_of_what_is_kept_is_its_piece(
    case: tuple[int, int, bytes], *, is_cut: bool, data: st.DataObject
) -> None:
    channels, rate, samples = case
    file = cut(wav(b"", channels, rate)) + samples if is_cut else wav(whole_frames(samples, channels), channels, rate)
    shape, whole = kept(file)
    at = data.draw(st.integers(0, len(whole)))
    size = data.draw(st.integers(0, len(whole) - at))
    content = KeptSound(cast("ClaimedFile", OpenFile(file)), shape)
    assert content.size_bytes == len(whole)
    assert content.read(at, size) == whole[at : at + size]


@given(pcm)
def test_a_cut_file_plays_every_whole_frame_after_its_repair(case: tuple[int, int, bytes]) -> None:
    channels, rate, data = case
    file = cut(wav(b"", channels, rate)) + data
    shape, stored = kept(file)
    assert not shape.is_complete
    assert shape.is_repaired
    assert frames_of(stored) == (channels, rate, whole_frames(data, channels))
    assert len(stored) == shape.size_bytes
    assert struct.unpack_from("<I", stored, 4)[0] == len(stored) - 8


@given(pcm, st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF))
def test_whatever_sizes_a_header_tells_no_frame_is_lost(
    case: tuple[int, int, bytes], riff: int, data_size: int
) -> None:
    channels, rate, data = case
    whole = wav(b"", channels, rate)
    file = whole[:4] + struct.pack("<I", riff) + whole[8:40] + struct.pack("<I", data_size) + data
    shape, stored = kept(file)
    if shape.is_complete:
        assert stored == file
    else:
        assert frames_of(stored)[2] == whole_frames(data, channels)


@given(pcm)
def test_a_repaired_file_needs_no_further_repair(case: tuple[int, int, bytes]) -> None:
    channels, rate, data = case
    _, once = kept(cut(wav(b"", channels, rate)) + data)
    shape, twice = kept(once)
    assert twice == once
    assert not shape.is_repaired


@given(pcm, st.data())
def test_a_file_that_is_shorter_than_it_says_is_not_finished(case: tuple[int, int, bytes], draw: st.DataObject) -> None:
    channels, rate, data = case
    file = wav(whole_frames(data, channels), channels, rate)
    length = draw.draw(st.integers(44, len(file)))
    shape = read_shape(file[:length], length)
    assert shape.is_complete == (length == len(file) and length > 44)


@given(st.binary(max_size=300), st.integers(0, 2**40))
def test_bytes_of_any_kind_are_a_shape_or_refused(head: bytes, more: int) -> None:
    try:
        shape = read_shape(head, len(head) + more)
    except NotWav as refusal:
        assert str(refusal)  # noqa: PT017 - either end is right, and this is what this one promises
        return
    assert shape.until <= len(head) + more


@given(st.binary(max_size=100), st.integers(0, 43))
def test_a_broken_header_never_reaches_beyond_the_file(noise: bytes, at: int) -> None:
    file = bytearray(wav(sound(50)))
    file[at : at + len(noise)] = noise
    try:
        shape = read_shape(bytes(file[:HEAD_BYTES]), len(file))
    except NotWav:
        return
    assert 0 <= shape.until <= len(file)
    assert shape.data_offset + shape.data_bytes <= len(file)


def test_titles_behind_the_sound_are_kept() -> None:
    data = sound(100)
    titles = b"LIST" + struct.pack("<I", 12) + b"INFOISFT" + b"\0\0\0\0"
    plain = wav(data)
    file = plain[:4] + struct.pack("<I", len(plain) + len(titles) - 8) + plain[8:] + titles
    shape, stored = kept(file)
    assert shape.is_complete
    assert stored == file
    assert shape.duration_ms == 100 * 1000 // 8000


def test_titles_before_the_sound_move_it() -> None:
    plain = wav(sound(100))
    titles = b"LIST" + struct.pack("<I", 12) + b"INFOISFT" + b"\0\0\0\0"
    file = plain[:4] + b"\0\0\0\0" + plain[8:36] + titles + b"data\0\0\0\0" + plain[44:]
    shape, stored = kept(file)
    assert shape.data_offset == 64
    assert frames_of(stored)[2] == plain[44:]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "empty"),
        (b"RIFF", "cut"),
        (b"ID3\x03" + b"\0" * 60, "not RIFF"),
        (wav(b"")[:36], "no sound chunk"),
        (wav(b"")[:12] + wav(b"")[36:], "before its format"),
        (wav(b"")[:20] + b"\x99\x99" + wav(b"")[22:], "codec"),
        (wav(b"")[:22] + b"\0\0" + wav(b"")[24:], "channels"),
        (wav(b"")[:32] + b"\x07\0" + wav(b"")[34:], "frame size"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_reason(head: bytes, why: str) -> None:
    with pytest.raises(NotWav, match=why):
        read_shape(head, len(head))


def test_a_file_beyond_four_gigabytes_is_refused() -> None:
    with pytest.raises(NotWav, match="larger"):
        read_shape(wav(b""), 2**32 + 8)
