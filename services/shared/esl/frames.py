"""What the decoder hands out: frames, and events whose headers are looked up only when somebody asks.

An event of 4-8 kB has 100-200 headers and a reader wants about fifteen. Decoding all of them costs ten times the rest
of the work, so an event keeps the received bytes and finds headers by substring search. That is exact because
FreeSWITCH percent-encodes plain values and escapes JSON strings: a line start, or an unescaped quote, is always its
own, never part of a value.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

__all__ = ["Event", "Frame", "JsonEvent", "Kind", "PlainEvent", "find"]

try:
    # SIMD: all fifteen headers of a 4 kB event in 1.7 µs, against 13.5 µs by bytes.find. It is a declared dependency;
    # without it the whole reader costs 41 µs an event instead of 13 (bench.esl).
    from stringzilla import find  # type: ignore[import-not-found]  # a C extension without stubs
except ImportError:  # no wheel for this platform: slower, the same answers
    find = bytes.find

_UNDEFINED = "_undef_"
"""How FreeSWITCH writes an empty value in plain events (switch_event_serialize); JSON has an empty string."""

_KEPT_LETTERS = 256
"""Longest encoded value that is remembered with its meaning."""

_ARRAY_MARK = "ARRAY::"
_ARRAY_SEPARATOR = "|:"


class Kind(Enum):
    """What a frame is, by its Content-Type."""

    AUTH_REQUEST = "auth/request"
    COMMAND_REPLY = "command/reply"
    API_RESPONSE = "api/response"
    EVENT_PLAIN = "text/event-plain"
    EVENT_JSON = "text/event-json"
    DISCONNECT_NOTICE = "text/disconnect-notice"
    RUDE_REJECTION = "text/rude-rejection"
    LOG = "log/data"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that is not an event: its headers (the first of repeated ones) and its body."""

    kind: Kind
    headers: Mapping[str, str]
    raw_body: bytes = field(default=b"", repr=False)

    def header(self, name: str, default: str = "") -> str:
        """Return a header of the frame."""
        return self.headers.get(name, default)

    @property
    def text(self) -> str:
        """The Reply-Text of a command/reply, the body of anything else; invalid UTF-8 is replaced."""
        if self.kind is Kind.COMMAND_REPLY:
            return self.header("Reply-Text").strip()
        return self.raw_body.decode("utf-8", "replace")


class Event:
    """One event. Headers are looked up in the received bytes on demand, values decoded one by one.

    The same for plain and json: `get` gives the text of a header (an array as `ARRAY::a|:b`, as FreeSWITCH writes it),
    the first one where a header repeats. Names are case-sensitive. Invalid UTF-8 is replaced.
    """

    __slots__ = ("raw",)
    kind: Kind

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def get(self, header: str, default: str = "") -> str:
        """Return the value of a header; `default` when there is none."""
        raise NotImplementedError

    def select(self, headers: Sequence[str]) -> list[str]:
        """Return several headers at once, "" for an absent one: the fast way on a hot path."""
        return [self.get(header) for header in headers]

    def items(self) -> Iterator[tuple[str, str]]:
        """Every header in order, repeated ones too."""
        raise NotImplementedError

    @property
    def body(self) -> str:
        """The text after the headers (BACKGROUND_JOB, MESSAGE), or ""."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Event-Name, or "" when there is none."""
        return self.get("Event-Name")

    @property
    def subclass(self) -> str:
        """Event-Subclass, or ""."""
        return self.get("Event-Subclass")

    @property
    def size(self) -> int:
        """Bytes this event took on the wire, without its frame header."""
        return len(self.raw)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.get('Unique-ID')}>"


class PlainEvent(Event):
    r"""An event of `event plain`: `\nName: percent-encoded value` lines, a blank line, perhaps a body.

    `raw` begins with the line feed before the first header, so that every header is found by the same needle. No search
    looks beyond the blank line: the body is text that anybody may have written.
    """

    __slots__ = ("_headers_end",)
    kind = Kind.EVENT_PLAIN

    def __init__(self, raw: bytes) -> None:
        end = find(raw, b"\n\n")
        if end < 0:  # no blank line, FreeSWITCH always sends one: close the last line so that every value has an end
            raw += b"\n"
            end = len(raw) - 1
        self.raw = raw
        self._headers_end = end + 1

    def get(self, header: str, default: str = "") -> str:
        """Return the value of a header; `default` when there is none."""
        needle = _plain_needle(header)
        start = find(self.raw, needle, 0, self._headers_end)
        if start < 0:
            return default
        start += len(needle)
        return _plain_text(self.raw[start : self.raw.find(b"\n", start)])

    def select(self, headers: Sequence[str]) -> list[str]:
        """Return several headers at once, "" for an absent one: the fast way on a hot path."""
        raw, headers_end = self.raw, self._headers_end
        text = raw.decode("latin-1")  # once: a decoding of every value costs 3 µs more
        if not text.isascii():  # a body may be anything; FreeSWITCH's plain headers are ASCII
            return [self.get(header) for header in headers]
        values = []
        for needle, length in _plain_needles(tuple(headers)):
            start = find(raw, needle, 0, headers_end)
            if start < 0:
                values.append("")
                continue
            value = text[start + length : text.find("\n", start + length)]
            if "%" in value or value == _UNDEFINED:
                value = _decoded(value)
            values.append(value)
        return values

    def items(self) -> Iterator[tuple[str, str]]:
        """Every header in order, repeated ones too."""
        for line in self.raw[1 : self._headers_end].split(b"\n"):
            name, colon, value = line.partition(b": ")
            if colon:
                yield name.decode("utf-8", "replace"), _plain_text(value)

    @property
    def body(self) -> str:
        """The text after the headers; FreeSWITCH does not percent-encode it."""
        return self.raw[self._headers_end + 1 :].decode("utf-8", "replace")


class JsonEvent(Event):
    """An event of `event json`: one flat object of strings and lists of strings, the body under `_body`.

    A header is found by `"Name":` without a backslash before it: inside a JSON string every quote has one, so a value
    can't contain that. Parsing the whole object costs more (orjson: 13 µs for 6.6 kB) and forgets repeated headers.
    """

    __slots__ = ()
    kind = Kind.EVENT_JSON

    def get(self, header: str, default: str = "") -> str:
        """Return the value of a header; `default` when there is none."""
        raw, needle = self.raw, _json_needle(header)
        start = find(raw, needle)
        while start > 0 and raw.startswith(b"\\", start - 1):  # a quote inside a name
            start = find(raw, needle, start + 1)
        if start < 0:
            return default
        start += len(needle)
        end = raw.find(b'"', start + 1)
        if raw.startswith(b'"', start) and end > 0 and raw.find(b"\\", start, end) < 0:
            return raw[start + 1 : end].decode("utf-8", "replace")
        return _json_text(raw[start:])

    def select(self, headers: Sequence[str]) -> list[str]:
        """Return several headers at once, "" for an absent one: the fast way on a hot path."""
        raw, values = self.raw, []
        text = raw.decode("latin-1")
        if not text.isascii():
            return [self.get(header) for header in headers]
        for header, needle, length in _json_needles(tuple(headers)):
            start = find(raw, needle)
            if start < 0:
                values.append("")
                continue
            end = text.find('"', start + length)
            value = text[start + length : end]
            if end < 0 or "\\" in value or text[start - 1] == "\\" or text[start + length - 1] != '"':
                value = self.get(header)  # not a plain string, or a quote inside a name: the careful way
            values.append(value)
        return values

    def items(self) -> Iterator[tuple[str, str]]:
        """Every header in order, repeated ones too; nothing when the bytes are not a JSON object."""
        try:
            pairs = json.loads(self.raw.decode("utf-8", "replace"), object_pairs_hook=list, strict=False)
        except ValueError:
            return
        for name, value in pairs if isinstance(pairs, list) else ():
            if name != "_body":
                yield name, _text_of(value)

    @property
    def body(self) -> str:
        """The text of `_body`, or ""."""
        return self.get("_body")


@lru_cache(maxsize=1024)
def _plain_needle(header: str) -> bytes:
    return b"\n%b: " % header.encode()


@lru_cache(maxsize=64)
def _plain_needles(headers: tuple[str, ...]) -> tuple[tuple[bytes, int], ...]:
    needles = [_plain_needle(header) for header in headers]
    return tuple((needle, len(needle)) for needle in needles)


def _plain_text(value: bytes) -> str:
    if not value.isascii():  # not from FreeSWITCH; the bytes are put together before they are read as UTF-8
        return unquote_to_bytes(value).decode("utf-8", "replace")
    text = value.decode()
    return _decoded(text) if "%" in text or text == _UNDEFINED else text


def _decoded(value: str) -> str:
    """Decode one value. A long one is not kept: strangers who call with names of 60 kB would fill the memory."""
    return _decoded_and_kept(value) if len(value) <= _KEPT_LETTERS else _percent_decoded(value)


def _percent_decoded(value: str) -> str:
    return "" if value == _UNDEFINED else unquote_to_bytes(value).decode("utf-8", "replace")


_decoded_and_kept = lru_cache(maxsize=4096)(_percent_decoded)
"""The same numbers, addresses and names come back in every event of a call."""


@lru_cache(maxsize=1024)
def _json_needle(header: str) -> bytes:
    return b"%b:" % json.dumps(header, ensure_ascii=False).encode()


@lru_cache(maxsize=64)
def _json_needles(headers: tuple[str, ...]) -> tuple[tuple[str, bytes, int], ...]:
    """Names, needles, and the distance from the needle to the text of a string value."""
    return tuple((header, _json_needle(header), len(_json_needle(header)) + 1) for header in headers)


_JSON = json.JSONDecoder(strict=False)


def _json_text(rest: bytes) -> str:
    """Decode the JSON value that `rest` begins with; "" when there is none."""
    try:
        value, _ = _JSON.raw_decode(rest.decode("utf-8", "replace").lstrip())
    except ValueError:
        return ""
    return _text_of(value)


def _text_of(value: object) -> str:
    if isinstance(value, list):
        return _ARRAY_MARK + _ARRAY_SEPARATOR.join(str(part) for part in value)
    return str(value)
