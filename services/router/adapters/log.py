"""The log as the router counts it: whoever reads it here has positions, the broker behind it offsets (ADR 56)."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from time import monotonic

from services.router.adapters.bus import LogReader
from services.router.epochs import Found
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.positions import LogName, offset_of, position_of
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS

LOOK_SECONDS = 2.0
"""So often the broker is asked whether the topic is still the one that was taken up."""


class Log:
    """A reader of ringmaster.inputs. A partition has positions once it is known which log it is (`begin`)."""

    def __init__(self, reader: LogReader) -> None:
        self.reader = reader
        self._names: dict[int, LogName] = {}
        self._looked_at = monotonic()

    def find(self, numbers: Collection[int]) -> dict[int, Found]:
        """Ask what is known of partitions, by two questions however many they are. Raises BusUnavailable."""
        noted, topic_id = self.reader.noted_of(INPUTS, numbers), self.reader.topic_id(INPUTS)
        found = {number: noted.get(number, (None, "")) for number in numbers}
        return {number: Found(topic_id, offset, LogName.read(note)) for number, (offset, note) in found.items()}

    def begin(self, number: int, name: LogName) -> None:
        """Take note which log a partition is."""
        self._names[number] = name

    def keep_names(self, offsets: Mapping[int, int]) -> None:
        """Have the broker keep names with the group's offsets: nobody begins those again. Raises as `commit` does."""
        places = {(INPUTS, number): offset for number, offset in offsets.items()}
        self.reader.commit(places, {(INPUTS, number): str(self._names[number]) for number in offsets})

    def name(self, number: int) -> LogName:
        """Return which log a partition is; the first one where nobody has said."""
        return self._names.get(number, LogName())

    def first(self, number: int) -> int:
        """Return the first position of a partition's log."""
        return position_of(self.name(number).epoch, 0)

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records. Raises BusUnavailable, also where the topic was made anew meanwhile."""
        records = self.reader.poll(timeout_seconds)
        if monotonic() >= self._looked_at + LOOK_SECONDS:
            self._must_be_the_same()
        return [self._placed(record) for record in records]

    def _must_be_the_same(self) -> None:
        """End with a topic that was made anew: what stands there where we have read would pass for read."""
        topic_id = self.reader.topic_id(INPUTS)
        self._looked_at = monotonic()
        if any(name.topic_id != topic_id for name in self._names.values()):
            raise BusUnavailable(f"{INPUTS} was made anew: it is topic {topic_id or 'without an id'} now")

    def _placed(self, record: Record) -> Record:
        epoch = self.name(record.partition).epoch
        return replace(record, offset=position_of(epoch, record.offset)) if epoch else record

    def commit(self, positions: Mapping[int, int]) -> None:
        """Say that everything before these positions has had its effect. Raises BusUnavailable, Rebalancing."""
        offsets = {(INPUTS, number): offset_of(position) for number, position in positions.items()}
        self.reader.commit(offsets, {(INPUTS, number): str(self.name(number)) for number in positions})

    def committed(self, number: int) -> int:
        """Return the group's position, the first one where it has none. Raises BusUnavailable."""
        return self.committed_of([number]).get(number, self.first(number))

    def committed_of(self, numbers: Collection[int]) -> dict[int, int]:
        """Return the group's positions of those partitions that have one. Raises BusUnavailable."""
        found = self.reader.noted_of(INPUTS, numbers)
        return {number: position_of(self.name(number).epoch, offset) for number, (offset, _) in found.items()}

    def seek(self, number: int, position: int) -> None:
        """Read on from this position. Raises BusUnavailable."""
        self.reader.seek(INPUTS, number, offset_of(position))

    def begins_at(self, number: int) -> int:
        """Return the position of the first record that is left, the end where there is none. Raises BusUnavailable."""
        return position_of(self.name(number).epoch, self.reader.offset_at(INPUTS, number, 0))

    def ends_at(self, number: int) -> int:
        """Return the position that the next record will have. Raises BusUnavailable."""
        return position_of(self.name(number).epoch, self.reader.end_offset(INPUTS, number))

    def assigned(self) -> set[int]:
        """Return the partitions that are read now."""
        return {number for _, number in self.reader.assignment()}
