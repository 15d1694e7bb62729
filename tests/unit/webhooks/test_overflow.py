"""Who is sent more than it takes waits in the overflow, and nobody waits for it (ADR 48)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag

from services.shared.bus.record import Record
from services.shared.bus.topics import DELIVERIES, DELIVERIES_OVERFLOW, DELIVERIES_RETRY, partition_of
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks import overflow
from services.webhooks.call_order import CallOrder
from services.webhooks.domain.endpoint import key_of
from services.webhooks.domain.offsets import ContiguousOffsets
from services.webhooks.first_tries import FirstTries
from services.webhooks.handing_over import Gathering, HandOver, Keeping
from services.webhooks.lanes import Job, LanePolicy, Lanes
from services.webhooks.left_in_log import LeftInLog
from services.webhooks.overflow import Overflow
from services.webhooks.tries import PutOffs
from services.webhooks.waiting import MemoryWaitingRoom

QUEUE = 4


def delivery(tenant_id: str, number: int, size: int = 2) -> Delivery:
    made = Delivery(delivery_id=f"{number}", tenant_id=tenant_id, endpoint_id="crm", created_ms=1, position=number + 1)
    made.payload = b"x" * size
    return made


class World:
    """Everything between the topics and the receivers; workers begin only when a test lets them."""

    def __init__(self) -> None:
        self.bus, self.stopping, self.tried = MemoryBus(), Flag(), list[Delivery]()
        self.workers: list[Callable[[], object]] = []
        clock, room = Clock(), MemoryWaitingRoom()
        connect: Any = _Connection
        self.lanes = Lanes(self._spawn, connect, self._try, lambda _: LanePolicy(1), QUEUE)
        hand_over = HandOver(self.bus.producer(), clock, self.stopping)
        keep = Keeping(room, self.stopping)
        order = CallOrder(room, lambda _delivery: False, clock, self.stopping)
        gathered = [
            Gathering(write, self.stopping)
            for write in (partial(hand_over.to, DELIVERIES_RETRY), keep, partial(hand_over.to, DELIVERIES_OVERFLOW))
        ]
        self.put_offs = PutOffs(*gathered)
        left = LeftInLog(
            lambda: self.bus.consumer(None, [DELIVERIES]), keep, gathered[1], order, clock, ContiguousOffsets()
        )
        self.first_tries = FirstTries(self.lanes, hand_over, clock, order, self.put_offs, left)
        self.overflow = Overflow(self.lanes, hand_over, clock, order, self.put_offs)

    def _spawn(self, _name: str, work: Callable[..., object]) -> None:
        self.workers.append(work)

    def _try(self, jobs: Any, _connection: Any) -> None:
        for job in jobs:
            self.tried.append(job.delivery)
            job.origin.delivered(job.delivery)

    def send(self, topic: str, *deliveries: Delivery) -> None:
        for each in deliveries:
            key = key_of(each.tenant_id, each.endpoint_id)
            self.bus.producer().send(topic, key, each.SerializeToString(), timestamp_ms=1)

    def waiting(self, topic: str) -> list[str]:
        self.put_offs.flush()
        return [Delivery.FromString(record.value).delivery_id for record in self.bus.records(topic)]


class _Connection:
    def close(self) -> None:
        pass


def neighbour_of(tenant_id: str) -> str:
    """Return a tenant whose deliveries are in the same partition."""
    mine = partition_of(f"{tenant_id}.crm", 4)
    return next(f"t{number}" for number in range(100) if partition_of(f"t{number}.crm", 4) == mine)


def test_nobody_waits_for_an_endpoint_that_is_flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    world, other = World(), neighbour_of("acme")
    monkeypatch.setattr(Lanes, "wait_for_room", lambda *_: pytest.fail("the reader of first tries has waited"))
    world.send(DELIVERIES, *(delivery("acme", number) for number in range(50)), delivery(other, 77))
    world.first_tries.take(world.bus.consumer("senders", [DELIVERIES]).poll(0))
    assert world.waiting(DELIVERIES_OVERFLOW) == [str(number) for number in range(QUEUE, 50)]
    for work in world.workers:
        gevent.spawn(work)
    gevent.idle()
    assert [one.delivery_id for one in world.tried if one.tenant_id == other] == ["77"]


def test_what_overflowed_counts_as_done_once_it_is_in_the_overflow_and_not_before() -> None:
    world = World()
    reader = world.bus.consumer("senders", [DELIVERIES])
    world.send(DELIVERIES, *(delivery("acme", number) for number in range(10)))
    world.first_tries.take(reader.poll(0))
    assert world.first_tries.unfinished() == 10
    world.put_offs.flush()
    assert world.first_tries.unfinished() == QUEUE


def test_what_overflowed_waits_for_room_and_a_slow_endpoints_goes_to_the_waiting_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    reader = world.bus.consumer("overflow", [DELIVERIES_OVERFLOW])
    world.send(DELIVERIES_OVERFLOW, *(delivery("acme", number) for number in range(30)))
    monkeypatch.setattr(overflow, "ROOM_SECONDS", 60.0)
    taking = gevent.spawn(lambda: world.overflow.take(reader.poll(0)))
    gevent.idle()
    for work in world.workers:
        gevent.spawn(work)
    taking.join(30)
    gevent.idle()
    assert [one.delivery_id for one in world.tried] == [str(number) for number in range(30)]
    assert world.waiting(DELIVERIES_RETRY) == []
    assert world.overflow.unfinished() == 0

    monkeypatch.setattr(overflow, "ROOM_SECONDS", 0.0)
    slow = World()
    slow.send(DELIVERIES_OVERFLOW, *(delivery("acme", number) for number in range(30)))
    slow.overflow.take(slow.bus.consumer("overflow", [DELIVERIES_OVERFLOW]).poll(0))
    assert slow.waiting(DELIVERIES_RETRY) == [str(number) for number in range(QUEUE, 30)]


def test_a_place_in_a_topic_is_kept_through_the_overflow() -> None:
    world = World()
    sent = [delivery("acme", number) for number in range(6)]
    for each in sent:
        each.position = 0
    world.send(DELIVERIES, *sent)
    world.first_tries.take(world.bus.consumer("senders", [DELIVERIES]).poll(0))
    world.put_offs.flush()
    records: list[Record] = world.bus.records(DELIVERIES_OVERFLOW)
    assert [Delivery.FromString(record.value).position for record in records] == [5, 6]


def test_what_a_killed_reader_brings_once_more_is_sent_once_and_what_is_sent_again_on_purpose_twice() -> None:
    world = World()
    again = delivery("acme", 1)
    again.created_ms = 99
    world.send(DELIVERIES_OVERFLOW, delivery("acme", 1), delivery("acme", 1), delivery("beta", 1), again)
    world.overflow.take(world.bus.consumer("overflow", [DELIVERIES_OVERFLOW]).poll(0))
    assert world.overflow.unfinished() == 3
    for work in world.workers:
        gevent.spawn(work)
    gevent.idle()
    assert sorted((one.tenant_id, one.created_ms) for one in world.tried) == [("acme", 1), ("acme", 99), ("beta", 1)]
    assert world.overflow.unfinished() == 0
    # Who gets the partition back has to bring what is not committed.
    world.overflow.revoked([(DELIVERIES_OVERFLOW, number) for number in range(4)])
    world.overflow.take(world.bus.consumer("overflow", [DELIVERIES_OVERFLOW]).poll(0))
    gevent.idle()
    assert len(world.tried) == 6


def test_what_is_no_delivery_ends_where_it_is_read() -> None:
    world = World()
    world.bus.producer().send(DELIVERIES_OVERFLOW, "acme.crm", b"\xff\xff", timestamp_ms=1)
    world.overflow.take(world.bus.consumer("overflow", [DELIVERIES_OVERFLOW]).poll(0))
    assert world.overflow.unfinished() == 0


def test_a_lane_takes_one_delivery_of_any_size_and_more_only_within_its_bytes() -> None:
    world = World()
    large = 3 * 1024 * 1024
    assert world.lanes.offer(Job(delivery("acme", 1, 2 * large), _nowhere()))
    assert not world.lanes.offer(Job(delivery("acme", 2, 2), _nowhere()))
    assert world.lanes.offer(Job(delivery("beta", 1, large), _nowhere()))
    assert world.lanes.offer(Job(delivery("beta", 2, 1000), _nowhere()))
    assert not world.lanes.offer(Job(delivery("beta", 3, large), _nowhere()))
    for work in world.workers:
        gevent.spawn(work)
    gevent.idle()
    assert world.lanes.offer(Job(delivery("acme", 2, 2), _nowhere()))


def test_a_tenants_many_endpoints_hold_no_more_than_its_share_of_memory() -> None:
    world = World()
    mega = 1024 * 1024
    taken = 0
    for number in range(30):
        for _ in range(3):
            one = delivery("acme", number, mega)
            one.endpoint_id = f"e{number}"
            taken += world.lanes.offer(Job(one, _nowhere()))
    # What all hold together, and one of each endpoint beyond it.
    assert 32 <= taken <= 32 + 30
    assert world.lanes.offer(Job(delivery("beta", 1, mega), _nowhere()))
    assert world.lanes.offer(Job(delivery("beta", 2, mega), _nowhere()))


def _nowhere() -> Any:
    class Nowhere:
        def delivered(self, _delivery: Delivery) -> None:
            pass

    return Nowhere()
