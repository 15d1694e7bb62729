"""What the broker does not let us read is no error to its client: a reader of ours says it, and reads when it may."""

import uuid

import pytest

from services.shared.bus.admin import TopicDefinition, ensure_topics
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable, Refused
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings
from services.shared.testing.waiting import wait_until

pytestmark = pytest.mark.kafka


def test_a_groups_reader_tells_of_a_topic_that_is_not_there_and_reads_it_once_it_is(kafka_bootstrap: str) -> None:
    topic, group, readings = f"test.{uuid.uuid4()}", f"test-{uuid.uuid4()}", Readings()
    reader = Consumer(kafka_bootstrap, group, [topic], group, tells=readings.of(topic, group))
    assert readings.trouble == f"{topic} is not read yet"

    def is_read() -> bool:
        try:
            return bool(reader.poll(0.5))
        except BusUnavailable:
            return False

    with pytest.raises(Refused, match="make it"):
        wait_until(lambda: reader.poll(0.5), "what never comes")
    assert readings.trouble.startswith(
        f"the broker shows no topic {topic}: make it (ringmaster topics create), or give"
    )
    ensure_topics(kafka_bootstrap, [TopicDefinition(topic, 2, -1, "delete")])
    producer = Producer(kafka_bootstrap, "test")
    wait_until(lambda: _sends(producer, topic), "a record is sent")
    wait_until(is_read, "it is read")
    wait_until(lambda: is_read() or not readings.trouble, "it is told")
    assert readings.trouble == ""
    producer.close()
    reader.close()


def test_a_reader_of_all_of_a_topic_tells_too_and_one_for_whom_nothing_is_left_reads(kafka_bootstrap: str) -> None:
    topic, group, readings = f"test.{uuid.uuid4()}", f"test-{uuid.uuid4()}", Readings()
    with pytest.raises(Refused, match="make it"):
        Consumer(kafka_bootstrap, None, [topic], "test", tells=readings.of(topic))
    assert "shows no topic" in readings.trouble
    ensure_topics(kafka_bootstrap, [TopicDefinition(topic, 1, -1, "delete")])
    names = [f"{group}-{number}" for number in range(2)]
    both = [Consumer(kafka_bootstrap, group, [topic], name, tells=readings.of(topic, name)) for name in names]
    whole = Consumer(kafka_bootstrap, None, [topic], "test", tells=readings.of(topic))

    def all_read() -> bool:
        for reader in (*both, whole):
            reader.poll(0.2)
        return not readings.trouble

    wait_until(all_read, "all read: of two members one has no partition")
    assert sum(len(reader.assignment()) for reader in both) == 1
    for reader in (*both, whole):
        reader.close()


def _sends(producer: Producer, topic: str) -> bool:
    try:
        producer.send(topic, "key", b"value", timestamp_ms=1).wait(60)
    except BusUnavailable:
        return False
    return True
