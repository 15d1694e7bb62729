"""Feeds on a true broker: one that can't be written is waited for by nobody else, whatever the broker's client does."""

import uuid
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, feed_topic
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.waiting import wait_until
from services.webhooks import feeder
from services.webhooks.adapters.broker import KafkaBus
from services.webhooks.by_company import ByCompany
from services.webhooks.domain.endpoint import Endpoint, endpoints_of
from services.webhooks.feeder import Feeder
from services.webhooks.hearing import Turn, heard

pytestmark = pytest.mark.kafka


@pytest.fixture
def admin(kafka_bootstrap: str) -> Iterator[Any]:
    client = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    yield client
    client.close()


@pytest.fixture
def producer(kafka_bootstrap: str) -> Iterator[Producer]:
    made = Producer(kafka_bootstrap, "webhooks")
    yield made
    made.close()


def endpoints(tenant_id: str) -> list[Endpoint]:
    channel = tn.Channel(channel_id="feed", feed=tn.FeedChannel())
    return list(endpoints_of(tn.TenantDocument(tenant_id=tenant_id, channels=[channel])))


def test_a_feed_that_can_not_be_written_is_waited_for_by_nobody_else(
    kafka_bootstrap: str, admin: Any, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is not to be given up here, however slow the machine is.
    monkeypatch.setattr(feeder, "ACKNOWLEDGE_SECONDS", 600.0)
    monkeypatch.setattr(feeder, "PATIENCE", 1_000_000)
    run = uuid.uuid4().hex[:8]
    stuck, free = f"stuck{run}", f"free{run}"
    directory: Any = SimpleNamespace(endpoints=endpoints)
    make_feed = KafkaBus(kafka_bootstrap).make_feed
    feeds = ByCompany(Feeder(producer, directory, make_feed, lambda _name, write: gevent.spawn(write)))
    log = count()

    def hear(tenant_id: str, *event_ids: str) -> None:
        feeds.bring(Turn(tuple(heard(record(next(log), tenant_id, each)) for each in event_ids), {}))
        feeds.take(Flag())

    hear(stuck, "s0")
    wait_until(lambda: feeds.done == {(CALLS, 0): 1}, "all is well")
    admin.delete_topics([feed_topic(stuck)])
    hear(stuck, "s1", "s2")
    for number in range(10):
        hear(free, f"f{number}")
        wait_until(lambda: feeds.behind <= 2, "the neighbour's event had its effect")
    admin.create_topics([NewTopic(feed_topic(stuck), 4, 1)])
    wait_until(lambda: feeds.behind == 0, "what was stuck is written")
    assert feeds.done == {(CALLS, 0): 13}
    assert fed(kafka_bootstrap, stuck, 2) == ["s1", "s2"]
    assert fed(kafka_bootstrap, free, 10) == [f"f{number}" for number in range(10)]


def record(offset: int, tenant_id: str, event_id: str) -> Record:
    event = Event(event_id=event_id, tenant_id=tenant_id, call_id="c")
    event.call_ended.wait_ms = 1
    return Record(CALLS, 0, offset, 1_767_607_200_000, tenant_id, event.SerializeToString(), {"ce_id": event_id})


def fed(bootstrap: str, tenant_id: str, wanted: int) -> list[str]:
    """Return the events in a feed, each once; at least so many."""
    reader, ids = Consumer(bootstrap, None, [feed_topic(tenant_id)], "test"), dict[str, None]()

    def have_come() -> bool:
        ids.update(dict.fromkeys(one.headers["ce_id"] for one in reader.poll(0.5)))
        return len(ids) >= wanted

    wait_until(have_come, "the feed is read")
    reader.close()
    return list(ids)
