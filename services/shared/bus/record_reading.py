"""Reads records straight out of what the broker sent, for kafka-python's fetcher.

The library makes three objects of each record and asks them for a dozen properties, and `Consumer` made a fourth: 5.2
µs of CPU, 12 with the eight headers of an event. Read in one go into the one object that is handed out it is half of
that (batches of five); a record that its reader does not want costs 0.9 µs, most of it its part of the batch. All
around it stays the library's: fetching, checksums, decompression, positions. Transactions are not looked at: nobody
here writes any.

What is private to kafka-python 3.0.12 and used here is guarded by tests/contract/test_record_reading.py, which compares
what is read with what the library reads.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.util import decode_varint

from services.shared.bus.record import Record

_PLAIN: Final = 2
"""The record format of every broker since 0.11 (KIP-98)."""
_NOT_SMALL: Final = 0x81
"""Of a varint's first byte: more bytes follow, or the number is negative."""


def read_directly(kafka: Any, wanted: bytes | None) -> None:
    """Make a KafkaConsumer's `poll` return our records; where `wanted` is given only those whose value may hold it."""
    kafka._fetcher.PartitionRecords = partial(PartitionRecords, wanted=wanted)  # noqa: SLF001 - there is no public way


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python ships no types
    """What one fetch brought of a partition, read as somebody takes it."""

    def __init__(self, *arguments: Any, wanted: bytes | None, **settings: Any) -> None:
        self._wanted = wanted
        super().__init__(*arguments, **settings)

    def _unpack_records(self, tp: Any, records: Any, *_deserializers: Any) -> Iterator[Record]:
        """Give the records in order. The position goes on with each, and over what nobody wants. Raises KafkaError."""
        while (batch := records.next_batch()) is not None:
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"{tp.topic}/{tp.partition}: the batch at {batch.base_offset} fails its check")
            if batch.magic != _PLAIN:
                raise CorruptRecordError(f"{tp.topic}/{tp.partition}: record format {batch.magic} is not known here")
            self.leader_epoch = batch.leader_epoch
            self.bytes_read += batch.size_in_bytes
            if not batch.is_control_batch:
                for record in read_batch(tp.topic, tp.partition, batch, self._wanted):
                    self.records_read += 1
                    self.next_fetch_offset = record.offset + 1
                    yield record
            # Compaction takes records away from a batch's end too.
            self.next_fetch_offset = batch.next_offset
        self.drain()


def read_batch(topic: str, partition: int, batch: Any, wanted: bytes | None = None) -> Iterator[Record]:
    """Give a batch's records (attributes, timestamp and offset deltas, key, value, headers). Raises KafkaError."""
    batch._maybe_uncompress()  # noqa: SLF001 - what iterating over it begins with
    if wanted is not None and batch._buffer.find(wanted, batch._pos) < 0:  # noqa: SLF001 - the bytes of its records
        return
    data, pos = bytes(batch._buffer), batch._pos  # noqa: SLF001 - a slice of bytes is bytes, without one more copy
    base_offset, first_ms = batch.base_offset, batch.first_timestamp
    appended_ms = batch.max_timestamp if batch.timestamp_type else None
    try:
        for _ in range(batch.records_count):
            length, pos = decode_varint(data, pos)
            end = pos + length
            if wanted is not None and data.find(wanted, pos, end) < 0:
                pos = end
                continue
            delta_ms, pos = decode_varint(data, pos + 1)
            offset, pos = decode_varint(data, pos)
            key, pos = _bytes(data, pos)
            value, pos = _bytes(data, pos)
            count = data[pos]
            headers, pos = _headers(data, pos) if count else ({}, pos + 1)
            if pos != end:
                raise CorruptRecordError(f"{topic}/{partition}: a record after {base_offset} has not its length")
            moment_ms = first_ms + delta_ms if appended_ms is None else appended_ms
            name = key.decode(errors="replace")
            yield Record(topic, partition, base_offset + offset, moment_ms, name, value, headers)
    except (IndexError, ValueError) as error:
        raise CorruptRecordError(f"{topic}/{partition}: a record after {base_offset} can't be read: {error}") from error
    if pos != len(data):
        raise CorruptRecordError(f"{topic}/{partition}: the batch at {base_offset} is longer than its records")


def _bytes(data: bytes, pos: int) -> tuple[bytes, int]:
    """Read bytes with their length before them; none at all are an empty row of bytes here."""
    length = data[pos]
    if length & _NOT_SMALL:
        length, pos = decode_varint(data, pos)
        if length < 0:
            return b"", pos
        return data[pos : pos + length], pos + length
    pos += 1
    end = pos + (length >> 1)
    return data[pos:end], end


def _headers(data: bytes, pos: int) -> tuple[dict[str, str], int]:
    count, pos = decode_varint(data, pos)
    found = {}
    for _ in range(count):
        name, pos = _bytes(data, pos)
        text, pos = _bytes(data, pos)
        found[name.decode(errors="replace")] = text.decode(errors="replace")
    return found, pos
