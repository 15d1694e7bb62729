"""What a process that was killed has left of a call: one delivery in the log, a later one in the waiting room.

So it is when an endpoint's queue was full, the later one was diverted, and the earlier one had not ended.
"""

from collections.abc import Collection
from typing import Any

import pytest
from gevent.event import Event as Flag

from services.shared.bus.topics import DELIVERIES, TENANTS, partition_of
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.handing_over import Gathering
from services.webhooks.lanes import Job
from services.webhooks.waiting import Due, MemoryWaitingRoom, endpoint_of
from tests.integration.webhooks.harness import LocalReceiver, Service, endpoint, wait_until

LOOKS = 3


class WatchedRoom(MemoryWaitingRoom):
    """Counts how often somebody has looked for what is due."""

    looks = 0

    def due(self, now_ms: int, limit: int, without: Collection[EndpointKey]) -> list[Due]:
        self.looks += 1
        return super().due(now_ms, limit, without)


@pytest.fixture
def left(service: Service, receiver: LocalReceiver) -> WatchedRoom:
    """Return the room after the kill; the endpoint keeps the order of a call."""
    service.room = room = WatchedRoom()
    service.tenant("acme", endpoint(receiver.url, keep_call_order=True))
    deliveries = [
        Delivery(tenant_id="acme", endpoint_id="crm", delivery_id=name, call_id="call-1", payload=b"{}", created_ms=1)
        for name in ("first", "second")
    ]
    log = service.bus.logs[DELIVERIES, partition_of(endpoint_of(deliveries[0]), service.bus.partitions)]
    for delivery in deliveries:
        service.bus.producer().send(DELIVERIES, endpoint_of(delivery), delivery.SerializeToString(), timestamp_ms=1)
    deliveries[1].position = len(log)
    room.put(deliveries[1:])
    return room


def look(room: WatchedRoom) -> None:
    """Wait until the room was looked through a few times more."""
    wanted = room.looks + LOOKS
    wait_until(lambda: room.looks >= wanted)


def test_nothing_is_taken_from_the_room_before_it_is_known_whether_its_endpoint_keeps_an_order(
    service: Service, receiver: LocalReceiver, left: WatchedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read, made = Flag(), service.bus.consumer

    def consumer(group: str | None, topics: list[str], **wishes: Any) -> Any:
        reader = made(group, topics, **wishes)
        if topics == [TENANTS]:
            poll = reader.poll
            monkeypatch.setattr(reader, "poll", lambda seconds: may_read.wait() and poll(seconds))
        return reader

    monkeypatch.setattr(service.bus, "consumer", consumer)
    service.start()
    look(left)
    may_read.set()
    wait_until(lambda: len(set(receiver.ids())) == 2)
    assert receiver.ids() == ["first", "second"]


def test_nothing_is_taken_from_the_room_while_an_earlier_one_is_on_its_way_there(
    service: Service, receiver: LocalReceiver, left: WatchedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write, flush = Flag(), Gathering.flush
    monkeypatch.setattr(Gathering, "flush", lambda gathering: may_write.wait() and flush(gathering))
    service.start()
    assert service.webhooks is not None
    lanes, offer = service.webhooks._lanes, service.webhooks._lanes.offer

    def offer_but_the_first(job: Job) -> bool:
        return (may_write.is_set() or job.delivery.delivery_id != "first") and offer(job)

    monkeypatch.setattr(lanes, "offer", offer_but_the_first)
    monkeypatch.setattr(lanes, "wait_for_room", lambda _key, _until: False)
    look(left)
    may_write.set()
    wait_until(lambda: len(set(receiver.ids())) == 2)
    assert receiver.ids() == ["first", "second"]
