from collections.abc import Iterable, Mapping

from services.shared.bus.ports import Reader

Place = tuple[str, int]


class Holding:
    """Which partitions of a log are ours, and which of them lack something that was there when we got them.

    A partition is new from the broker's word until its reader has begun with it; only then is it ours.
    """

    def __init__(self) -> None:
        self.ours: set[Place] = set()
        self._new: set[Place] = set()
        self._ends: dict[Place, int] = {}

    @property
    def is_current(self) -> bool:
        """Whether everything that was there when we began has been read."""
        return bool(self.ours) and not self._new and not self._ends

    @property
    def is_behind(self) -> bool:
        """Whether a partition that is ours lacks something yet."""
        return bool(self._ends)

    def assigned(self, places: Iterable[Place]) -> None:
        """Take note of partitions; the broker's callback, so nothing waits here."""
        self._new |= set(places) - self.ours

    def revoked(self, places: Iterable[Place]) -> None:
        """Let partitions go."""
        for place in places:
            self.ours.discard(place)
            self._new.discard(place)
            self._ends.pop(place, None)

    def to_begin(self, reader: Reader) -> list[Place]:
        """Return the new ones that the reader has."""
        return sorted(self._new & set(reader.assignment()))

    def begin(self, place: Place, next_offset: int, end: int) -> None:
        """Hold a partition: it is read from here on, and lacks what lies before the end."""
        if next_offset < end:
            self._ends[place] = end
        self._new.discard(place)
        self.ours.add(place)

    def reached(self, positions: Mapping[Place, int]) -> None:
        """Take note of what was read: everything before these offsets."""
        for place in [each for each, end in self._ends.items() if positions.get(each, 0) >= end]:
            del self._ends[place]
