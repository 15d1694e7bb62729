"""How fast recordings may be sent, so that calls keep the line (SPEC 6.2: off the call path)."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bandwidth:
    """A budget of bytes a second that all uploads of a node share; 0 = no limit.

    What was sent is paid for by waiting before the next piece: over any time the mean is kept, and no piece has to be
    smaller than a part.
    """

    bytes_per_second: int
    _free_at: float = 0.0

    def reserve(self, size_bytes: int, now: float) -> float:
        """Book a piece and return for how many seconds to wait before it is sent."""
        if not self.bytes_per_second:
            return 0.0
        begins = max(now, self._free_at)
        self._free_at = begins + size_bytes / self.bytes_per_second
        return begins - now
