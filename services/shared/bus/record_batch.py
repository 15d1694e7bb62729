"""Whole batches for kafka-python: many records encoded at once, one receipt for all of them.

`KafkaProducer.send` makes a future, a lock and some callbacks for each record: 22 µs of CPU where the record itself
costs 1 µs. kafka-python has no way to send many, so this module fills its batch builder and hands the batch over to its
accumulator. All that makes sending safe stays the library's: sequence numbers, retries, time-outs, splitting of a batch
that the broker finds too large. What is private to kafka-python 3.0.12 and used here is guarded by
tests/contract/test_record_batch.py, which compares the bytes with the library's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from gevent.event import Event
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from services.shared.bus.errors import BusUnavailable, NotDelivered

Row: TypeAlias = tuple[bytes, bytes, int, Mapping[str, str] | None]
"""Encoded key (`encoded_key`), value, timestamp_ms, headers."""
_MAGIC, _UNCOMPRESSED = 2, 0
_RECORD_BYTES = 24
"""More than the lengths, deltas and attributes of a record without headers take."""


def varint(value: int) -> bytes:
    """Encode a whole number as Kafka's records do: zigzag, seven bits a byte, lowest first."""
    rest = value << 1 ^ value >> 63
    encoded = bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


_VARINTS = tuple(varint(value) for value in range(4096))
_KNOWN = len(_VARINTS)


def encoded_key(key: str) -> bytes:
    """Return a key with its length before it, as each record holds it: worth keeping, keys come again and again."""
    name = key.encode()
    return varint(len(name)) + name


class BatchReceipt:
    """The promise that all records of one call get acknowledged, in however many batches they travel."""

    def __init__(self, on_settled: Callable[[int], None]) -> None:
        self._on_settled = on_settled
        self._parts: dict[Any, int] = {}
        self._unsettled = 0
        self._error: BaseException | None = None
        self._done = Event()

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has acknowledged every record."""
        return self._unsettled == 0 and self._error is None

    @property
    def failed(self) -> bool:
        """Whether some record never will be."""
        return self._error is not None

    def wait(self, timeout_seconds: float) -> None:
        """Return once everything is acknowledged; raise NotDelivered when it is not in time."""
        if self._unsettled and not self._done.wait(timeout_seconds):
            raise NotDelivered(f"{self._unsettled} records were not acknowledged in {timeout_seconds:g} s")
        if self._error is not None:
            raise NotDelivered(str(self._error)) from self._error

    def expect(self, produce_future: Any, records: int) -> None:
        """Count on so many records of a batch."""
        self._unsettled += records
        self._watch(produce_future, records)

    def rebind(self, produce_future: Any, _offset: int) -> None:
        """Follow one record into another batch: the accumulator calls it when it splits one that was too large.

        A batch that was split never completes, so what was expected of it is never counted twice.
        """
        if produce_future in self._parts:
            self._parts[produce_future] += 1
        else:
            self._watch(produce_future, 1)

    def _watch(self, produce_future: Any, records: int) -> None:
        self._parts[produce_future] = records
        produce_future.add_both(partial(self._settled, produce_future))

    def _settled(self, produce_future: Any, result: Any) -> None:
        """Note a batch's end: (base offset, timestamp, None), or a function that gives a record's error."""
        if isinstance(result, BaseException):
            self._error = result
        elif result[2] is not None:
            self._error = result[2](0)
        records = self._parts.pop(produce_future)
        self._unsettled -= records
        self._on_settled(records)
        if self._unsettled == 0:
            self._parts.clear()  # only batches that were split are left
            self._done.set()


def append_batches(kafka: Any, place: Any, rows: Sequence[Row], batch_bytes: int, receipt: BatchReceipt) -> None:
    """Queue the rows of one partition behind what is queued already. Raises BusUnavailable after a close."""
    accumulator = kafka._accumulator  # noqa: SLF001 - kafka-python has no public way, see the module's docstring
    accumulator._appends_in_progress.increment()  # noqa: SLF001 - so that a forced close waits for us, as `append` does
    try:
        for part in _parts(rows, batch_bytes):
            batch = ProducerBatch(place, build(part, batch_bytes))
            batch._record_futures = [receipt] * len(part)  # noqa: SLF001 - rebound, record by record, by a split
            with accumulator._tp_lock(place):  # noqa: SLF001 - order within the partition
                if accumulator._closed:  # noqa: SLF001 - what `append` asks too
                    raise BusUnavailable("the producer is closed")
                receipt.expect(batch.produce_future, len(part))
                accumulator._batches[place].append(batch)  # noqa: SLF001 - the queue that the sender drains
                accumulator._incomplete.add(batch)  # noqa: SLF001 - what a flush waits for
    finally:
        accumulator._appends_in_progress.decrement()  # noqa: SLF001 - the other end of it
    kafka._sender.wakeup()  # noqa: SLF001 - as `send` does after a new batch


def build(rows: Sequence[Row], batch_bytes: int) -> Any:
    """Fill the library's builder with the rows' bytes (KIP-98's record format), without a call for each."""
    builder = MemoryRecordsBuilder(_MAGIC, _UNCOMPRESSED, batch_bytes)
    inner, first_ms = builder._builder, rows[0][2]  # noqa: SLF001 - its slots are filled below
    inner._buffer += b"".join(_encoded(rows, first_ms))  # noqa: SLF001 - a header's room is in it already
    inner._first_timestamp = first_ms  # noqa: SLF001
    inner._max_timestamp = max(row[2] for row in rows)  # noqa: SLF001
    inner._last_offset, inner._num_records = len(rows) - 1, len(rows)  # noqa: SLF001
    builder._next_offset = len(rows)  # noqa: SLF001 - a later `send` may still append to this batch
    return builder


def _encoded(rows: Sequence[Row], first_ms: int) -> Iterator[bytes]:
    """Give length and content of each record: attributes, timestamp and offset deltas, key, value, headers."""
    small, known = _VARINTS, _KNOWN
    for offset, (key, value, timestamp_ms, headers) in enumerate(rows):
        delta, length = timestamp_ms - first_ms, len(value)
        content = b"".join(
            (
                b"\0",
                small[delta] if 0 <= delta < known else varint(delta),
                small[offset] if offset < known else varint(offset),
                key,
                small[length] if length < known else varint(length),
                value,
                _encoded_headers(headers) if headers else b"\0",
            )
        )
        yield small[len(content)] if len(content) < known else varint(len(content))
        yield content


def _encoded_headers(headers: Mapping[str, str]) -> bytes:
    parts = [varint(len(headers))]
    for name, text in headers.items():
        for each in (name.encode(), text.encode()):
            parts += (varint(len(each)), each)
    return b"".join(parts)


def _parts(rows: Sequence[Row], batch_bytes: int) -> Iterator[Sequence[Row]]:
    """Cut rows so that each part fits a batch; a record larger than a batch travels alone."""
    start, size = 0, 0
    for index, row in enumerate(rows):
        needed = len(row[0]) + len(row[1]) + _RECORD_BYTES + (len(_encoded_headers(row[3])) if row[3] else 0)
        if size + needed > batch_bytes and index > start:
            yield rows[start:index]
            start, size = index, 0
        size += needed
    yield rows[start:]
