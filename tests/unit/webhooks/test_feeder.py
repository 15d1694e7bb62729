"""Feeds: a topic that alone can't be written holds up nobody but its tenant, and nothing of it is lost."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import CALLS, DELIVERIES, feed_topic
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import MemoryBus, MemoryProducer, MemoryReceipt
from services.webhooks.domain.endpoint import Endpoint, endpoints_of
from services.webhooks.feeder import APART_SECONDS, PATIENCE, Feeder
from services.webhooks.hearing import Turn, heard


class Forbidden(MemoryProducer):
    """A broker that does not let us write into some topics."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus)
        self.topics: set[str] = set()

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> MemoryReceipt:
        if topic in self.topics:
            raise BusUnavailable(f"{topic} can't be written")
        return super().send(topic, key, value, timestamp_ms=timestamp_ms, headers=headers)


class Feeds:
    """A directory in which every tenant has a feed."""

    def endpoints(self, tenant_id: str) -> list[Endpoint]:
        channel = tn.Channel(channel_id="feed", feed=tn.FeedChannel())
        return list(endpoints_of(tn.TenantDocument(tenant_id=tenant_id, channels=[channel])))


class World:
    def __init__(self) -> None:
        self.bus = MemoryBus(partitions=1)
        self.sender = Forbidden(self.bus)
        self.now = 0.0
        directory: Any = Feeds()
        self.feeder = Feeder(self.sender, directory, self.bus.make_feed, lambda: self.now)

    def turn(self, *names: str) -> Turn:
        """Return a turn of events `<tenant>-<number>`."""
        bus = MemoryBus(partitions=1)
        for name in names:
            tenant_id = name.partition("-")[0]
            event = Event(event_id=name, tenant_id=tenant_id, call_id="c")
            event.call_ended.wait_ms = 1
            bus.producer().send(CALLS, tenant_id, event.SerializeToString(), timestamp_ms=5)
        return Turn(tuple(map(heard, bus.records(CALLS))), {(CALLS, 0): 0})

    def fed(self, tenant_id: str) -> list[bytes]:
        return [record.value for record in self.bus.records(feed_topic(tenant_id))]


def test_a_topic_that_alone_can_not_be_written_gets_its_events_as_deliveries() -> None:
    world = World()
    world.sender.topics = {feed_topic("acme")}
    turn = world.turn("acme-1", "beta-1", "acme-2")
    for _ in range(PATIENCE):
        with pytest.raises(BusUnavailable):
            world.feeder.take(turn)
    world.feeder.take(turn)
    made = [Delivery.FromString(record.value) for record in world.bus.records(DELIVERIES)]
    assert [(one.tenant_id, one.delivery_id, one.endpoint_id) for one in made] == [
        ("acme", "acme-1.feed", "feed"),
        ("acme", "acme-2.feed", "feed"),
    ]
    assert b'"event_id":"acme-1"' in made[0].payload
    assert set(world.fed("beta")) == {world.turn("beta-1").heard[0].payload()}


def test_a_healed_topic_is_written_in_the_logs_order_again() -> None:
    world = World()
    world.sender.topics = {feed_topic("acme")}
    for _ in range(PATIENCE):
        with pytest.raises(BusUnavailable):
            world.feeder.take(world.turn("acme-1"))
    world.sender.topics = set()
    world.now += APART_SECONDS
    world.feeder.take(world.turn("acme-1", "acme-2"))
    assert [b'"event_id":"acme-%d"' % number in value for number, value in enumerate(world.fed("acme"), 1)] == [
        True,
        True,
    ]
    assert world.bus.records(DELIVERIES) == []


def test_a_broker_that_is_away_altogether_is_waited_for() -> None:
    world = World()
    world.sender.topics = {feed_topic("acme"), DELIVERIES}
    for _ in range(PATIENCE + 2):
        with pytest.raises(BusUnavailable):
            world.feeder.take(world.turn("acme-1"))
    world.sender.topics = set()
    world.feeder.take(world.turn("acme-1"))
    assert len(world.bus.records(DELIVERIES)) == 1, "for a minute it goes the other way, then as before"
