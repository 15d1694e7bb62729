from dataclasses import dataclass

# An endpoint's pace is measured over spans of this length, seconds.
SPAN_SECONDS = 0.25
# From this pace on, waiting for room in its queue costs its neighbours under a millisecond a record.
QUICK_PER_SECOND = 1000.0


@dataclass(slots=True)
class Pace:
    """How many deliveries an endpoint completes a second while it has work. Times are seconds of any steady clock."""

    started: float = 0.0
    completed: int = 0
    per_second: float | None = None

    def begin(self, now: float) -> None:
        """Note that work came after a rest: the time of the rest does not count."""
        self.started, self.completed = now, 0

    def complete(self, now: float) -> None:
        """Note that a delivery ended."""
        self.completed += 1
        self._close_span(now)

    def is_quick(self, now: float) -> bool:
        """Whether it is worth waiting for. While nothing is measured yet it is, for the length of one span."""
        self._close_span(now)
        return self.per_second is None or self.per_second >= QUICK_PER_SECOND

    def _close_span(self, now: float) -> None:
        length = now - self.started
        if length >= SPAN_SECONDS:
            self.per_second = self.completed / length
            self.started, self.completed = now, 0
