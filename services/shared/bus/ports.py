from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from services.shared.bus.record import Record

Outgoing: TypeAlias = tuple[str, bytes, int, Mapping[str, str] | None]
"""Key, value, timestamp_ms, headers. A plain tuple: an object for each costs as much as its encoding."""


class ReceiptPort(Protocol):
    """The promise that a record gets acknowledged."""

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has acknowledged it."""

    def wait(self, timeout_seconds: float) -> int:
        """Return the record's offset; raise NotDelivered when it is not acknowledged in time."""


class BatchReceiptPort(Protocol):
    """The promise that all records of one call get acknowledged."""

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has acknowledged every one."""

    @property
    def failed(self) -> bool:
        """Whether some record never will be."""

    def wait(self, timeout_seconds: float) -> None:
        """Return once everything is acknowledged; raise NotDelivered when it is not in time."""


class Sender(Protocol):
    """What can send records: the producer, or its twin in memory. Order is kept per key; duplicates are possible."""

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> ReceiptPort:
        """Hand a record to the broker; raise BusUnavailable when it can't take it."""

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything sent is acknowledged."""


class BatchSender(Sender, Protocol):
    """A sender for hot paths."""

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> BatchReceiptPort:
        """Hand records to the broker together, in order; raise BusUnavailable when it can't take them."""


class Reader(Protocol):
    """What can read records: the consumer, or its twin in memory."""

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records or none after the time-out. Raises BusUnavailable."""

    def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Say that everything before these offsets has had its effect."""

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read on from this offset."""

    def committed(self, topic: str, partition: int) -> int | None:
        """Return the group's committed offset."""

    def position(self, topic: str, partition: int) -> int | None:
        """Return where it reads on: what lies before was returned or is not wanted. None while that is not known."""

    def end_offset(self, topic: str, partition: int) -> int:
        """Return the offset of the next record."""

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Return the offset of the first record that is not older, the end where there is none."""

    def pause(self, topic: str, partition: int) -> None:
        """Return nothing of this partition until resumed."""

    def resume(self, topic: str, partition: int) -> None:
        """Return records of it again."""

    def close(self) -> None:
        """Leave the group."""

    def generation(self) -> int:
        """Return the group's generation."""

    def assignment(self) -> list[tuple[str, int]]:
        """Return the partitions read now."""

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has that is read; 0 while that is not known."""
