"""When to try a recording again, and since when a file has been still."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.recorder.domain.location import Location


def retry_delay_seconds(attempt: int, first: float, longest: float, fraction: float) -> float:
    """Return the wait after the attempt-th failure (from 1): doubling, bounded, with half of it left to chance.

    `fraction` is that chance, 0 to 1: files that failed together do not come back together.
    """
    full = min(longest, first * 2.0 ** min(attempt - 1, 32))
    return full / 2 + full / 2 * fraction


@dataclass(frozen=True, slots=True)
class Look:
    """How a file looked: when any of it differs, somebody wrote to it or replaced it."""

    inode: int
    size_bytes: int
    modified_ns: int


@dataclass(slots=True)
class Stillness:
    """Since when each file looks the same, by our own clock: a file's own time can lie in the future."""

    _seen: dict[Location, tuple[Look, float]] = field(default_factory=dict)

    def observe(self, location: Location, look: Look, now: float) -> float:
        """Return for how many seconds the file has looked like this."""
        known = self._seen.get(location)
        if known is None or known[0] != look:
            self._seen[location] = (look, now)
            return 0.0
        return now - known[1]

    def keep_only(self, locations: Iterable[Location]) -> None:
        """Forget the files that are gone."""
        wanted = set(locations)
        self._seen = {location: seen for location, seen in self._seen.items() if location in wanted}
