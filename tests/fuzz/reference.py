"""A second reading of the event-socket protocol, written for clearness alone and sharing nothing with the decoder.

It decodes everything, one frame after another, from bytes that are all there.
"""

import json
import urllib.parse
from dataclasses import dataclass

Pairs = list[tuple[str, str]]


@dataclass
class RefFrame:
    """One frame: its own headers, its body, and of an event the event's headers and body."""

    headers: Pairs
    body: bytes
    event_headers: Pairs
    event_body: str


class NotTheProtocol(Exception):
    """The bytes can't be read as frames."""


def read_all(data: bytes, max_head: int, max_body: int) -> list[RefFrame]:
    """Read frames until the bytes end or one is incomplete. Raises NotTheProtocol."""
    frames: list[RefFrame] = []
    while data:
        if data[:1] == b"\n":
            data = data[1:]
            continue
        head, blank, rest = data.partition(b"\n\n")
        if not blank or len(head) + 2 > max_head:
            if len(data) >= max_head:
                raise NotTheProtocol("endless headers")
            return frames
        headers = head_pairs(head)
        length = length_of(headers)
        if length > max_body:
            raise NotTheProtocol("endless body")
        if len(rest) < length:
            return frames
        frames.append(frame_of(headers, rest[:length]))
        data = rest[length:]
    return frames


def length_of(headers: Pairs) -> int:
    lengths = {value for name, value in headers if name == "Content-Length"}
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise NotTheProtocol("two lengths")
    text = lengths.pop()
    if not (1 <= len(text) <= 10 and all(character in "0123456789" for character in text)):
        raise NotTheProtocol("not a length")
    return int(text)


def head_pairs(head: bytes) -> Pairs:
    is_channel = head[:12] == b"Event-Name: "  # the answer to `connect`
    if is_channel:
        return plain_pairs(head)
    pairs = []
    for line in head.split(b"\n"):
        if b":" in line:
            name, value = line.split(b":", 1)
            pairs.append((text(name), text(value[1:] if value[:1] == b" " else value)))
    return pairs


def frame_of(headers: Pairs, body: bytes) -> RefFrame:
    kind = next((value for name, value in headers if name == "Content-Type"), "")
    if kind == "text/event-plain":
        inner, _, rest = body.partition(b"\n\n")
        if body[:1] == b"\n":  # no headers at all
            inner, rest = b"", body[1:]
        return RefFrame(headers, body, plain_pairs(inner), text(rest))
    if kind == "text/event-json":
        return RefFrame(headers, body, *json_parts(body))
    return RefFrame(headers, body, [], "")


def plain_pairs(inner: bytes) -> Pairs:
    pairs = []
    for line in inner.split(b"\n"):
        if b": " in line:
            name, value = line.split(b": ", 1)
            decoded = text(urllib.parse.unquote_to_bytes(value))
            pairs.append((text(name), "" if value == b"_undef_" else decoded))
    return pairs


class Members(list[tuple[str, object]]):
    """The members of a JSON object, repeated ones too."""


def json_parts(body: bytes) -> tuple[Pairs, str]:
    """Read a flat object of strings and lists of strings; anything else is not an event and reads as nothing."""
    try:
        members = json.loads(text(body), object_pairs_hook=Members, strict=False)
    except (ValueError, RecursionError):
        return [], ""
    if not isinstance(members, Members):
        return [], ""
    pairs = []
    for name, value in members:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            pairs.append((name, "ARRAY::" + "|:".join(value)))
        elif isinstance(value, str):
            pairs.append((name, value))
        else:
            return [], ""
    return [pair for pair in pairs if pair[0] != "_body"], dict(reversed(pairs)).get("_body", "")


def text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
