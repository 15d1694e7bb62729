"""A reader says how far it is behind, to whoever scrapes its process."""

import uuid

import pytest

from services.shared.bus import metrics
from services.shared.bus.consumer import MAX_POLL_RECORDS, Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DEAD_LETTERS
from services.shared.testing.waiting import wait_until


@pytest.mark.kafka
def test_what_is_sent_and_not_read_yet_is_the_lag(kafka_bootstrap: str) -> None:
    name, key = f"lag-{uuid.uuid4()}", str(uuid.uuid4())
    producer = Producer(kafka_bootstrap, name)
    reader = Consumer(kafka_bootstrap, name, [DEAD_LETTERS], name)
    try:
        for number in range(2 * MAX_POLL_RECORDS):
            producer.send(DEAD_LETTERS, key, b"%d" % number, timestamp_ms=1)
        producer.flush(60)
        read, seen = list[str](), set[int]()

        def is_read() -> bool:
            read.extend(record.key for record in reader.poll(0.5) if record.key == key)
            seen.add(reader.lag().get(DEAD_LETTERS, 0))
            return len(read) == 2 * MAX_POLL_RECORDS

        wait_until(is_read, "all of it is read")
        assert max(seen) >= MAX_POLL_RECORDS / 2
        # What others sent to the same topic comes too.
        wait_until(lambda: not reader.poll(0.5) and reader.lag() == {DEAD_LETTERS: 0}, "nothing is left")
        assert metrics.LAG.labels(name, DEAD_LETTERS)._value.get() >= 0
    finally:
        reader.close()
        producer.close()
