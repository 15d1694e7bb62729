"""What is read out of a fetch is what kafka-python (pinned: 3.0.12) reads, and what nobody wants is passed over."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.structs import TopicPartition

from services.shared.bus.record import Record
from services.shared.bus.record_reading import PartitionRecords, read_directly

PLACE = TopicPartition("any", 3)
HEADERS = st.lists(st.tuples(st.text(max_size=12), st.one_of(st.none(), st.binary(max_size=200))), max_size=3)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**42), st.one_of(st.none(), st.binary(max_size=200)), st.binary(max_size=6000), HEADERS
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip
BATCHES = st.lists(ROWS, min_size=1, max_size=4)
UNCOMPRESSED, GZIP = 0, 1
Row = tuple[int, bytes | None, bytes, Sequence[tuple[str, bytes | None]]]


def fetched(batches: Sequence[Sequence[Row]], codec: int = UNCOMPRESSED, first: int = 0) -> bytes:
    """Return what a broker sends of these batches: the library's own bytes, with offsets one after the other."""
    found, offset = b"", first
    for rows in batches:
        builder = MemoryRecordsBuilder(2, codec, 10**9)
        for timestamp_ms, key, value, headers in rows:
            builder.append(timestamp_ms, key, value, list(headers))
        builder.close()
        found += offset.to_bytes(8, "big") + bytes(builder.buffer())[8:]
        offset += len(rows)
    return found


def ours(data: bytes, wanted: bytes | None = None, at: int = 0) -> Any:
    return PartitionRecords(at, PLACE, MemoryRecords(data), wanted=wanted)


def of_library(data: bytes, at: int = 0) -> list[Record]:
    part = Fetcher.PartitionRecords(at, PLACE, MemoryRecords(data))
    return [
        Record(
            each.topic,
            each.partition,
            each.offset,
            each.timestamp,
            (each.key or b"").decode(errors="replace"),
            each.value,
            {name: (value or b"").decode(errors="replace") for name, value in each.headers},
        )
        for each in part.take()
    ]


@settings(deadline=None)
@given(BATCHES, st.sampled_from([UNCOMPRESSED, GZIP]), st.integers(0, 9))
def test_every_record_is_what_the_library_reads(batches: Any, codec: int, at: int) -> None:
    data = fetched(batches, codec)
    assert ours(data, at=at).take() == of_library(data, at)


@settings(deadline=None)
@given(BATCHES, st.sampled_from([UNCOMPRESSED, GZIP]), st.binary(min_size=1, max_size=1), st.integers(1, 5))
def test_what_is_wanted_always_comes_and_the_position_goes_over_the_rest(
    batches: Any, codec: int, wanted: bytes, most: int
) -> None:
    data = fetched(batches, codec, first=40)
    part, taken = ours(data, wanted, at=40), list[Record]()
    while part:
        piece = part.take(most)
        taken += piece
        if piece and part:
            assert part.next_fetch_offset == piece[-1].offset + 1
    every = of_library(data, 40)
    assert [each for each in taken if wanted in each.value] == [each for each in every if wanted in each.value]
    assert part.next_fetch_offset == 40 + len(every)


def test_a_batch_without_anything_wanted_makes_no_record() -> None:
    data = fetched([[(1, b"k", b"plain", [])] * 3, [(1, b"k", b"plain", []), (1, b"k", b"want it", [])]])
    part = ours(data, b"want")
    assert [each.offset for each in part.take()] == [4]
    assert part.records_read == 1


@pytest.mark.parametrize("at", [17, 61, 70, -1])
def test_a_broken_byte_is_found(at: int) -> None:
    data = bytearray(fetched([[(1, b"key", b"value", [("name", b"text")])]]))
    data[at] ^= 0x41
    with pytest.raises(CorruptRecordError):
        ours(bytes(data)).take()


@settings(deadline=None)
@given(ROWS, st.data())
def test_lengths_that_lie_are_refused_also_where_the_checksum_is_right(rows: Any, dice: st.DataObject) -> None:
    data = bytearray(fetched([rows]))
    at = dice.draw(st.integers(61, len(data) - 1))
    data[at] = dice.draw(st.integers(0, 255))
    part = PartitionRecords(0, PLACE, MemoryRecords(bytes(data)), check_crcs=False, wanted=None)
    with suppress(CorruptRecordError):
        assert len(part.take()) <= len(rows)


def test_a_fetcher_is_given_ours() -> None:
    class Kafka:
        """As much of a consumer as is touched."""

        class _fetcher:  # noqa: N801 - the library's own name
            PartitionRecords = Fetcher.PartitionRecords

    read_directly(Kafka, b"x")
    made = Kafka._fetcher.PartitionRecords(0, PLACE, MemoryRecords(b""))
    assert isinstance(made, PartitionRecords)
    assert made.take() == []
