"""A leg's channel variables, kept as the encoded lines that its events carry.

Most events of a leg carry all of its 60 to 130 variables, and few of them change between two events. So each variable
is kept as its finished line, and the block of all lines is joined again only after a change: about 2 µs an event
instead of 60 µs. Setting a variable moves it to the end, as the switch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch.encoding import array_push, decode, encode, json_member, json_members, value_member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_TRUE = frozenset({"true", "yes", "on", "enabled", "active", "allow", "1", "t", "y"})
_FALSE = frozenset({"false", "no", "off", "disabled", "inactive", "disallow", "0", "f"})


class Variables:
    """Ordered names and values; names keep their case."""

    __slots__ = ("_block", "_json_block", "_lines", "_members")

    def __init__(self, *, as_json: bool = False) -> None:
        self._lines: dict[str, str] = {}
        self._block: str | None = ""
        # The same as json members, kept from the start where json is read, else from the first json event on.
        self._members: dict[str, str] | None = {} if as_json else None
        self._json_block: str | None = None

    def set(self, name: str, value: object) -> None:
        """Set, or remove by None; an empty value removes too, as on the switch."""
        self._block = self._json_block = None
        self._lines.pop(name, None)
        if self._members is not None:
            self._members.pop(name, None)
        if value is not None and value != "":
            text = str(value)
            self._lines[name] = f"variable_{name}: {encode(text)}\n"
            if self._members is not None:
                self._members[name] = value_member(f"variable_{name}", text)

    def set_many(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Set one after the other."""
        for name, value in pairs:
            self.set(name, value)

    def add_shared(self, shared: SharedLines) -> None:
        """Add variables that are the same on every leg; their lines are shared between legs."""
        for name in shared.lines:
            self._lines.pop(name, None)
        self._lines.update(shared.lines)
        if self._members is not None:
            for name in shared.members:
                self._members.pop(name, None)
            self._members.update(shared.members)
        self._block = self._json_block = None

    def push(self, name: str, value: str) -> None:
        """Append to a list variable."""
        self.set(name, array_push(self.get(name), value))

    def get(self, name: str) -> str | None:
        """Return the value, or None."""
        line = self._lines.get(name)
        return None if line is None else decode(line[line.index(": ") + 2 : -1])

    def look_up(self, name: str) -> str | None:
        """Return the value of a name whatever its case, as a command finds it."""
        folded = name.lower()
        return next((self.get(key) for key in self._lines if key.lower() == folded), None)

    def is_true(self, name: str) -> bool:
        """Say whether the switch reads the value as true."""
        return self._says(name, _TRUE)

    def is_false(self, name: str) -> bool:
        """Say whether the switch reads the value as false; one that is not set is neither."""
        return self._says(name, _FALSE)

    def _says(self, name: str, words: frozenset[str]) -> bool:
        line = self._lines.get(name)
        return line is not None and decode(line[line.index(": ") + 2 : -1]).lower() in words

    def block(self) -> str:
        """Return all lines as an event carries them."""
        if self._block is None:
            self._block = "".join(self._lines.values())
        return self._block

    def json_block(self) -> str:
        """Return all members as a json event carries them."""
        if self._json_block is None:
            if self._members is None:
                self._members = {name: json_member(line[:-1]) for name, line in self._lines.items()}
            self._json_block = ",".join(self._members.values())
        return self._json_block

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


class SharedLines:
    """Variables that many legs have with the same values, rendered once."""

    def __init__(self, pairs: Iterable[tuple[str, object]]) -> None:
        self.lines = {name: f"variable_{name}: {encode(str(value))}\n" for name, value in pairs}
        self.members = {name: json_member(line[:-1]) for name, line in self.lines.items()}


class Block:
    """A block of plain lines that repeats from event to event of a leg, and its json members once asked for."""

    __slots__ = ("_json", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._json: str | None = None

    def block(self) -> str:
        """Return the plain lines."""
        return self._text

    def json_block(self) -> str:
        """Return the json members."""
        if self._json is None:
            self._json = json_members(self._text)
        return self._json
