import gevent
from gevent.event import Event as Flag

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import key_of
from services.webhooks.handing_over import BATCH, Gathering


class Writes:
    """A place that takes deliveries when it is let."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.may_write = Flag()
        self.answer = True

    def __call__(self, *deliveries: Delivery) -> bool:
        self.may_write.wait(10)
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
