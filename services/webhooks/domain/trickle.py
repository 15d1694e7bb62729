from dataclasses import dataclass


@dataclass(slots=True)
class Trickle:
    """Lets a few through at once, and what comes beyond that one after another. Times are milliseconds of any clock."""

    each_ms: float
    """So far apart they go where many come."""
    at_once_ms: int
    """As many go at once as would take so long."""
    _free_ms: float = 0.0

    def moment(self, count: int, now_ms: int) -> int:
        """Return when so many more may go together: now, or behind everything that came before."""
        begin = max(self._free_ms, now_ms)
        self._free_ms = begin + count * self.each_ms
        return now_ms if begin - now_ms <= self.at_once_ms else int(begin)
