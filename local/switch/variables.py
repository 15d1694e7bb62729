"""A leg's channel variables, kept as the encoded lines that its events carry.

Most events of a leg carry all of its 60 to 130 variables, and few of them change between two events. So each variable
is kept as its finished line, and the block of all lines is joined again only after a change: about 2 µs an event
instead of 60 µs. Setting a variable moves it to the end, as the switch does.
"""

from collections.abc import Iterable, Iterator

from local.switch.encoding import array_push, decode, encode

_PREFIX = len("variable_")


class Variables:
    """Ordered names and values; names keep their case and are found without it."""

    __slots__ = ("_block", "_lines")

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._block: str | None = ""

    def set(self, name: str, value: object) -> None:
        """Set, or remove by None; an empty value removes too, as on the switch."""
        self._block = None
        self._lines.pop(name, None)
        if value is not None and value != "":
            self._lines[name] = f"variable_{name}: {encode(str(value))}\n"

    def set_many(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Set one after the other."""
        for name, value in pairs:
            self.set(name, value)

    def add_lines(self, lines: dict[str, str]) -> None:
        """Add lines that are the same on every leg and therefore shared between legs."""
        for name in lines:
            self._lines.pop(name, None)
        self._lines.update(lines)
        self._block = None

    def push(self, name: str, value: str) -> None:
        """Append to a list variable."""
        self.set(name, array_push(self.get(name), value))

    def get(self, name: str) -> str | None:
        """Return the value, or None."""
        line = self._lines.get(name)
        if line is None:
            folded = name.lower()
            line = next((line for key, line in self._lines.items() if key.lower() == folded), None)
        return None if line is None else decode(line[line.index(": ") + 2 : -1])

    def is_true(self, name: str) -> bool:
        """Say whether the switch reads the value as true."""
        line = self._lines.get(name)
        if line is None:
            return False
        value = decode(line[line.index(": ") + 2 : -1])
        return value.lower() in {"true", "yes", "on", "enabled", "active", "allow", "1", "t", "y"}

    def block(self) -> str:
        """Return all lines as an event carries them."""
        if self._block is None:
            self._block = "".join(self._lines.values())
        return self._block

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def shared_lines(pairs: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Render lines once for `add_lines`."""
    return {name: f"variable_{name}: {encode(str(value))}\n" for name, value in pairs}
