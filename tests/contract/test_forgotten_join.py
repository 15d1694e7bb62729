"""A group's leader that is interrupted in joining again ends the join, and goes on reading."""

import time
import uuid

import pytest

from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DEAD_LETTERS

WAIT_SECONDS = 180.0


@pytest.mark.kafka
def test_a_join_that_outlasts_its_poll_is_not_forgotten(kafka_bootstrap: str) -> None:
    key = str(uuid.uuid4())
    consumer = Consumer(kafka_bootstrap, f"group-{key}", [DEAD_LETTERS], "test")
    producer = Producer(kafka_bootstrap, "test")
    deadline = time.monotonic() + WAIT_SECONDS
    while not consumer.assignment() and time.monotonic() < deadline:
        consumer.poll(0.5)
    coordinator = consumer._kafka._coordinator
    coordinator._assignment_snapshot = {}  # as when a topic has got partitions since they were shared out
    while not coordinator.rebalance_in_progress() and time.monotonic() < deadline:
        consumer.poll(0.001)
    while coordinator._assignment_snapshot == {} and time.monotonic() < deadline:
        consumer.poll(0.001)
    producer.send(DEAD_LETTERS, key, b"x", timestamp_ms=1).wait(60)
    found: list[str] = []
    while key not in found and time.monotonic() < deadline:
        found += [record.key for record in consumer.poll(0.5)]
    consumer.close()
    producer.close()
    assert key in found
