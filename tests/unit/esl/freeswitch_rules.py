"""FreeSWITCH's reading of a command line, written down from its C sources (1.10) for the tests.

switch_utils.c: separate_string_char_delim, separate_string_blank_delim, cleanup_separated_string,
switch_find_end_paren; switch_event.c: switch_event_create_brackets; mod_event_socket.c: read_packet;
mod_commands.c: originate_function.
"""

import re

ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "s": " "}


def headers_of(wire: bytes) -> tuple[str, dict[str, str]]:
    """Read one packet: the command line and the headers after it."""
    packet, blank, rest = wire.partition(b"\n\n")
    assert blank, "no blank line"
    assert rest == b"", "bytes after the command"
    command, *lines = re.split("[\r\n]+", packet.decode())
    return command, {name.lower(): value.lstrip(" ") for name, _, value in (line.partition(":") for line in lines)}


def cleanup(part: str, delimiter: str) -> str:
    """Strip blanks, quotes and backslashes of one part."""
    out, keep, inside = [], 0, False
    position, part = 0, part.lstrip(" ")
    while position < len(part):
        character, after = part[position], part[position + 1 : position + 2]
        if character == "\\" and after and (after in "'\"\\" or after == delimiter or after in ESCAPED):
            out.append(after if after in "'\"\\" or after == delimiter else ESCAPED[after])
            keep = len(out)
            position += 2
            continue
        if character == "'" and (inside or "'" in part[position + 1 :]):
            inside = not inside
            keep = len(out) if inside else keep
        else:
            out.append(character)
            if character != " " or inside:
                keep = len(out)
        position += 1
    return "".join(out[:keep])


def separate(text: str, delimiter: str, limit: int) -> list[str]:
    """Split a text as switch_separate_string does."""
    if text.startswith("^^") and len(text) > 3:
        delimiter, text = text[2], text[3:]
    if delimiter == " ":
        return [cleanup(part, "") for part in _blank_parts(text, limit)]
    parts: list[str] = []
    current, inside, position = "", False, 0
    while position < len(text):
        if len(parts) == limit - 1:
            current += text[position:]
            break
        character = text[position]
        if character == "\\":
            current += text[position : position + 2]
            position += 2
            continue
        if character == "'" and (inside or "'" in text[position + 1 :]):
            inside = not inside
        if character == delimiter and not inside:
            parts.append(current)
            current = ""
        else:
            current += character
        position += 1
    if current:
        parts.append(current)
    return [cleanup(part, delimiter) for part in parts]


def _blank_parts(text: str, limit: int) -> list[str]:
    parts: list[str] = []
    position = 0
    while position < len(text) and len(parts) < limit:
        while text[position : position + 1] == " ":
            position += 1
        if len(parts) == limit - 1:
            parts.append(text[position:])
            break
        start, inside = position, False
        while position < len(text) and (inside or text[position] != " "):
            if text[position] == "\\":
                position += 1
            elif text[position] == "'":
                inside = not inside
            position += 1
        if text[start:position]:
            parts.append(text[start:position])
        while text[position : position + 1] == " ":
            position += 1
    return parts


def brackets(text: str) -> tuple[dict[str, str], str]:
    """Read `{a=b,c=d}rest`, braces counted without regard to quotes."""
    depth, end = 0, -1
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            end = position
            break
    assert end > 0, "no variable block"
    inside, delimiter = text[1:end], ","
    if inside.startswith("^^"):
        delimiter, inside = inside[2], inside[3:]
    pairs = [separate(part, "=", 2) for part in separate(inside, delimiter, 1024)]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}, text[end + 1 :]


def originate(command: str) -> tuple[dict[str, str], str, str, str]:
    """Read `bgapi originate …`: variables, endpoint, application, argument."""
    function, _, arguments = command.removeprefix("bgapi ").partition(" ")
    assert function == "originate"
    words = separate(arguments, " ", 10)
    assert len(words) == 2, words
    assert ":_:" not in words[0], "a second originate"
    variables, endpoint = brackets(words[0])
    assert words[1].startswith("&")
    application, _, argument = words[1][1:].partition(")")[0].partition("(")
    return variables, endpoint, application, argument
