"""Streams made of frames that are nearly right, cut anywhere: no crash, no forged field, the same in every cutting."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.esl import decoder, errors
from tests.fuzz.agreement import check

NAMES = st.sampled_from(
    [
        "Event-Name",
        "Unique-ID",
        "Content-Length",
        "Content-Type",
        "Hangup-Cause",
        "_body",
        "X",
        'q"uote',
        'q"Unique-ID',
        "back\\slash",
    ]
) | st.text(max_size=6)
VALUES = st.sampled_from(
    [
        "CHANNEL_HANGUP",
        "x%0AUnique-ID: victim",
        "\nUnique-ID: victim\n\n",
        '","Unique-ID":"victim',
        '\\","Unique-ID":"victim',
        "_undef_",
        "%",
        "%zz",
        "\\",
        "3",
        "99999999999",
        "text/event-plain",
    ]
) | st.text(max_size=12)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
BODIES = st.sampled_from(["", "+OK\n", "Unique-ID: victim\n\n", "\nUnique-ID: victim"]) | st.text(max_size=20)


def as_lines(pairs: list[tuple[str, str]]) -> bytes:
    """Lines as nobody should write them: values raw, line feeds and all."""
    return "".join(f"{name}: {value}\n" for name, value in pairs).encode("utf-8", "surrogatepass")


def as_plain(pairs: list[tuple[str, str]], body: str) -> bytes:
    return as_lines(pairs) + b"\n" + body.encode("utf-8", "surrogatepass")


def as_json(pairs: list[tuple[str, str]], body: str) -> bytes:
    members = [*pairs, ("_body", body)] if body else pairs
    text = ",".join(f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in members)
    return f"{{{text}}}".encode("utf-8", "surrogatepass")


def framed(kind: str, body: bytes, error: int, extra: bytes) -> bytes:
    return b"Content-Length: %d\nContent-Type: %s\n%s\n%s" % (max(0, len(body) + error), kind.encode(), extra, body)


ERRORS = st.just(0) | st.integers(-3, 3)
EXTRA = st.just(b"") | PAIRS.map(as_lines)
FRAMES = st.one_of(
    st.builds(framed, st.just("text/event-plain"), st.builds(as_plain, PAIRS, BODIES), ERRORS, EXTRA),
    st.builds(framed, st.just("text/event-json"), st.builds(as_json, PAIRS, BODIES), ERRORS, EXTRA),
    st.builds(framed, st.sampled_from(["api/response", "log/data", "odd"]), st.binary(max_size=30), ERRORS, EXTRA),
    st.builds(lambda pairs: as_lines(pairs) + b"\n", PAIRS),
    st.just(b"Content-Type: command/reply\nReply-Text: +OK\n\n"),
    st.just(b"Event-Name: CHANNEL_DATA\nContent-Type: command/reply\nReply-Text: %2BOK%0A\n\n"),
    st.binary(max_size=20),
)


@settings(max_examples=1_500, deadline=None)
@given(st.lists(FRAMES, max_size=5).map(b"".join), st.lists(st.integers(0, 600), max_size=12))
def test_the_decoder_reads_what_the_reference_reads(data: bytes, cuts: list[int]) -> None:
    check(data, cuts, decoder, errors.ProtocolError)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAMES, max_size=3).map(b"".join))
def test_bytes_that_come_one_by_one_read_the_same(data: bytes) -> None:
    check(data, range(len(data)), decoder, errors.ProtocolError)
