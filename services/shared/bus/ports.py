from collections.abc import Mapping
from typing import Protocol

from services.shared.bus.record import Record


class ReceiptPort(Protocol):
    """The promise that a record gets acknowledged."""

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has acknowledged it."""

    def wait(self, timeout_seconds: float) -> int:
        """Return the record's offset; raise NotDelivered when it is not acknowledged in time."""


class Sender(Protocol):
    """What can send records: the producer, or its twin in memory. Order is kept per key; duplicates are possible."""

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> ReceiptPort:
        """Hand a record to the broker; raise BusUnavailable when it can't take it."""

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything sent is acknowledged."""


class Reader(Protocol):
    """What can read records: the consumer, or its twin in memory."""

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records or none after the time-out."""

    def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Say that everything before these offsets has had its effect."""

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read on from this offset."""

    def committed(self, topic: str, partition: int) -> int | None:
        """Return the group's committed offset."""

    def end_offset(self, topic: str, partition: int) -> int:
        """Return the offset of the next record."""

    def generation(self) -> int:
        """Return the group's generation."""

    def assignment(self) -> list[tuple[str, int]]:
        """Return the partitions read now."""
