"""By its id a topic that was made anew is told from the former one: name, partitions and offsets are the same."""

import uuid
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from services.shared.bus.admin import TopicDefinition, ensure_topics
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.testing.waiting import wait_until

pytestmark = pytest.mark.kafka


def _is(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (BusUnavailable, KafkaError):
        return False


def test_a_topic_that_is_made_anew_has_another_id_also_for_who_reads_it_on(kafka_bootstrap: str) -> None:
    topic = f"test.{uuid.uuid4()}"
    definition = TopicDefinition(topic, 1, -1, "delete")
    ensure_topics(kafka_bootstrap, [definition])
    reader = Consumer(kafka_bootstrap, None, [topic], "test")
    former = reader.topic_id(topic)
    assert uuid.UUID(former).int
    assert reader.topic_id(topic) == former
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.delete_topics([topic])
    admin.close()
    wait_until(lambda: not _is(lambda: bool(reader.topic_id(topic))), "the topic's end")
    wait_until(lambda: _is(lambda: ensure_topics(kafka_bootstrap, [definition]) == [topic]), "the new topic")
    wait_until(lambda: _is(lambda: reader.topic_id(topic) != former), "its id")
    assert uuid.UUID(reader.topic_id(topic)).int
    reader.close()
