import gevent
from gevent.event import Event as Flag

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import key_of
from services.webhooks.handing_over import BATCH, MOST_BYTES, MOST_GATHERED, MOST_OF_ONE, Gathering


class Writes:
    """A place that takes deliveries when it is let."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.may_write = Flag()
        self.answer = True

    def __call__(self, *deliveries: Delivery) -> bool:
        self.may_write.wait(60)
        self.calls.append(len(deliveries))
        return self.answer


def delivery(endpoint_id: str) -> Delivery:
    return Delivery(tenant_id="acme", endpoint_id=endpoint_id)


def test_who_brings_deliveries_never_waits_and_each_counts_once_it_is_written() -> None:
    writes, stopping, kept = Writes(), Flag(), list[int]()
    gathering = Gathering(writes, stopping)
    writer = gevent.spawn(gathering.run, stopping)
    for number in range(BATCH + 100):
        gathering.add(delivery("slow"), lambda number=number: kept.append(number))  # type: ignore[misc]  # mypy can't see the default
    gevent.idle()
    assert kept == []
    assert gathering.has_of(key_of("acme", "slow"))
    assert not gathering.has_of(key_of("acme", "quick"))
    writes.may_write.set()
    while gathering.has_of(key_of("acme", "slow")):
        gevent.idle()
    assert kept == list(range(BATCH + 100))
    assert len(writes.calls) <= 3
    stopping.set()
    gathering.add(delivery("slow"), lambda: None)
    writer.join(5)
    assert writer.successful()


def test_what_could_not_be_written_before_the_end_counts_as_nothing() -> None:
    writes, kept = Writes(), list[str]()
    writes.answer = False
    writes.may_write.set()
    gathering = Gathering(writes, Flag())
    gathering.add(delivery("slow"), lambda: kept.append("kept"))
    gathering.flush()
    assert kept == []


def test_who_waits_for_deliveries_ends_when_the_service_stops() -> None:
    stopping = Flag()
    writer = gevent.spawn(Gathering(Writes(), stopping).run, stopping)
    gevent.idle()
    stopping.set()
    gevent.idle()
    assert writer.dead


def test_no_endpoint_has_more_than_its_share_of_what_is_gathered() -> None:
    gathering = Gathering(Writes(), Flag())
    for _ in range(MOST_OF_ONE):
        assert gathering.has_room_for(key_of("acme", "slow"))
        gathering.add(delivery("slow"), lambda: None)
    assert not gathering.has_room_for(key_of("acme", "slow"))
    assert gathering.has_room_for(key_of("acme", "quick"))
    for number in range(MOST_GATHERED - MOST_OF_ONE):
        gathering.add(delivery(f"e{number}"), lambda: None)
    assert not gathering.has_room_for(key_of("acme", "quick"))


def test_what_is_gathered_has_no_more_bytes_than_may_wait() -> None:
    writes = Writes()
    writes.may_write.set()
    gathering, large = Gathering(writes, Flag()), delivery("large")
    large.payload = b"x" * (MOST_BYTES // 2)
    gathering.add(large, lambda: None)
    assert gathering.has_room_for(key_of("acme", "quick"))
    gathering.add(large, lambda: None)
    assert not gathering.has_room_for(key_of("acme", "quick"))
    bringing = gevent.spawn(gathering.add, delivery("quick"), lambda: None)
    gevent.idle()
    assert not bringing.ready()
    gathering.flush()
    bringing.join(10)
    assert bringing.successful()
    assert gathering.has_room_for(key_of("acme", "large"))
