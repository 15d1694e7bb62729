"""Whether a process can read what it lives from: what its readers tell, in one place for /readyz."""

from collections.abc import Callable

Tell = Callable[[str], None]
"""Told why a reader can't read, one sentence; with an empty one that it reads."""


def tell_nobody(_trouble: str) -> None:
    """Listen to nothing."""


class Readings:
    """One for a process. A broker that refuses a right answers every watch of it, so the readers themselves tell.

    Whoever has not read yet counts as one that can't; who has, counts as one that can until something is refused.
    """

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """Every sentence once, empty while all can read: first what was refused, for that is for a person to mend."""
        told = [each for each in self._troubles.values() if each]
        return "; ".join(dict.fromkeys(sorted(told, key=_is_only_new)))

    def of(self, topic: str, group: str | None = None) -> Tell:
        """Return where a reader of a topic tells; whoever comes after it under the same names takes its place."""
        name = f"{topic} {group or ''}"
        self._troubles.setdefault(name, f"{topic}{_NEW}")

        def tell(trouble: str) -> None:
            self._troubles[name] = trouble

        return tell


_NEW = " is not read yet"


def _is_only_new(trouble: str) -> bool:
    return trouble.endswith(_NEW)
