"""What an event says of itself, in plain and in json, and what nobody can make it say."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.esl import frames
from services.shared.esl.decoder import Decoder, Event, JsonEvent, PlainEvent

Captured = Callable[[str], bytes]

WANTED = (
    "Event-Name",
    "Unique-ID",
    "Core-UUID",
    "Event-Sequence",
    "Event-Date-Timestamp",
    "Caller-Destination-Number",
    "Caller-Caller-ID-Number",
    "Call-Direction",
    "Answer-State",
    "Hangup-Cause",
    "Other-Leg-Unique-ID",
    "variable_sip_hangup_disposition",
    "variable_ringmaster_tenant",
    "Application-UUID",
    "Application",
)
FORGED_NAMES = ("Event-Name", "Unique-ID", "Hangup-Cause", "Foo", "injected")


def events_of(data: bytes) -> list[Event]:
    return [frame for frame in Decoder().feed(data) if isinstance(frame, Event)]


@pytest.mark.parametrize("form", ["plain", "json"])
def test_no_caller_forges_a_field_by_an_encoded_line_feed(form: str, captured: Captured) -> None:
    events = events_of(captured(f"09a-injection-and-odd-values.{form}"))
    carriers = [event for event in events if "victim-uuid" in event.get("variable_sip_h_X-Note")]
    assert carriers
    for event in events:
        assert "victim" not in event.get("Unique-ID")
        assert event.get("Foo", "absent") == "absent"
        assert "victim-uuid" not in [value for name, value in event.items() if name in FORGED_NAMES]
    assert {event.name for event in carriers} - {"CHANNEL_HANGUP_COMPLETE"}
    by_display_name = [event for event in events if event.get("Caller-Caller-ID-Name").startswith("Eve\n")]
    assert by_display_name
    assert {event.get("Hangup-Cause") for event in by_display_name} <= {"", "NORMAL_CLEARING"}


@pytest.mark.parametrize(
    "run", ["02-inbound-call", "04a-agent-leg-failures", "04c-hangup-after-answer", "05a-attended-transfer-esl"]
)
def test_plain_and_json_of_one_run_agree_on_the_wanted_headers(run: str, captured: Captured) -> None:
    plain, by_json = (
        {event.get("Event-Sequence"): event.select(WANTED) for event in events_of(captured(f"{run}.{form}"))}
        for form in ("plain", "json")
    )
    assert len(plain) > 90
    assert plain == by_json


def test_a_literal_percent_sign_of_a_caller_reads_differently_in_plain(captured: Captured) -> None:
    """FreeSWITCH does not encode a '%' that two hex digits follow, so plain loses what the caller wrote."""
    plain, by_json = (
        next(event for event in events_of(captured(f"02-inbound-call.{form}")) if event.get("variable_sip_h_X-Trace"))
        for form in ("plain", "json")
    )
    assert plain.get("variable_sip_h_X-Trace") == "a=1;b=\ninjected"
    assert by_json.get("variable_sip_h_X-Trace") == "a=1;b=%0Ainjected"


def test_an_array_reads_the_same_in_both_formats(captured: Captured) -> None:
    histories = [
        {event.get("Event-Sequence"): event.get("variable_transfer_history") for event in events_of(captured(run))}
        for run in ("02-inbound-call.plain", "02-inbound-call.json")
    ]
    assert histories[0] == histories[1]
    assert any(value.startswith("ARRAY::") and "|:" in value for value in histories[0].values())


def test_the_first_of_repeated_headers_counts_in_both_formats(captured: Captured) -> None:
    for form in ("plain", "json"):
        repeated = [
            event
            for event in events_of(captured(f"02-inbound-call.{form}"))
            if [name for name, _ in event.items()].count("Event-Name") > 1
        ]
        assert repeated
        assert {event.name for event in repeated} == {"COMMAND"}


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_background_job_has_a_body_and_an_id(form: str, captured: Captured) -> None:
    jobs = [event for event in events_of(captured(f"04a-agent-leg-failures.{form}")) if event.name == "BACKGROUND_JOB"]
    assert [job.body for job in jobs if job.body.startswith("+OK")] == ["+OK 04000015-0000-0000-0000-01a20624aaa5\n"]
    assert "-ERR USER_BUSY\n" in [job.body for job in jobs]
    assert all(job.get("Job-UUID") and int(job.get("Content-Length")) == len(job.body.encode()) for job in jobs)
    assert not any(name == "_body" for job in jobs for name, _ in job.items())


def test_a_body_can_not_be_taken_for_headers() -> None:
    body = "Unique-ID: victim\nX\nUnique-ID: victim\n\n"
    plain = PlainEvent(f"\nEvent-Name: BACKGROUND_JOB\nContent-Length: {len(body)}\n\n{body}".encode())
    by_json = JsonEvent(json.dumps({"Event-Name": "BACKGROUND_JOB", "_body": body + '","Unique-ID":"victim'}).encode())
    for event in (plain, by_json):
        assert event.get("Unique-ID", "absent") == "absent"
        assert event.select(("Unique-ID", "Event-Name")) == ["", "BACKGROUND_JOB"]
    assert plain.body == body


def test_invalid_utf8_is_replaced_in_both_formats() -> None:
    plain = PlainEvent(b"\nEvent-Name: X\nCaller-Caller-ID-Name: J%FCrgen\n\n")
    by_json = JsonEvent(b'{"Event-Name":"X","Caller-Caller-ID-Name":"J\xfcrgen"}')
    for event in (plain, by_json):
        assert event.get("Caller-Caller-ID-Name") == "J\N{REPLACEMENT CHARACTER}rgen"
        assert event.select(("Event-Name", "Caller-Caller-ID-Name"))[1] == "J\N{REPLACEMENT CHARACTER}rgen"
        assert dict(event.items())["Caller-Caller-ID-Name"] == "J\N{REPLACEMENT CHARACTER}rgen"


def test_half_a_letter_raw_and_half_encoded_is_put_together_before_it_is_read() -> None:
    event = PlainEvent(b"\nName: \xd1%8F\nOther: \xd1x%41\n\n")
    assert event.select(("Name", "Other")) == ["\u044f", "\N{REPLACEMENT CHARACTER}xA"]
    assert dict(event.items()) == {"Name": "\u044f", "Other": "\N{REPLACEMENT CHARACTER}xA"}


def test_an_empty_value_is_undef_on_the_plain_wire() -> None:
    assert PlainEvent(b"\nName: _undef_\n\n").get("Name", "absent") == ""
    assert PlainEvent(b"\nName: _undef_\n\n").select(("Name",)) == [""]
    assert JsonEvent(b'{"Name":""}').get("Name", "absent") == ""


def test_an_event_with_a_non_ascii_body_is_read_like_any_other() -> None:
    event = PlainEvent("\nEvent-Name: MESSAGE\nfrom: a%20b\n\n¿qué?".encode())
    assert event.select(("Event-Name", "from", "to")) == ["MESSAGE", "a b", ""]
    assert event.body == "¿qué?"


def test_bytes_that_are_no_json_have_no_headers() -> None:
    for raw in (b"", b"{", b"[]", b"null", b'{"Event-Name":', b'{"Event-Name":}', b'{"Event-Name":"x', b'{"a":"\\'):
        event = JsonEvent(raw)
        assert event.select(("Event-Name", "a")) == ["", ""]
        assert list(event.items()) == []
        assert event.body == ""


NAMES = st.text(alphabet='abcABC-_ \\"', min_size=1, max_size=12).map(str.strip).filter(bool)
VALUES = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), st.lists(NAMES, max_size=4))
def test_a_json_event_gives_back_exactly_what_was_put_in(pairs: list[tuple[str, str]], others: list[str]) -> None:
    members = ",".join(f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in pairs)
    event = JsonEvent(f"{{{members}}}".encode())
    first = dict(reversed(pairs))
    for name in [*first, *others]:
        assert event.get(name, "absent") == first.get(name, "absent")
    assert event.select([*first, *others]) == [first.get(name, "") for name in [*first, *others]]
    assert list(event.items()) == pairs


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), st.lists(NAMES, max_size=4), VALUES)
def test_a_plain_event_gives_back_exactly_what_was_put_in(
    pairs: list[tuple[str, str]], others: list[str], body: str
) -> None:
    lines = "".join(f"{name}: {percent_encoded(value)}\n" for name, value in pairs)
    event = PlainEvent(f"\n{lines}\n{body}".encode())
    first = dict(reversed(pairs))
    for name in [*first, *others]:
        assert event.get(name, "absent") == first.get(name, "absent")
    assert event.select([*first, *others]) == [first.get(name, "") for name in [*first, *others]]
    assert list(event.items()) == pairs
    assert event.body == body


def percent_encoded(value: str) -> str:
    return "".join(f"%{byte:02X}" for byte in value.encode()) or "_undef_"


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=6), st.integers(0, 220), st.integers(0, 220))
def test_the_fast_search_finds_what_the_plain_one_finds(text: bytes, needle: bytes, start: int, end: int) -> None:
    assert frames.find(text, needle) == text.find(needle)
    assert frames.find(text, needle, start, end) == text.find(needle, start, end)


def test_long_values_are_not_remembered() -> None:
    """Whoever calls four thousand times with another name of 60 kB would have it all kept."""
    before = frames._decoded_and_kept.cache_info().currsize
    for number in range(3):
        name = f"{number}%FC" + "x" * 60_000
        event = PlainEvent(f"\nCaller-Caller-ID-Name: {name}\n\n".encode())
        assert len(event.get("Caller-Caller-ID-Name")) == len(event.select(["Caller-Caller-ID-Name"])[0]) == 60_002
    assert frames._decoded_and_kept.cache_info().currsize == before
