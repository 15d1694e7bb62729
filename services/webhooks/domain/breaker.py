from dataclasses import dataclass, field

# Spread like the ladder: endpoints that fell together are not asked together.
JITTER = 0.2
# While one delivery finds out whether the endpoint is back, the others look again after this time.
PROBE_MS = 1_000


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """After so many failures without a success between them an endpoint rests, each time twice as long."""

    failures: int = 5
    first_rest_ms: int = 5_000
    longest_rest_ms: int = 300_000


@dataclass(slots=True)
class Breaker:
    """Spares an endpoint that fails, and everybody else the work for it. All times are platform time, milliseconds.

    Closed it lets everything through. After some failures in a row it is open: nothing goes out for a rest
    that doubles each time. Then it is half open: one delivery goes, and its end decides.
    """

    rules: BreakerRules = field(default_factory=BreakerRules)
    failures: int = 0
    rests: int = 0
    until_ms: int = 0
    is_probing: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing is held back."""
        return self.until_ms == 0

    def admits(self, now_ms: int) -> bool:
        """Whether a delivery may go out now. One that goes while it is half open is the probe: tell how it ended."""
        if self.is_closed:
            return True
        if now_ms < self.until_ms or self.is_probing:
            return False
        self.is_probing = True
        return True

    def holds(self, now_ms: int) -> bool:
        """Whether nothing at all may go out now; changes nothing."""
        return now_ms < self.until_ms or self.is_probing

    def retry_at_ms(self, now_ms: int) -> int:
        """Return when a delivery that was not admitted may ask again."""
        return self.until_ms if now_ms < self.until_ms else now_ms + PROBE_MS

    def succeed(self) -> bool:
        """Note a success, late ones too: the endpoint lives. Return whether it was not closed."""
        was_open = not self.is_closed
        self.failures, self.rests, self.until_ms, self.is_probing = 0, 0, 0, False
        return was_open

    def fail(self, now_ms: int, chance: float, asked_ms: int = 0) -> bool:
        """Note a failure; `chance` is from [0, 1), `asked_ms` what the receiver asked for. Return whether it opens.

        What was under way when it opened says nothing new.
        """
        if not self.is_closed and not self.is_probing:
            return False
        self.failures += 1
        is_probe, self.is_probing = self.is_probing, False
        if self.failures < self.rules.failures and not asked_ms and not is_probe:
            return False
        rest = min(self.rules.first_rest_ms * 2**self.rests, self.rules.longest_rest_ms)
        self.rests = min(self.rests + 1, 10)
        self.until_ms = now_ms + max(int(rest * (1 - JITTER / 2 + JITTER * chance)) if not asked_ms else 0, asked_ms, 1)
        return True
