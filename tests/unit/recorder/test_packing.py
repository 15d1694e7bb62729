import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.transcript.packing import GAP_MS, LEAD_MS, LONGEST_CHUNK_MS, pack, unpack
from services.recorder.domain.transcript.voice import FRAME_MS, stretches_of
from services.recorder.domain.transcript.words import Word

MOMENTS = st.lists(st.integers(0, 200_000), min_size=2, max_size=40, unique=True).map(sorted)


def stretches(moments: list[int]) -> list[tuple[int, int]]:
    return list(zip(moments[0::2], moments[1::2], strict=False))


@given(MOMENTS)
def test_chunks_hold_all_speech_in_order_and_none_is_too_long(moments: list[int]) -> None:
    chunks = pack(stretches(moments))
    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    assert sum(piece.length_ms for piece in pieces) == sum(end - start for start, end in stretches(moments))
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(pieces))
    assert all(0 < chunk.length_ms <= LONGEST_CHUNK_MS for chunk in chunks)


@given(MOMENTS)
def test_pieces_of_a_chunk_stand_apart(moments: list[int]) -> None:
    for chunk in pack(stretches(moments)):
        assert chunk.pieces[0].at_ms == LEAD_MS
        for one, following in zip(chunk.pieces, chunk.pieces[1:], strict=False):
            assert following.at_ms == one.at_ms + one.length_ms + GAP_MS


@given(MOMENTS, st.data())
def test_a_word_comes_back_to_where_it_was_said(moments: list[int], data: st.DataObject) -> None:
    chunk = data.draw(st.sampled_from(pack(stretches(moments))))
    piece = data.draw(st.sampled_from(chunk.pieces))
    start = data.draw(st.integers(0, piece.length_ms - 1))
    end = data.draw(st.integers(start + 1, piece.length_ms))
    heard = Word("so", piece.at_ms + start, piece.at_ms + end, 0.9)
    assert unpack(chunk, [heard]) == [Word("so", piece.start_ms + start, piece.start_ms + end, 0.9)]


@given(MOMENTS, st.integers(-1_000, 40_000), st.integers(0, 3_000))
def test_no_word_is_put_where_nobody_spoke(moments: list[int], start: int, length: int) -> None:
    for chunk in pack(stretches(moments)):
        (word,) = unpack(chunk, [Word("so", start, start + length, 0.5)])
        assert any(piece.start_ms <= word.start_ms <= word.end_ms <= piece.end_ms for piece in chunk.pieces)


def test_a_long_speech_is_cut_into_equal_parts() -> None:
    lengths = [piece.length_ms for chunk in pack([(0, 60_000)]) for piece in chunk.pieces]
    assert lengths == [20_000, 20_000, 20_000]


@given(st.lists(st.floats(0, 1), max_size=300))
def test_stretches_of_speech_lie_apart_within_the_sound(probabilities: list[float]) -> None:
    duration_ms = len(probabilities) * FRAME_MS
    found = stretches_of(probabilities, duration_ms)
    assert all(0 <= start < end <= duration_ms for start, end in found)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))


@given(st.lists(st.floats(0, 0.49), max_size=300))
def test_silence_has_no_speech(probabilities: list[float]) -> None:
    assert stretches_of(probabilities, len(probabilities) * FRAME_MS) == []


def test_a_pause_for_breath_does_not_end_a_stretch_but_a_long_one_does() -> None:
    speech, breath, pause = [0.9] * 20, [0.1] * 8, [0.1] * 40
    one = stretches_of(speech + breath + speech, 48 * FRAME_MS)
    two = stretches_of(speech + pause + speech, 80 * FRAME_MS)
    assert len(one) == 1
    assert two == [(0, 20 * FRAME_MS + 400), (60 * FRAME_MS - 400, 80 * FRAME_MS)]
