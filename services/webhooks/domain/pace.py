from dataclasses import dataclass

# An endpoint's pace is measured over spans of this length of work, seconds, or of so many deliveries.
SPAN_SECONDS = 0.25
SPAN_DELIVERIES = 64
# From this pace on it is worth waiting for room in its queue. Far below what any sound receiver takes: while this
# process has more to do than its core can, each of them looks ten times as slow as it is.
QUICK_PER_SECOND = 20.0
# A queue holds what its endpoint takes in this time, and never less than the smallest queue: whatever waits in it holds
# back the offsets of its neighbours, which would be sent again after a crash.
QUEUE_SECONDS = 2.0
SMALLEST_QUEUE = 16


@dataclass(slots=True)
class Pace:
    """How many deliveries an endpoint completes a second while it has work. Times are seconds of any steady clock."""

    started: float = 0.0
    ended: float = 0.0
    """When the last delivery did."""
    completed: int = 0
    per_second: float | None = None

    def begin(self, now: float) -> None:
        """Note that work came after a rest: the time of the rest does not count.

        What went before it does. Else who gets a few at a time, because it was slow once, would never be measured anew.
        """
        self.started += now - self.ended
        self.ended = now

    def complete(self, now: float) -> None:
        """Note that a delivery ended."""
        self.completed += 1
        self.ended = now
        self._close_span(now)

    def is_quick(self, now: float) -> bool:
        """Whether it is worth waiting for. While nothing is measured yet it is, for the length of one span."""
        self._close_span(now)
        return self.per_second is None or self.per_second >= QUICK_PER_SECOND

    def queue_limit(self, most: int) -> int:
        """Return how many deliveries may wait for it, `most` while its pace is not known."""
        if self.per_second is None:
            return most
        return min(most, max(SMALLEST_QUEUE, int(self.per_second * QUEUE_SECONDS)))

    def _close_span(self, now: float) -> None:
        length = now - self.started
        if length >= SPAN_SECONDS or (self.completed >= SPAN_DELIVERIES and length > 0):
            self.per_second = self.completed / length
            self.started, self.completed = now, 0
