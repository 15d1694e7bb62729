from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from services.shared.bus.ports import Reader
from services.shared.bus.record import Record

Place = tuple[str, int]
NOTHING_READ: Final[Mapping[Place, int]] = MappingProxyType({})


class Backlog:
    """What was in the log when this was asked and has not been read yet: who has read it knows all that was there.

    Retention takes records away before and while they are read. Of a partition that it has emptied nothing ever comes,
    so that is not waited for. What compaction takes is never a partition's last record.

    The reader begins wherever it stands; `places` are its own partitions where nothing else is said. `positions` are
    where it stands in those of which it has read something: what lies before is not waited for. Raises BusUnavailable.
    """

    def __init__(
        self, reader: Reader, places: Collection[Place] | None = None, positions: Mapping[Place, int] = NOTHING_READ
    ) -> None:
        self._reader = reader
        self._positions = positions
        wanted = reader.assignment() if places is None else places
        self._ends = self._still_there({place: reader.end_offset(*place) for place in wanted})

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is left."""
        return not self._ends

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the reader's next records, also those that came later than the question. Raises BusUnavailable."""
        records = self._reader.poll(timeout_seconds)
        for place in [each for each, end in self._ends.items() if (self._reader.position(*each) or 0) >= end]:
            del self._ends[place]
        if self._ends and not records:
            self._ends = self._still_there(self._ends)
        return records

    def _still_there(self, ends: Mapping[Place, int]) -> dict[Place, int]:
        """Return the ends of those partitions that have a record before it; no record is older than moment 0."""
        unread = {place: end for place, end in ends.items() if end > self._positions.get(place, 0)}
        return {place: end for place, end in unread.items() if self._reader.offset_at(*place, 0) < end}
