"""Dial strings: `{variables}[leg variables]endpoint/address`, as originate and bridge take them."""

from dataclasses import dataclass, field

from local.switch.arguments import separate

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
        for pair in separate(inside, ",", 1024):
            parts = separate(pair, "=", 2)
            if len(parts) == 2:  # noqa: PLR2004 - a name and a value
                variables.append((parts[0], parts[1]))
    endpoint, _, address = rest.partition("/")
    return DialString(endpoint, address, variables)


@dataclass(frozen=True, slots=True)
class OriginateArguments:
    """The words of an originate command."""

    dial: str
    extension: str
    dialplan: str = "XML"
    context: str = "default"
    caller_name: str = ""
    caller_number: str = ""
    timeout_seconds: int = 60


def parse_originate(text: str) -> OriginateArguments | None:
    """Read `<call url> <exten>|&<app>(<args>) [dialplan] [context] [cid_name] [cid_num] [timeout]`."""
    words = ["" if word.lower() == "undef" else word for word in separate(text, limit=10)]
    if not 2 <= len(words) <= 7:  # noqa: PLR2004 - the command's own limits
        return None
    words += [""] * (7 - len(words))
    timeout = int(words[6]) if words[6].isdigit() else 60
    return OriginateArguments(words[0], words[1], words[2] or "XML", words[3] or "default", words[4], words[5], timeout)
