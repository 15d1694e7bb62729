from collections import OrderedDict, defaultdict
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
    unfinished: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """In the order of the log. A plain dict looks for its first over all that were taken out before it."""
    end: int = 0


class ContiguousOffsets:
    """Knows up to where everything of a partition is done, when records end in any order.

    An offset may be committed only when every record before it had its effect: one that still waits holds all later
    ones back. What has ended is not remembered, however long the one before it waits.
    """

    def __init__(self) -> None:
        self._progress: dict[Place, _Progress] = defaultdict(_Progress)
        self._epochs: dict[Place, int] = defaultdict(int)
        self._ready: dict[Place, int] = {}

    def begin(self, place: Place, offset: int) -> Ticket:
        """Note a record; offsets of a place rise."""
        progress = self._progress[place]
        progress.unfinished[offset] = None
        progress.end = offset + 1
        return Ticket(place, self._epochs[place], offset)

    def finish(self, ticket: Ticket) -> None:
        """Note that a record had its effect. A ticket from before `forget`, or used before, means nothing any more."""
        if ticket.epoch != self._epochs[ticket.place]:
            return
        progress = self._progress[ticket.place]
        unfinished = progress.unfinished
        if ticket.offset not in unfinished:
            return
        is_first = next(iter(unfinished)) == ticket.offset
        del unfinished[ticket.offset]
        if is_first:
            self._ready[ticket.place] = next(iter(unfinished), progress.end)

    def begun_to(self, place: Place) -> int:
        """Return the offset behind the last record that was begun, 0 where none was."""
        return self._progress[place].end

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
        return sum(len(progress.unfinished) for progress in self._progress.values())
