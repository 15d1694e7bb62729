"""A reader says how far it is behind, to whoever scrapes its process."""

import time
import uuid

import pytest

from services.shared.bus import metrics
from services.shared.bus.consumer import MAX_POLL_RECORDS, Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DEAD_LETTERS

WAIT_SECONDS = 30.0


@pytest.mark.kafka
def test_what_is_sent_and_not_read_yet_is_the_lag(kafka_bootstrap: str) -> None:
    name, key = f"lag-{uuid.uuid4()}", str(uuid.uuid4())
    producer = Producer(kafka_bootstrap, name)
    reader = Consumer(kafka_bootstrap, name, [DEAD_LETTERS], name)
    try:
        for number in range(2 * MAX_POLL_RECORDS):
            producer.send(DEAD_LETTERS, key, b"%d" % number, timestamp_ms=1)
        producer.flush(10)
        read, deadline, seen = 0, time.monotonic() + WAIT_SECONDS, set()
        while read < 2 * MAX_POLL_RECORDS and time.monotonic() < deadline:
            read += sum(record.key == key for record in reader.poll(0.5))
            seen.add(reader.lag().get(DEAD_LETTERS, 0))
        assert max(seen) >= MAX_POLL_RECORDS / 2
        while reader.lag() != {DEAD_LETTERS: 0} and time.monotonic() < deadline:
            reader.poll(0.5)  # what others sent to the same topic
        assert reader.lag() == {DEAD_LETTERS: 0}
        assert metrics.LAG.labels(name, DEAD_LETTERS)._value.get() >= 0
    finally:
        reader.close()
        producer.close()
