from collections.abc import Mapping
from typing import Any

from gevent.event import Event
from kafka import KafkaProducer
from kafka.errors import KafkaError

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.topics import partition_of

MAX_IN_FLIGHT = 20_000
# How long a full window may block its caller, seconds.
SEND_SECONDS = 10.0
# How long one record may stay unacknowledged before it counts as not delivered, milliseconds.
DELIVERY_MS = 30_000


class Receipt:
    """The promise that a record gets acknowledged by the broker."""

    __slots__ = ("_future",)

    def __init__(self, future: Any) -> None:
        self._future = future

    def wait(self, timeout_seconds: float) -> int:
        """Return the record's offset once it is acknowledged; raise NotDelivered when it is not in time."""
        try:
            return int(self._future.get(timeout=timeout_seconds).offset)
        except KafkaError as error:
            raise NotDelivered(str(error)) from error

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has acknowledged it."""
        return bool(self._future.succeeded())

    @property
    def failed(self) -> bool:
        """Whether it never will be."""
        return bool(self._future.failed())


class Producer:
    """Sends records in order per key, each acknowledged by all replicas; what is in flight is bounded.

    kafka-python has no bound of its own: with the broker dead it takes records until memory ends.
    """

    def __init__(self, bootstrap: str, client_id: str, *, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        try:
            self._kafka = KafkaProducer(
                bootstrap_servers=bootstrap,
                client_id=client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                batch_size=256 * 1024,
                delivery_timeout_ms=DELIVERY_MS,
                request_timeout_ms=10_000,
                max_block_ms=int(SEND_SECONDS * 1000),
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        except KafkaError as error:
            raise BusUnavailable(f"no broker answers at {bootstrap}: {error}") from error
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._room = Event()
        self._room.set()
        self._partitions: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """How many records wait for their acknowledgement."""
        return self._in_flight

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> Receipt:
        """Hand a record to the broker. Raises BusUnavailable when the window stays full or the topic is unknown."""
        if self._in_flight >= self._max_in_flight and not self._wait_for_room():
            raise BusUnavailable(f"{self._in_flight} records wait for the broker's acknowledgement")
        try:
            future = self._kafka.send(
                topic,
                value=value,
                key=key.encode(),
                headers=[(name, text.encode()) for name, text in headers.items()] if headers else None,
                partition=partition_of(key, self._partitions_of(topic)),
                timestamp_ms=timestamp_ms,
            )
        except KafkaError as error:
            raise BusUnavailable(f"{topic} can't be written: {error}") from error
        self._in_flight += 1
        future.add_both(self._settled)
        return Receipt(future)

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything sent is acknowledged; raise BusUnavailable when it is not in time."""
        try:
            self._kafka.flush(timeout=timeout_seconds)
        except KafkaError as error:
            raise BusUnavailable(f"not everything was acknowledged: {error}") from error

    def close(self) -> None:
        """End the connection; what is in flight gets two seconds."""
        self._kafka.close(timeout=2)

    def _partitions_of(self, topic: str) -> int:
        count = self._partitions.get(topic)
        if count is None:
            found = self._kafka.partitions_for(topic)
            if not found:
                raise BusUnavailable(f"topic {topic} does not exist")
            count = self._partitions[topic] = len(found)
        return count

    def _settled(self, _result: object) -> None:
        self._in_flight -= 1
        self._room.set()

    def _wait_for_room(self) -> bool:
        self._room.clear()
        return bool(self._room.wait(SEND_SECONDS))
