"""The bus in memory and the bus on a true broker, for the suites that hold for both."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.shared.bus.ports import BatchSender
from services.shared.testing.memory_bus import MemoryBus

MakeReader = Callable[..., Any]
PARTITIONS = 4


class Bus:
    def __init__(
        self,
        sender: BatchSender,
        reader: MakeReader,
        make_topic: Callable[[str], None],
        forget: Callable[[str, int, int], None],
    ) -> None:
        self.sender = sender
        self.reader = reader
        self.group = f"group-{uuid.uuid4()}"
        self.forget = forget
        """Takes away what lies before an offset, as retention does: topic, partition, offset."""
        self._make_topic = make_topic

    def own_topic(self) -> str:
        """Return a new topic of PARTITIONS partitions, that no other test writes into."""
        topic = f"test.{uuid.uuid4()}"
        self._make_topic(topic)
        return topic


@pytest.fixture(params=["memory", pytest.param("broker", marks=pytest.mark.kafka)])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    if request.param == "memory":
        memory = MemoryBus(PARTITIONS)
        yield Bus(memory.producer(), memory.consumer, lambda _topic: None, memory.forget)
    else:
        yield from _true_bus(request.getfixturevalue("kafka_bootstrap"))


def _true_bus(bootstrap: str) -> Iterator[Bus]:
    from services.shared.bus.admin import TopicDefinition, ensure_topics  # noqa: PLC0415 - only where there is a broker
    from services.shared.bus.consumer import Consumer  # noqa: PLC0415 - the same
    from services.shared.bus.producer import Producer  # noqa: PLC0415 - the same

    opened: list[Consumer] = []

    def reader(group: str | None, topics: list[str], **wishes: Any) -> Consumer:
        for former in opened:
            former.close()
        opened.append(Consumer(bootstrap, group, topics, "test", **wishes))
        return opened[-1]

    def make_topic(topic: str) -> None:
        ensure_topics(bootstrap, [TopicDefinition(topic, PARTITIONS, -1, "delete")])

    producer = Producer(bootstrap, "test")
    yield Bus(producer, reader, make_topic, lambda *what: _forget(bootstrap, *what))
    for consumer in opened:
        consumer.close()
    producer.close()


def _forget(bootstrap: str, topic: str, partition: int, before: int) -> None:
    from kafka import KafkaAdminClient, TopicPartition  # noqa: PLC0415 - only where there is a broker

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.delete_records({TopicPartition(topic, partition): before})
    admin.close()
