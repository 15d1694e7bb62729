"""A reader that gathers gets few records within its wait, and many in fewer pieces."""

import time
import uuid

import pytest

from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DEAD_LETTERS

GATHER_MS = 300
WAIT_SECONDS = 60.0


@pytest.mark.kafka
def test_records_sent_one_by_one_come_together_and_not_late(kafka_bootstrap: str) -> None:
    producer = Producer(kafka_bootstrap, "test-gathering")
    reader = Consumer(kafka_bootstrap, f"gathering-{uuid.uuid4()}", [DEAD_LETTERS], "test", gather_ms=GATHER_MS)
    key, deadline = str(uuid.uuid4()), time.monotonic() + WAIT_SECONDS

    def read() -> int:
        assert time.monotonic() < deadline
        return sum(record.key == key for record in reader.poll(1.0))

    try:
        producer.send(DEAD_LETTERS, key, b"first", timestamp_ms=1).wait(10)
        while not read():
            pass  # once it is here the reader has joined and is at the end
        began = time.monotonic()
        for number in range(20):
            producer.send(DEAD_LETTERS, key, b"%d" % number, timestamp_ms=2).wait(10)
        sent = time.monotonic()
        pieces: list[int] = []
        while sum(pieces) < 20:
            pieces.append(read())
        assert time.monotonic() - sent < GATHER_MS / 1000 + 1.0
        assert len([piece for piece in pieces if piece]) <= 2 + (sent - began) * 1000 / GATHER_MS
    finally:
        reader.close()
        producer.close()
