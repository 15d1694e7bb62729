"""Dial strings: `{variables}[leg variables]endpoint/address`, as originate and bridge take them."""

from dataclasses import dataclass, field

from local.switch.encoding import split_words

_CLOSING = {"{": "}", "[": "]", "<": ">"}


@dataclass(frozen=True, slots=True)
class DialString:
    """A destination and the variables that come with it, in their order."""

    endpoint: str
    address: str
    variables: list[tuple[str, str]] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """Return the last value given for a variable."""
        return next((value for key, value in reversed(self.variables) if key == name), None)

    def is_true(self, name: str) -> bool:
        """Say whether a variable was given as true."""
        return (self.value(name) or "").lower() in {"true", "yes", "on", "1"}


def take_group(text: str) -> tuple[str, str]:
    """Split a leading bracketed group off; brackets nest. Returns (inside, rest); no group gives ("", text)."""
    if text[:1] not in _CLOSING:
        return "", text
    opening, closing = text[0], _CLOSING[text[0]]
    depth = 0
    for at, character in enumerate(text):
        if character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth == 0:
                return text[1:at], text[at + 1 :]
    return "", text


def parse_dial_string(text: str) -> DialString:
    """Read one destination. Lists of destinations are not taken: an unknown endpoint is the caller's error."""
    variables: list[tuple[str, str]] = []
    rest = text.strip()
    while rest[:1] in _CLOSING:
        inside, after = take_group(rest)
        if after == rest:
            break
        rest = after.lstrip()
        separator = ","
        if inside.startswith("^^"):
            separator, inside = inside[2], inside[3:]
        for pair in split_words(inside, separator):
            name, equals, value = pair.partition("=")
            if equals:
                variables.append((name.strip(), value))
    endpoint, _, address = rest.partition("/")
    return DialString(endpoint, address, variables)


@dataclass(frozen=True, slots=True)
class OriginateArguments:
    """The words of an originate command after the dial string."""

    dial: str
    extension: str
    dialplan: str = "XML"
    context: str = "default"
    caller_name: str = ""
    caller_number: str = ""
    timeout_seconds: int = 60


def parse_originate(text: str) -> OriginateArguments | None:
    """Read `<call url> <exten>|&<app>(<args>) [dialplan] [context] [cid_name] [cid_num] [timeout]`."""
    dial = ""
    rest = text.strip()
    while rest[:1] in _CLOSING:
        _, after = take_group(rest)
        if after == rest:
            return None
        dial += rest[: len(rest) - len(after)]
        rest = after.lstrip()
    url, _, rest = rest.partition(" ")
    rest = rest.strip()
    if not url or not rest:
        return None
    if rest.startswith("&"):
        extension, others = _take_application(rest)
    else:
        extension, _, others = rest.partition(" ")
    words = split_words(others)
    words += [""] * (5 - len(words))
    timeout = int(words[4]) if words[4].isdigit() else 60
    return OriginateArguments(
        dial + url, extension, words[0] or "XML", words[1] or "default", words[2], words[3], timeout
    )


def _take_application(text: str) -> tuple[str, str]:
    """Split `&app(args) more` after the closing bracket."""
    opening = text.find("(")
    blank = text.find(" ")
    if opening < 0 or (0 <= blank < opening):
        app, _, rest = text.partition(" ")
        return app, rest
    closing = text.rfind(")")
    if closing < opening:
        return text, ""
    return text[: closing + 1], text[closing + 1 :].strip()
