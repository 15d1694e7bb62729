r"""How FreeSWITCH reads argument lists: `switch_separate_string` in switch_utils.c, quirks included.

Single quotes group; a backslash takes the next character out of the search for delimiters and, where that character is
a quote, a backslash, the delimiter, or one of n r t s, both become what is meant. Blanks around a part are trimmed
unless they are quoted or written as `\s`.
"""

_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", "s": " "}


def separate(text: str, delimiter: str = " ", limit: int = 64) -> list[str]:
    """Split into at most `limit` parts, the last of which keeps the rest; `^^;` at the start changes the delimiter."""
    if text.startswith("^^") and len(text) > 2:  # noqa: PLR2004 - the sign and the delimiter
        delimiter, text = text[2], text[3:]
    parts = _by_blanks(text, limit) if delimiter == " " else _by_delimiter(text, delimiter, limit)
    return [_clean(part, "" if delimiter == " " else delimiter) for part in parts]


def _by_delimiter(text: str, delimiter: str, limit: int) -> list[str]:
    parts: list[str] = []
    start = at = 0
    quoted = False
    while at < len(text) and len(parts) + 1 < limit:
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "'" and (quoted or "'" in text[at + 1 :]):
            quoted = not quoted
        elif character == delimiter and not quoted:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    # A delimiter at the very end begins no further part.
    return [*parts, text[start:]] if start < len(text) else parts


def _by_blanks(text: str, limit: int) -> list[str]:
    parts: list[str] = []
    at = _after_blanks(text, 0)
    start = at
    quoted = False
    while at < len(text) and len(parts) + 1 < limit:
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "'":
            quoted = not quoted
        elif character == " " and not quoted:
            parts.append(text[start:at])
            start = at = _after_blanks(text, at)
            continue
        at += 1
    return [*parts, text[start:]] if start < len(text) else parts


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def _clean(part: str, delimiter: str) -> str:
    """Strip quotes, resolve escapes, trim blanks that are neither quoted nor escaped."""
    part = part.lstrip(" ")
    kept: list[str] = []
    end = at = 0
    quoted = False
    while at < len(part):
        character = part[at]
        meant = _meant(part, at, delimiter) if character == "\\" else None
        if meant is not None:
            kept.append(meant)
            end = len(kept)
            at += 1
        elif character == "'" and (quoted or "'" in part[at + 1 :]):
            quoted = not quoted
            end = len(kept) if quoted else end
        else:
            kept.append(character)
            end = len(kept) if character != " " or quoted else end
        at += 1
    # A part of which nothing was kept is left as it is.
    return "".join(kept[:end]) if end or "'" in part else "".join(kept)


def _meant(part: str, at: int, delimiter: str) -> str | None:
    following = part[at + 1 : at + 2]
    if following and following in {"'", '"', "\\", delimiter}:
        return following
    return _UNESCAPED.get(following)
