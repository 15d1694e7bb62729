"""Retention may have emptied what the service reads to its end: then nothing is there to wait for."""

import gevent
from gevent.event import Event as Flag

from services.shared.bus.topics import CALLS, TENANTS, partition_of
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks.directory import Directory
from services.webhooks.history import History
from services.webhooks.waiting import MemoryGoneEndpoints

WAIT_SECONDS = 60.0


def put(bus: MemoryBus, tenant_id: str) -> None:
    document = TenantDocument(tenant_id=tenant_id, webhooks=[WebhookEndpoint(endpoint_id="crm", url="http://x/")])
    bus.producer().send(TENANTS, tenant_id, document.SerializeToString(), timestamp_ms=1)


def empty(bus: MemoryBus, topic: str) -> None:
    for partition in range(bus.partitions):
        bus.forget(topic, partition, len(bus.logs[topic, partition]))


def test_the_directory_is_current_where_retention_has_emptied_the_topic_and_hears_what_comes_after() -> None:
    bus, stopping = MemoryBus(), Flag()
    put(bus, "acme")
    empty(bus, TENANTS)
    directory = Directory(bus.consumer(None, [TENANTS]), MemoryGoneEndpoints())
    directory.remember_closed(stopping)
    following = gevent.spawn(directory.run, stopping)
    try:
        assert directory.catch_up(WAIT_SECONDS)
        assert directory.is_current
        assert not directory.knows("acme")
        put(bus, "beta")
        assert directory.catch_up(WAIT_SECONDS)
        assert directory.find("beta", "crm") is not None
    finally:
        stopping.set()
        following.join(WAIT_SECONDS)


def test_the_past_of_an_emptied_log_is_nothing_and_ends() -> None:
    bus = MemoryBus()
    place = (CALLS, partition_of("acme", bus.partitions))
    for number in range(250):
        bus.producer().send(CALLS, "acme", b"x", timestamp_ms=number)
    history = History(lambda: bus.consumer(None, [CALLS]))
    with gevent.Timeout(WAIT_SECONDS):
        assert [record.offset for record in history.since("acme", 100)] == list(range(100, 250))
        assert [record.offset for record in history.before(place, 200, 50)] == list(range(149, 250))
        bus.forget(*place, 220)
        assert [record.offset for record in history.since("acme", 100)] == list(range(220, 250))
        empty(bus, CALLS)
        assert list(history.since("acme", 0)) == []
        assert list(history.before(place, 250, 50)) == []
