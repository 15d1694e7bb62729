"""A topic that can't be written ends nothing for any other: kafka-python's producer does, and ours must not."""

import time
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.producer import producer_batch, record_accumulator, sender

from services.shared.bus import containing
from services.shared.bus.errors import NotDelivered
from services.shared.bus.producer import DELIVERY_MS, Producer
from services.shared.testing.waiting import wait_until

pytestmark = pytest.mark.kafka
MONOTONIC = time.monotonic


class Two:
    """A topic that is in trouble and one that is sound, of one producer."""

    def __init__(self, bootstrap: str) -> None:
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        run = uuid.uuid4().hex
        self.bad, self.sound = f"test.bad.{run}", f"test.sound.{run}"
        self.producer = Producer(bootstrap, "test")

    def make(self, **configs: str) -> None:
        """Make both; `configs` are those of the one that is in trouble."""
        self.admin.create_topics([NewTopic(self.bad, 1, 1, topic_configs=configs), NewTopic(self.sound, 1, 1)])
        for topic in (self.bad, self.sound):
            self.send(topic).wait(60)

    def send(self, topic: str, value: bytes = b"v") -> Any:
        return self.producer.send(topic, "k", value, timestamp_ms=1)

    def close(self) -> None:
        self.producer.close()
        self.admin.close()


@pytest.fixture
def two(kafka_bootstrap: str) -> Iterator[Two]:
    made = Two(kafka_bootstrap)
    yield made
    made.close()


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give how many seconds the producer's clock is ahead."""
    ahead = [0.0]
    clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: MONOTONIC() + ahead[0]})
    for module in (containing, producer_batch, record_accumulator, sender):
        monkeypatch.setattr(module, "time", clock)
    return ahead


@pytest.mark.parametrize("together", [True, False])
def test_what_is_given_up_takes_nothing_with_it(two: Two, passed: list[float], *, together: bool) -> None:
    two.make()
    two.admin.delete_topics([two.bad])
    stuck = two.send(two.bad)
    batches = two.producer._kafka._accumulator._batches
    wait_until(lambda: any(one.in_retry() for queue in batches.values() for one in queue), "it was tried in vain")
    # Nothing yields between these two: the sender finds both in one round.
    passed[0] = DELIVERY_MS / 1000 + 1
    receipt = two.producer.send_many(two.sound, [("k", b"w", 1, None)]) if together else two.send(two.sound)
    wait_until(lambda: receipt.acknowledged, "what came in that moment is there")
    with pytest.raises(NotDelivered):
        stuck.wait(60)
    for _ in range(3):
        two.send(two.sound).wait(60)
    assert two.producer.in_flight == 0


def test_what_a_topic_refuses_for_good_is_that_topics_own(two: Two) -> None:
    two.make(**{"max.message.bytes": "200"})
    for _ in range(2):
        with pytest.raises(NotDelivered):
            two.send(two.bad, b"x" * 1_000).wait(60)
        two.send(two.sound).wait(60)
        two.send(two.bad).wait(60)
    assert two.producer._kafka._transaction_manager.producer_id_and_epoch.epoch == 0, "nobody else's were given up"
    assert two.producer.in_flight == 0
