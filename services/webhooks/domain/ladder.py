from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
DEFAULT_STEPS = (0.0, 5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
# Each wait is spread by this share, half of it before and half after, so that failures made together part again.
JITTER = 0.2


class BadLadder(ValueError):
    """A ladder in the settings can't be read. Caught at start."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """How long to wait before each try, seconds; the first is 0. After the last rung a delivery is given up."""

    steps: tuple[float, ...] = DEFAULT_STEPS

    @classmethod
    def parse(cls, text: str) -> "Ladder":
        """Read "0,1,2,5"; raise BadLadder."""
        if not text.strip():
            return cls()
        try:
            steps = tuple(float(part) for part in text.split(","))
        except ValueError as error:
            raise BadLadder(f"a retry ladder is seconds with commas between, not {text!r}") from error
        if steps[0] != 0 or not all(0 <= step <= 30 * DAY for step in steps):
            raise BadLadder("a retry ladder begins with 0 and waits up to 30 days at each rung")
        return cls(steps)

    @classmethod
    def of_waits(cls, waits: Sequence[float]) -> "Ladder":
        """Return a ladder of an endpoint's own: the waits before each further try, seconds."""
        return cls((0.0, *waits))

    @property
    def length_seconds(self) -> float:
        """How long the whole ladder is, jitter at its longest."""
        return sum(self.steps) * (1 + JITTER / 2)

    def wait_before_next(self, attempts: int, chance: float, retry_after: float | None = None) -> float | None:
        """Return the wait after so many tries, seconds, or None when the delivery is to be given up.

        `chance` is from [0, 1). What the receiver asked for (Retry-After, seconds) makes the wait longer, never
        shorter, up to one day.
        """
        if attempts >= len(self.steps):
            return None
        wait = self.steps[attempts] * (1 - JITTER / 2 + JITTER * chance)
        return max(wait, min(retry_after, DAY)) if retry_after is not None else wait


def retry_after_seconds(header: str, now: float) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3); None when it is neither. `now` is Unix time."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), DAY)
    try:
        return min(max(parsedate_to_datetime(text).timestamp() - now, 0.0), DAY)
    except (ValueError, OverflowError):
        return None
