from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from gevent.event import Event
from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from services.shared.bus.connecting import connected
from services.shared.bus.containing import contain
from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import Outgoing
from services.shared.bus.record_batch import BatchReceipt, Row, append_batches, encoded_key
from services.shared.bus.topics import partition_of

MAX_IN_FLIGHT = 20_000
# How long a full window may block its caller, seconds.
SEND_SECONDS = 10.0
# How long one record may stay unacknowledged before it counts as not delivered, milliseconds.
DELIVERY_MS = 30_000
# A broker takes 1 MB unless its max.message.bytes says otherwise; a batch that it refuses is split.
BATCH_BYTES = 256 * 1024
MOST_RECORD_BYTES = 1024 * 1024
# Keys whose partition is remembered; all are forgotten when there are more.
KEYS_KEPT = 20_000
CLOSE_SECONDS = 2.0


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
        self._kafka = connected(
            KafkaProducer,
            bootstrap,
            client_id=client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            batch_size=BATCH_BYTES,
            max_request_size=MOST_RECORD_BYTES,
            delivery_timeout_ms=DELIVERY_MS,
            request_timeout_ms=10_000,
            max_block_ms=int(SEND_SECONDS * 1000),
        )
        contain(self._kafka)
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._room = Event()
        self._room.set()
        self._partitions: dict[str, int] = {}
        self._places: dict[tuple[str, str], tuple[Any, bytes]] = {}

    @property
    def in_flight(self) -> int:
        """How many records wait for their acknowledgement."""
        return self._in_flight

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> Receipt:
        """Hand a record to the broker. Raises BusUnavailable when the window stays full or the topic is unknown."""
        self._need_room()
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

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> BatchReceipt:
        """Hand records to the broker together, each key's in their order: a tenth of the CPU of `send` for each.

        Raises BusUnavailable as `send` does. The window may be passed by the records of one call.
        """
        self._need_room()
        receipt, rows = BatchReceipt(self._settled_many), dict[Any, list[Row]]()
        for key, value, timestamp_ms, headers in records:
            place, name = self._places.get((topic, key)) or self._place_of(topic, key)
            if len(value) > MOST_RECORD_BYTES:
                raise BusUnavailable(f"{topic} can't be written: a record has {len(value)} bytes")
            rows.setdefault(place, []).append((name, value, timestamp_ms, headers))
        self._in_flight += len(records)
        for place, of_place in rows.items():
            append_batches(self._kafka, place, of_place, BATCH_BYTES, receipt)
        return receipt

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything sent is acknowledged; raise BusUnavailable when it is not in time."""
        try:
            self._kafka.flush(timeout=timeout_seconds)
        except KafkaError as error:
            raise BusUnavailable(f"not everything was acknowledged: {error}") from error

    def close(self, patience_seconds: float = CLOSE_SECONDS) -> None:
        """End the connection. What is in flight gets `patience_seconds`, then it is given up: its receipts fail."""
        with suppress(KafkaError):
            self._kafka.flush(timeout=patience_seconds)
        # kafka-python's own close raises while something is in flight, and leaves its sender trying for ever.
        self._kafka._sender.force_close()  # noqa: SLF001 - guarded by tests/contract/test_producer_close.py
        with suppress(KafkaError):
            self._kafka.close(timeout=CLOSE_SECONDS)

    def _partitions_of(self, topic: str) -> int:
        count = self._partitions.get(topic)
        if count is None:
            try:
                found = self._kafka.partitions_for(topic)
            except KafkaError as error:
                raise BusUnavailable(f"topic {topic} can't be looked up: {error}") from error
            if not found:
                raise BusUnavailable(f"topic {topic} does not exist")
            count = self._partitions[topic] = len(found)
        return count

    def _place_of(self, topic: str, key: str) -> tuple[Any, bytes]:
        if len(self._places) >= KEYS_KEPT:
            self._places.clear()
        place = TopicPartition(topic, partition_of(key, self._partitions_of(topic)))
        found = self._places[topic, key] = place, encoded_key(key)
        return found

    def _settled(self, _result: object) -> None:
        self._settled_many(1)

    def _settled_many(self, records: int) -> None:
        self._in_flight -= records
        self._room.set()

    def _need_room(self) -> None:
        """Wait while the window is full; raise BusUnavailable when it stays so."""
        if self._in_flight < self._max_in_flight:
            return
        self._room.clear()
        if not self._room.wait(SEND_SECONDS):
            raise BusUnavailable(f"{self._in_flight} records wait for the broker's acknowledgement")
