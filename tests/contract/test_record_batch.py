"""What the bus takes from inside kafka-python (pinned: 3.0.12) still means what it meant there."""

import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import NewTopic
from kafka.producer.producer_batch import ProducerBatch
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.structs import TopicPartition

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.producer import Producer
from services.shared.bus.record_batch import BatchReceipt, append_batches, build, encoded_key, varint
from services.shared.bus.topics import DEAD_LETTERS

BATCH_BYTES = 256 * 1024
PLACE = TopicPartition("any", 0)
HEADERS = st.one_of(st.none(), st.dictionaries(st.text(max_size=12), st.text(max_size=200), max_size=3))
RECORDS = st.lists(
    st.tuples(st.text(max_size=200), st.binary(max_size=6000), st.integers(0, 2**42), HEADERS), min_size=1, max_size=30
)
Record = tuple[str, bytes, int, Mapping[str, str] | None]


class Sender:
    """The sender's part that is touched: it is woken up."""

    woken = 0

    def wakeup(self) -> None:
        self.woken += 1


class Kafka:
    """A producer without a connection: the library's own accumulator, and what drains it here."""

    def __init__(self) -> None:
        self._accumulator = RecordAccumulator(batch_size=BATCH_BYTES)
        self._sender = Sender()

    def batches(self) -> list[ProducerBatch]:
        return list(self._accumulator._batches[PLACE])


def by_the_library(records: Sequence[Record]) -> bytes:
    builder = MemoryRecordsBuilder(2, 0, 10**9)
    for key, value, timestamp_ms, headers in records:
        pairs = [(name, text.encode()) for name, text in (headers or {}).items()]
        builder.append(timestamp_ms, key.encode(), value, pairs)
    return sealed(builder)


def sealed(builder: Any) -> bytes:
    builder.set_producer_state(7, 1, 40, False)  # noqa: FBT003 - the library's own signature
    builder.close()
    return bytes(builder.buffer())


def rows(records: Sequence[Record]) -> list[Any]:
    return [(encoded_key(key), *rest) for key, *rest in records]


def test_the_library_is_the_one_that_was_read() -> None:
    assert version("kafka-python") == "3.0.12"


@settings(deadline=None)
@given(RECORDS)
def test_a_batch_has_the_bytes_that_the_library_writes(records: Sequence[Record]) -> None:
    assert sealed(build(rows(records), BATCH_BYTES)) == by_the_library(records)


@given(st.integers(-(2**62), 2**62))
def test_a_number_has_the_bytes_that_the_library_writes(number: int) -> None:
    from kafka.record.util import encode_varint  # noqa: PLC0415 - the oracle of this test alone

    written = bytearray()
    encode_varint(number, written.append)
    assert varint(number) == bytes(written)


def test_a_later_single_record_goes_into_the_same_batch_behind_it() -> None:
    kafka, records = Kafka(), [("k", b"%d" % number, 1000 + number, None) for number in range(3)]
    append_batches(kafka, PLACE, rows(records), BATCH_BYTES, BatchReceipt(lambda _: None))
    kafka._accumulator.append(PLACE, 1003, b"k", b"3", [])
    (batch,) = kafka.batches()
    assert kafka._sender.woken == 1
    assert sealed(batch.records) == by_the_library([*records, ("k", b"3", 1003, None)])


def test_rows_beyond_one_batch_are_cut_in_order() -> None:
    kafka, settled = Kafka(), list[int]()
    receipt = BatchReceipt(settled.append)
    records = [("k", b"%05d" % number * 300, 1, None) for number in range(500)]
    append_batches(kafka, PLACE, rows(records), BATCH_BYTES, receipt)
    batches = kafka.batches()
    values = []
    for batch in batches:
        batch.records.close()
        assert batch.records.size_in_bytes() <= BATCH_BYTES
        values += [record.value for part in MemoryRecords(batch.records.buffer()) for record in part]
    assert values == [record[1] for record in records]
    for number, batch in enumerate(batches):
        assert not receipt.acknowledged
        batch.complete(number * 1000, -1)
    assert receipt.acknowledged
    assert sum(settled) == 500


def test_one_refused_batch_fails_the_receipt() -> None:
    kafka, settled = Kafka(), list[int]()
    receipt = BatchReceipt(settled.append)
    append_batches(kafka, PLACE, rows([("k", b"x", 1, None)]), BATCH_BYTES, receipt)
    (batch,) = kafka.batches()
    batch.complete_exceptionally(ValueError("refused"), lambda _: ValueError("refused"))
    assert (receipt.failed, receipt.acknowledged, settled) == (True, False, [1])
    with pytest.raises(NotDelivered, match="refused"):
        receipt.wait(1)


def test_a_receipt_follows_its_records_through_splits_of_splits() -> None:
    kafka, settled = Kafka(), list[int]()
    receipt = BatchReceipt(settled.append)
    append_batches(kafka, PLACE, rows([("k", b"%d" % number, 1, None) for number in range(9)]), BATCH_BYTES, receipt)
    for _ in range(2):
        first = kafka._accumulator._batches[PLACE].popleft()
        first.records.close()
        kafka._accumulator.split_and_reenqueue(first)
    batches = kafka.batches()
    assert [batch.record_count for batch in batches] == [3, 2, 4]
    for batch in batches:
        assert not receipt.acknowledged
        batch.complete(0, -1)
    assert receipt.acknowledged
    assert sum(settled) == 9


def test_a_closed_producer_takes_nothing() -> None:
    kafka = Kafka()
    kafka._accumulator.close()
    with pytest.raises(BusUnavailable):
        append_batches(kafka, PLACE, rows([("k", b"x", 1, None)]), BATCH_BYTES, BatchReceipt(lambda _: None))


def test_a_forced_close_fails_what_waits() -> None:
    kafka = Kafka()
    receipt = BatchReceipt(lambda _: None)
    append_batches(kafka, PLACE, rows([("k", b"x", 1, None)]), BATCH_BYTES, receipt)
    kafka._accumulator.abort_incomplete_batches()
    assert receipt.failed


@pytest.mark.kafka
def test_a_batch_that_the_broker_finds_too_large_is_split_and_told_in_order(kafka_bootstrap: str) -> None:
    topic = f"small-{uuid.uuid4()}"
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    admin.close()
    producer = Producer(kafka_bootstrap, "test")
    values = [b"%03d" % number * 50 for number in range(100)]
    receipt = producer.send_many(topic, [("k", value, 1, None) for value in values])
    receipt.wait(30)
    assert receipt.acknowledged
    assert producer.in_flight == 0
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest", group_id=None)
    found: list[bytes] = []
    with gevent.Timeout(30):
        while len(found) < 100:
            found += [record.value for batch in consumer.poll(timeout_ms=500).values() for record in batch]
    assert found == values
    consumer.close()
    producer.close()


@pytest.mark.kafka
def test_what_is_in_flight_stays_bounded_while_batches_are_sent(kafka_bootstrap: str) -> None:
    producer = Producer(kafka_bootstrap, "test", max_in_flight=100)
    receipts = []
    for number in range(50):
        receipts.append(producer.send_many(DEAD_LETTERS, [(f"key-{number}", b"x", 1, None)] * 40))
        assert producer.in_flight < 100 + 40
    for receipt in receipts:
        receipt.wait(30)
    assert producer.in_flight == 0
    producer.close()
