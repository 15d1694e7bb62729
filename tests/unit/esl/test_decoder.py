"""The decoder on captured runs, in every cutting, and on bytes that no honest switch sends."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.esl.decoder import MAX_BODY_BYTES, Decoder, Event, Frame, Kind
from services.shared.esl.errors import ProtocolError
from tests.fuzz.reference import read_all

Captured = Callable[[str], bytes]
Index = Callable[[str], list[dict[str, Any]]]

RUNS = [
    "01a-auth-refused",
    "01b-acl-rude-rejection",
    "01c-command-before-auth",
    "01d-commands",
    "01f-auth-timeout",
    "02-inbound-call.plain",
    "02-inbound-call.json",
    "03a-async-full-linger.plain",
    "03a-async-full-linger.json",
    "04a-agent-leg-failures.plain",
    "04a-agent-leg-failures.json",
    "04d-restart-sigterm.plain",
    "05a-attended-transfer-esl.plain",
    "09a-injection-and-odd-values.plain",
    "09a-injection-and-odd-values.json",
    "09c-filter.plain",
    "09f-pipeline.plain",
]

UNNOTED = "09a-injection-and-odd-values.json"
"""Its index ends at the first name that is not UTF-8."""

TWICE_NAMED = "COMMAND"
"""Events of this name come with two sets of basic headers; the index has the second set, FreeSWITCH means the first."""


def picture(frame: Frame | Event) -> tuple[object, ...]:
    """All of a frame that can be compared."""
    if isinstance(frame, Event):
        return frame.kind, tuple(frame.items()), frame.body
    return frame.kind, tuple(frame.headers.items()), frame.raw_body


@pytest.mark.parametrize("run", [run for run in RUNS if run != UNNOTED])
def test_a_captured_run_gives_the_frames_that_were_noted_while_capturing(
    run: str, captured: Captured, index: Index
) -> None:
    frames = Decoder().feed(captured(run))
    noted = index(run)
    assert [frame.kind.value for frame in frames] == [record["ct"] for record in noted]
    for frame, record in zip(frames, noted, strict=True):
        if isinstance(frame, Event) and frame.name != TWICE_NAMED:
            told = (record.get("ev", ""), record.get("seq", ""), record.get("uuid", ""), record.get("ts", ""))
            names = ("Event-Name", "Event-Sequence", "Unique-ID", "Event-Date-Timestamp")
            assert frame.select(names) == list(told)
            assert [frame.get(name) for name in names] == list(told)
        elif isinstance(frame, Frame) and "reply" in record:
            assert frame.text == record["reply"].strip()


@pytest.mark.parametrize("run", RUNS)
def test_a_captured_run_reads_as_the_reference_reads_it(run: str, captured: Captured) -> None:
    data = captured(run)
    for frame, expected in zip(Decoder().feed(data), read_all(data, 1 << 20, 1 << 30), strict=True):
        if isinstance(frame, Event):
            assert list(frame.items()) == expected.event_headers
            assert frame.body == expected.event_body
        else:
            assert frame.raw_body == expected.body
            assert dict(frame.headers) == dict(reversed(expected.headers))


@pytest.mark.parametrize(
    "run", ["01a-auth-refused", "01b-acl-rude-rejection", "01d-commands", "03a-async-full-linger.plain"]
)
def test_bytes_fed_one_by_one_give_the_same_frames(run: str, captured: Captured) -> None:
    data = captured(run)[:120_000]
    decoder = Decoder()
    one_by_one = [frame for position in range(len(data)) for frame in decoder.feed(data[position : position + 1])]
    assert [*map(picture, one_by_one)] == [*map(picture, Decoder().feed(data))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 60_000), max_size=40), run=st.sampled_from(RUNS))
def test_any_cutting_gives_the_same_frames(cuts: list[int], run: str, captured: Captured) -> None:
    data = captured(run)[:60_000]
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    decoder = Decoder()
    in_pieces = [frame for start, end in itertools.pairwise(edges) for frame in decoder.feed(data[start:end])]
    assert [*map(picture, in_pieces)] == [*map(picture, Decoder().feed(data))]


def test_a_frame_without_content_type_is_unknown_and_the_next_one_is_read() -> None:
    frames = Decoder().feed(b"X-Odd: 1\nContent-Length: 4\n\nbodyContent-Type: auth/request\n\n")
    assert [frame.kind for frame in frames] == [Kind.UNKNOWN, Kind.AUTH_REQUEST]


def test_the_answer_to_connect_has_no_length_and_decoded_headers(captured: Captured) -> None:
    frame = Decoder().feed(captured("03a-async-full-linger.plain"))[0]
    assert isinstance(frame, Frame)
    assert frame.kind is Kind.COMMAND_REPLY
    assert frame.text == "+OK"
    assert frame.header("Channel-Caller-ID-Name") == "Out Bound"
    assert frame.header("Channel-Channel-Name") == "sofia/internal/4930111@127.0.0.1:5070"


def test_the_body_of_a_disconnect_notice_and_of_a_rejection_is_consumed(captured: Captured) -> None:
    rejection, notice = Decoder().feed(captured("01b-acl-rude-rejection"))
    assert isinstance(rejection, Frame)
    assert isinstance(notice, Frame)
    assert (rejection.kind, rejection.text) == (Kind.RUDE_REJECTION, "Access Denied, go away.\n")
    assert notice.text.startswith("Disconnected, goodbye.")


def test_a_log_line_keeps_its_body() -> None:
    (frame,) = Decoder().feed(b"Content-Type: log/data\nContent-Length: 6\nLog-Level: 7\n\nhello\n")
    assert isinstance(frame, Frame)
    assert (frame.kind, frame.text, frame.header("Log-Level")) == (Kind.LOG, "hello\n", "7")


def test_an_event_with_its_frame_headers_in_another_order_is_an_event() -> None:
    (event,) = Decoder().feed(b"Content-Type: text/event-plain\nContent-Length: 19\nX: y\n\nEvent-Name: CODEC\n\n")
    assert isinstance(event, Event)
    assert event.name == "CODEC"


@pytest.mark.parametrize(
    "length", ["99999999999", "-1", "", "12x", "0x10", "1_0", "+5", "\u0663", str(MAX_BODY_BYTES + 1)]
)
@pytest.mark.parametrize("kind", ["text/event-plain", "api/response"])
def test_an_absurd_length_is_a_protocol_error(length: str, kind: str) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(f"Content-Length: {length}\nContent-Type: {kind}\n\n".encode())


def test_two_different_lengths_in_one_frame_are_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="two different"):
        Decoder().feed(b"Content-Type: api/response\nContent-Length: 3\nContent-Length: 4\n\nabcd")


def test_headers_without_end_are_a_protocol_error_however_they_are_cut() -> None:
    whole, one_by_one = Decoder(max_head_bytes=100), Decoder(max_head_bytes=100)
    with pytest.raises(ProtocolError, match="no end"):
        whole.feed(b"x" * 100)
    for _ in range(99):
        one_by_one.feed(b"x")
    with pytest.raises(ProtocolError, match="no end"):
        one_by_one.feed(b"x")


def test_a_large_body_in_small_pieces_is_joined_once() -> None:
    decoder = Decoder()
    assert decoder.feed(b"Content-Type: api/response\nContent-Length: 3000000\n\n") == []
    for _ in range(2_999):
        assert decoder.feed(b"a" * 1_000) == []
    (frame,) = decoder.feed(b"a" * 1_000)
    assert isinstance(frame, Frame)
    assert len(frame.raw_body) == 3_000_000
    assert decoder.pending_bytes == 0
