from collections import defaultdict, deque
from dataclasses import dataclass, field

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ticket:
    """One record that was begun. `epoch` tells it from the same record read again after a rebalance."""

    place: Place
    epoch: int
    offset: int


@dataclass(slots=True)
class _Progress:
    begun: deque[int] = field(default_factory=deque)
    finished: set[int] = field(default_factory=set)


class ContiguousOffsets:
    """Knows up to where everything of a partition is done, when records end in any order.

    An offset may be committed only when every record before it had its effect: one that still waits holds all later
    ones back.
    """

    def __init__(self) -> None:
        self._progress: dict[Place, _Progress] = defaultdict(_Progress)
        self._epochs: dict[Place, int] = defaultdict(int)
        self._ready: dict[Place, int] = {}

    def begin(self, place: Place, offset: int) -> Ticket:
        """Note a record; offsets of a place rise."""
        self._progress[place].begun.append(offset)
        return Ticket(place, self._epochs[place], offset)

    def finish(self, ticket: Ticket) -> None:
        """Note that a record had its effect. A ticket from before `forget` means nothing any more."""
        if ticket.epoch != self._epochs[ticket.place]:
            return
        progress = self._progress[ticket.place]
        progress.finished.add(ticket.offset)
        while progress.begun and progress.begun[0] in progress.finished:
            done = progress.begun.popleft()
            progress.finished.discard(done)
            self._ready[ticket.place] = done + 1

    def take_ready(self) -> dict[Place, int]:
        """Return the positions that may be committed and were not returned before."""
        ready, self._ready = self._ready, {}
        return ready

    def forget(self, place: Place) -> None:
        """Drop a partition that another process reads now."""
        self._epochs[place] += 1
        self._progress.pop(place, None)
        self._ready.pop(place, None)

    def unfinished(self) -> int:
        """How many records were begun and are not done."""
        return sum(len(progress.begun) - len(progress.finished) for progress in self._progress.values())
