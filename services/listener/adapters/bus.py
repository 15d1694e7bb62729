"""How the listener reaches the bus: Kafka, or its twin in memory for tests."""

from typing import Protocol

from services.shared.bus.consumer import Consumer
from services.shared.bus.ports import BatchSender, Reader
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings

GATHER_MS = 2
"""A caller waits for it: but commands that travel together cost less, so all wait less (bench/latency)."""


class ClosingSender(BatchSender, Protocol):
    """A sender that can be given up."""

    def close(self, patience_seconds: float = ...) -> None:
        """Give up what is not acknowledged in time."""


class ClosingReader(Reader, Protocol):
    """A reader that can be closed."""

    def close(self) -> None:
        """Leave the group."""


class Bus(Protocol):
    """Makes senders and readers. Each call may raise BusUnavailable."""

    def producer(self) -> ClosingSender:
        """Return a new sender."""

    def consumer(self, group: str | None, topics: list[str]) -> ClosingReader:
        """Return a new reader from the group's offsets, or from the beginning."""


class KafkaBus:
    """The bus of production."""

    def __init__(self, bootstrap: str, client_id: str, readings: Readings | None = None) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._readings = readings or Readings()

    def producer(self) -> ClosingSender:
        """Return a new producer; raise BusUnavailable when no broker answers."""
        return Producer(self._bootstrap, self._client_id)

    def consumer(self, group: str | None, topics: list[str]) -> ClosingReader:
        """Return a new consumer; raise BusUnavailable when no broker answers."""
        tells = self._readings.of(topics[0], group)
        return Consumer(self._bootstrap, group, topics, self._client_id, gather_ms=GATHER_MS, tells=tells)
