"""A reader that gathers gets few records within its wait, and many in fewer pieces."""

import time
import uuid

import pytest

from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DEAD_LETTERS
from services.shared.testing.patience import Stopwatch
from services.shared.testing.waiting import wait_until

GATHER_MS = 300


@pytest.mark.kafka
def test_records_sent_one_by_one_come_together_and_not_late(kafka_bootstrap: str) -> None:
    producer = Producer(kafka_bootstrap, "test-gathering")
    reader = Consumer(kafka_bootstrap, f"gathering-{uuid.uuid4()}", [DEAD_LETTERS], "test", gather_ms=GATHER_MS)
    key, pieces = str(uuid.uuid4()), list[int]()

    def read() -> int:
        pieces.append(sum(record.key == key for record in reader.poll(1.0)))
        return sum(pieces)

    try:
        producer.send(DEAD_LETTERS, key, b"first", timestamp_ms=1).wait(60)
        wait_until(read, "the reader has joined and is at the end")
        pieces.clear()
        began = time.monotonic()
        for number in range(20):
            producer.send(DEAD_LETTERS, key, b"%d" % number, timestamp_ms=2).wait(60)
        sent, watch = time.monotonic(), Stopwatch()
        wait_until(lambda: read() == 20, "all of them")
        assert watch.seconds() < GATHER_MS / 1000 + 1.0
        assert len([piece for piece in pieces if piece]) <= 2 + (sent - began) * 1000 / GATHER_MS
    finally:
        reader.close()
        producer.close()
