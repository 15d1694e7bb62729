"""The oracle of every fuzzer: the decoder and the reference read the same, however the bytes are cut."""

import itertools
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from tests.fuzz.reference import NotTheProtocol, RefFrame, read_all

MAX_HEAD = 512
MAX_BODY = 2_048
ASKED = ("Event-Name", "Unique-ID", "Content-Length", "Hangup-Cause", "_body", "", "X", "Caller-Caller-ID-Name")


def check(data: bytes, cuts: Iterable[int], decoder: ModuleType, protocol_error: type[Exception]) -> None:
    """Raise AssertionError where the two disagree; whatever else the decoder raises passes through."""
    whole, whole_failed = _fed(data, [], decoder, protocol_error)
    cut, cut_failed = _fed(data, cuts, decoder, protocol_error)
    try:
        expected, expected_failed = read_all(data, MAX_HEAD, MAX_BODY), False
    except NotTheProtocol:
        expected, expected_failed = None, True
    assert whole_failed == cut_failed == expected_failed, "one of them saw a protocol error"
    if expected is None:
        return
    assert len(whole) == len(cut) == len(expected), "another number of frames"
    for one, other, reference in zip(whole, cut, expected, strict=True):
        _agree(one, reference, decoder)
        _agree(other, reference, decoder)


def _fed(
    data: bytes, cuts: Iterable[int], decoder: ModuleType, protocol_error: type[Exception]
) -> tuple[list[Any], bool]:
    edges = sorted({0, len(data), *(cut for cut in cuts if 0 < cut < len(data))})
    reader = decoder.Decoder(max_head_bytes=MAX_HEAD, max_body_bytes=MAX_BODY)
    frames: list[Any] = []
    try:
        for start, end in itertools.pairwise(edges):
            frames += reader.feed(data[start:end])
    except protocol_error:
        return frames, True
    return frames, False


def _agree(frame: Any, reference: RefFrame, decoder: ModuleType) -> None:
    first_of_own = dict(reversed(reference.headers))
    if not isinstance(frame, decoder.Event):
        assert frame.kind.value in {first_of_own.get("Content-Type", ""), ""}
        assert dict(frame.headers) == first_of_own
        assert frame.raw_body == reference.body
        return
    assert frame.kind.value == first_of_own["Content-Type"]
    if frame.kind is decoder.Kind.EVENT_PLAIN:
        _agree_on_plain(frame, reference)
    else:
        _agree_on_json(frame, reference)


def _agree_on_plain(event: Any, reference: RefFrame) -> None:
    first = dict(reversed(reference.event_headers))
    assert list(event.items()) == reference.event_headers, "forged or lost fields"
    assert event.body == reference.event_body
    names = [name for name in {*first, *ASKED} if "\n" not in name and "\N{REPLACEMENT CHARACTER}" not in name]
    names = [name for name in names if ": " not in name]
    assert event.select(names) == [first.get(name, "") for name in names], "a forged field"
    assert [event.get(name, "absent") for name in names] == [first.get(name, "absent") for name in names]


def _agree_on_json(event: Any, reference: RefFrame) -> None:
    """Bytes that are no JSON object may give anything, but never an exception; those that are, exactly the object."""
    asked = (event.select(ASKED), [event.get(name) for name in ASKED], list(event.items()), event.body)
    if reference.event_headers:
        first = dict(reversed(reference.event_headers))
        names = [name for name in ASKED if name != "_body"]
        assert asked[2] == reference.event_headers, "forged or lost fields"
        assert event.select(names) == [first.get(name, "") for name in names], "a forged field"
        assert event.body == reference.event_body
