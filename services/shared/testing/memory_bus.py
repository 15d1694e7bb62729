from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import gevent
from gevent.event import Event

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Outgoing
from services.shared.bus.record import Record
from services.shared.bus.topics import partition_of

PARTITIONS = 4
NO_NOTES: Final[Mapping[tuple[str, int], str]] = MappingProxyType({})
MAX_POLL_RECORDS = 100
Partitions = Collection[tuple[str, int]]


class MemoryReceipt:
    """A record in memory is acknowledged at once."""

    __slots__ = ("_offset",)

    def __init__(self, offset: int) -> None:
        self._offset = offset

    @property
    def acknowledged(self) -> bool:
        """Whether it is in the topic."""
        return True

    @property
    def failed(self) -> bool:
        """Whether it never will be."""
        return False

    def wait(self, timeout_seconds: float) -> int:  # noqa: ARG002 - the port's signature
        """Return the offset."""
        return self._offset


class MemoryBatchReceipt:
    """Records in memory are acknowledged at once."""

    acknowledged = True
    failed = False

    def wait(self, timeout_seconds: float) -> None:
        """Everything is there already."""


class MemoryBus:
    """Topics in memory with the same contract as the broker: order per key, offsets per group, survives its readers."""

    def __init__(self, partitions: int = PARTITIONS) -> None:
        self.partitions = partitions
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.begins: dict[tuple[str, int], int] = defaultdict(int)
        self.offsets: dict[tuple[str, str, int], int] = {}
        self.notes: dict[tuple[str, str, int], str] = {}
        self.topic_ids: dict[str, str] = {}
        """None has one, as with a broker before Kafka 2.8, until a test gives it one."""
        self.generations: dict[str, int] = defaultdict(int)
        self.changed = Event()

    def producer(self) -> "MemoryProducer":
        """Return a sender."""
        return MemoryProducer(self)

    def consumer(
        self,
        group: str | None,
        topics: list[str],
        *,
        from_beginning: bool = True,
        wanted: bytes | None = None,
        on_assigned: Callable[[Partitions], None] | None = None,
        on_revoked: Callable[[Partitions], None] | None = None,
    ) -> "MemoryConsumer":
        """Return a reader; a new one of the same group goes on from the committed offsets with a higher generation."""
        del on_revoked  # one reader a group: nothing is ever taken from it
        return MemoryConsumer(
            self, group, topics, from_beginning=from_beginning, wanted=wanted or b"", on_assigned=on_assigned
        )

    def make_feed(self, tenant_id: str) -> None:
        """Have nothing to do: a topic in memory is there when something is written into it."""

    def forget(self, topic: str, partition: int, before: int) -> None:
        """Let the time of a partition's records before this offset pass."""
        self.begins[topic, partition] = before

    def records(self, topic: str) -> list[Record]:
        """Return everything in a topic, partition by partition."""
        return [
            record
            for (name, number), log in sorted(self.logs.items())
            if name == topic
            for record in log[self.begins[name, number] :]
        ]


class MemoryProducer:
    """Appends to a MemoryBus."""

    in_flight = 0

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> MemoryReceipt:
        """Append a record."""
        partition = partition_of(key, self._bus.partitions)
        log = self._bus.logs[topic, partition]
        log.append(Record(topic, partition, len(log), timestamp_ms, key, value, dict(headers or {})))
        self._bus.changed.set()
        return MemoryReceipt(len(log) - 1)

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> MemoryBatchReceipt:
        """Append records."""
        for key, value, timestamp_ms, headers in records:
            self.send(topic, key, value, timestamp_ms=timestamp_ms, headers=headers)
        return MemoryBatchReceipt()

    def flush(self, timeout_seconds: float) -> None:
        """Everything is there already."""

    def close(self, patience_seconds: float = 0.0) -> None:
        """Nothing to end."""


class MemoryConsumer:
    """Reads a MemoryBus as the only member of its group."""

    def __init__(
        self,
        bus: MemoryBus,
        group: str | None,
        topics: list[str],
        *,
        from_beginning: bool,
        wanted: bytes,
        on_assigned: Callable[[Partitions], None] | None,
    ) -> None:
        self._bus = bus
        self._group = group
        self._wanted = wanted
        self._places = [(topic, number) for topic in topics for number in range(bus.partitions)]
        self._positions = {place: self._start(place, from_beginning=from_beginning) for place in self._places}
        self._paused: set[tuple[str, int]] = set()
        self._next = 0
        """Where the next look begins, as that of the true one goes on with another partition."""
        self._on_assigned = on_assigned
        if group is not None:
            bus.generations[group] += 1
        self._generation = bus.generations[group] if group is not None else 0

    def _start(self, place: tuple[str, int], *, from_beginning: bool) -> int:
        committed = self.committed(*place)
        if committed is not None:
            return committed
        return 0 if from_beginning else len(self._bus.logs[place])

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records, at most MAX_POLL_RECORDS, or none after the time-out."""
        if self._on_assigned:
            callback, self._on_assigned = self._on_assigned, None
            callback(list(self._places))
        self._bus.changed.clear()
        found = self._take()
        if not found and timeout_seconds > 0:
            self._bus.changed.wait(timeout_seconds)
            found = self._take()
        # Others have their turn, as while the true one asks its broker. Who waited here until all of them rest would
        # read nothing in a busy process.
        gevent.sleep(0)
        return found

    def _take(self) -> list[Record]:
        found: list[Record] = []
        first, self._next = self._next, (self._next + 1) % len(self._places)
        for place in (*self._places[first:], *self._places[:first]):
            if place in self._paused:
                continue
            start = max(self._positions[place], self._bus.begins[place])
            batch = self._bus.logs[place][start : start + MAX_POLL_RECORDS - len(found)]
            self._positions[place] = start + len(batch)
            found.extend(record for record in batch if self._wanted in record.value)
        return found

    def commit(self, positions: Mapping[tuple[str, int], int], notes: Mapping[tuple[str, int], str] = NO_NOTES) -> None:
        """Keep the group's offsets."""
        for (topic, partition), offset in positions.items():
            self._bus.offsets[self._group or "", topic, partition] = offset
            self._bus.notes[self._group or "", topic, partition] = notes.get((topic, partition), "")

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read on from this offset."""
        if (topic, partition) not in self._positions:
            raise BusUnavailable(f"{topic}/{partition} is not read here")
        self._positions[topic, partition] = offset

    def committed(self, topic: str, partition: int) -> int | None:
        """Return the group's committed offset."""
        if self._group is None:
            return None
        return self._bus.offsets.get((self._group, topic, partition))

    def committed_of(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Return the group's committed offsets."""
        return {number: offset for number, (offset, _) in self.noted_of(topic, partitions).items()}

    def noted_of(self, topic: str, partitions: Collection[int]) -> dict[int, tuple[int, str]]:
        """Return the same with their notes."""
        notes = self._bus.notes
        found = {number: self.committed(topic, number) for number in partitions}
        return {
            number: (offset, notes.get((self._group or "", topic, number), ""))
            for number, offset in found.items()
            if offset is not None
        }

    def topic_id(self, topic: str) -> str:
        """Return the topic's id, empty where it has none."""
        return self._bus.topic_ids.get(topic, "")

    def position(self, topic: str, partition: int) -> int | None:
        """Return where it reads on; None of a partition that it does not read."""
        return self._positions.get((topic, partition))

    def end_offset(self, topic: str, partition: int) -> int:
        """Return the offset of the next record."""
        return len(self._bus.logs[topic, partition])

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Return the offset of the first record that is not older, the end where there is none."""
        log, begin = self._bus.logs[topic, partition], self._bus.begins[topic, partition]
        return next((record.offset for record in log[begin:] if record.timestamp_ms >= timestamp_ms), len(log))

    def assignment(self) -> list[tuple[str, int]]:
        """Return the partitions read now."""
        return list(self._places)

    def partitions(self, topic: str) -> int:  # noqa: ARG002 - the port's signature
        """Return how many partitions each topic has."""
        return self._bus.partitions

    def generation(self) -> int:
        """Return the generation."""
        return self._generation

    def pause(self, topic: str, partition: int) -> None:
        """Return nothing of this partition until resumed."""
        self._paused.add((topic, partition))

    def resume(self, topic: str, partition: int) -> None:
        """Return records of it again."""
        self._paused.discard((topic, partition))

    def others(self) -> frozenset[int]:
        """Return the partitions that others read: none."""
        return frozenset()

    def close(self, *, hands_over: bool = False) -> None:
        """Leave the group."""
