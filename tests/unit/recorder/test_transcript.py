import re
from collections import Counter
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.transcript.formats import MOST_CHARACTERS, cues_of, to_srt, to_webvtt
from services.recorder.domain.transcript.transcript import (
    SPEAKERS,
    Speaker,
    Track,
    Transcript,
    from_document,
    to_document,
    turns_of,
)
from services.recorder.domain.transcript.words import Personal, Word
from tests.unit.recorder.transcripts import SUBJECT, play, words

TALK = play(
    ("agent", 0, "good morning how can I help you"),
    ("customer", 2_500, "where is my order"),
    ("agent", 4_000, "one moment please"),
    ("agent", 9_000, "it comes tomorrow"),
)
WORDS = st.builds(
    lambda text, start, length, confidence, personal: Word(text, start, start + length, confidence, personal),
    st.text(min_size=1, max_size=12),
    st.integers(0, 3_600_000),
    st.integers(0, 2_000),
    st.floats(0, 1).map(lambda value: round(value, 3)),
    st.none() | st.sampled_from(Personal),
)
SAID = st.lists(
    st.tuples(st.sampled_from(SPEAKERS), st.lists(WORDS, max_size=12)), max_size=2, unique_by=lambda s: s[0]
)
CUE = re.compile(r"(\d\d):(\d\d):(\d\d)\.(\d{3}) --> (\d\d):(\d\d):(\d\d)\.(\d{3})\n<v (Agent|Customer)>([^\n]*)")


def transcript_of(said: list[tuple[Speaker, list[Word]]]) -> Transcript:
    return Transcript(
        SUBJECT,
        "script/1",
        (Track(0, Speaker.CUSTOMER, "uk", is_language_detected=True, speech=((0, 500),)),),
        turns_of(said),
    )


def test_a_talk_is_told_in_turns() -> None:
    told = [(turn.speaker.value, turn.start_ms, turn.text) for turn in TALK.turns]
    assert told == [
        ("agent", 0, "good morning how can I help you"),
        ("customer", 2_500, "where is my order"),
        ("agent", 4_000, "one moment please"),
        ("agent", 9_000, "it comes tomorrow"),
    ]


def test_an_answer_into_a_pause_begins_a_new_turn() -> None:
    spoken = turns_of([(Speaker.AGENT, words("a", 0) + words("b", 1_000)), (Speaker.CUSTOMER, words("yes", 500))])
    assert [turn.text for turn in spoken] == ["a", "yes", "b"]


@given(SAID)
def test_turns_hold_every_word_once(said: list[tuple[Speaker, list[Word]]]) -> None:
    told = Counter((turn.speaker, word) for turn in turns_of(said) for word in turn.words)
    assert told == Counter((speaker, word) for speaker, theirs in said for word in theirs)


@given(SAID)
def test_a_transcript_comes_back_from_its_document(said: list[tuple[Speaker, list[Word]]]) -> None:
    transcript = transcript_of(said)
    assert from_document(orjson.loads(orjson.dumps(to_document(transcript)))) == transcript


def test_the_document_says_what_its_reader_needs() -> None:
    document: dict[str, Any] = to_document(TALK)
    assert (document["words"], document["confidence"], document["language"]) == (17, 0.9, "en")
    assert document["turns"][1]["words"][0] == {"text": "where", "start_ms": 2500, "end_ms": 2800, "confidence": 0.9}
    assert [one["speaker"] for one in document["speakers"]] == ["customer", "agent"]


@given(SAID)
def test_subtitles_can_be_read_by_whoever_reads_webvtt(said: list[tuple[Speaker, list[Word]]]) -> None:
    transcript = transcript_of(said)
    head, *blocks = to_webvtt(transcript).rstrip("\n").split("\n\n")
    assert head == "WEBVTT"
    assert len(blocks) == len(cues_of(transcript))
    starts = []
    for block in blocks:
        found = CUE.fullmatch(block)
        assert found is not None, block
        assert found[10].count("<") == 0
        assert "-->" not in found[10]
        starts.append(found.groups()[:4])
        assert found.groups()[:4] < found.groups()[4:8]
    assert starts == sorted(starts)


def test_a_long_speech_is_cut_into_lines_that_can_be_read() -> None:
    cues = cues_of(play(("agent", 0, "quite a long sentence " * 30)))
    assert len(cues) > 5
    assert all(len(cue.text) <= MOST_CHARACTERS for cue in cues)


def test_srt_numbers_its_cues_and_names_the_speaker() -> None:
    assert to_srt(TALK).split("\n")[:8] == [
        "1",
        "00:00:00,000 --> 00:00:02,100",
        "Agent: good morning how can I help you",
        "",
        "2",
        "00:00:02,500 --> 00:00:03,700",
        "Customer: where is my order",
        "",
    ]
