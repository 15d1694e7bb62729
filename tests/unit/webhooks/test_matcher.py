"""Whatever a tenant's templates make of its events, nobody else waits for the making, and memory is bounded."""

from collections.abc import Iterator, Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag
from hypothesis import given
from hypothesis import strategies as st

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import Outgoing
from services.shared.bus.topics import CALLS, DEAD_LETTERS, DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import MemoryBatchReceipt, MemoryBus, MemoryProducer
from services.webhooks import by_company, matcher
from services.webhooks.by_company import ByCompany
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.payload import PayloadForm
from services.webhooks.hearing import Turn, heard
from services.webhooks.matcher import Matcher


class Pieces(MemoryProducer):
    """Remembers how much came at once."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus)
        self.sizes: list[int] = []

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> MemoryBatchReceipt:
        self.sizes.append(sum(len(value) for _, value, _, _ in records))
        return super().send_many(topic, records)


class Unsure(MemoryProducer):
    """Fails where it is told to: takes nothing, or takes what it says that it did not."""

    def __init__(self, bus: MemoryBus, faults: Iterator[str]) -> None:
        super().__init__(bus)
        self.faults = faults
        self.acknowledged: set[str] = set()

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> Any:
        fault = next(self.faults, "")
        if fault == "refused":
            raise BusUnavailable("not now")
        if fault != "lost":
            super().send_many(topic, records)
        if fault:
            return Failed()
        self.acknowledged |= {Delivery.FromString(value).delivery_id for _, value, _, _ in records}
        return MemoryBatchReceipt()


class Failed:
    """A receipt of what was never acknowledged."""

    acknowledged = False
    failed = True

    def wait(self, timeout_seconds: float) -> None:
        raise NotDelivered(f"not in {timeout_seconds} s")


class Companies:
    """A directory in which each company has some endpoints, all with one form."""

    def __init__(self, **endpoints: int) -> None:
        self.counts = endpoints
        self.form = PayloadForm()

    def endpoints(self, tenant_id: str) -> list[Endpoint]:
        return [
            Endpoint(tenant_id, f"e{number}", "http://x/", (), "main", is_disabled=False, form=self.form)
            for number in range(self.counts[tenant_id])
        ]


def listening(sender: Any, companies: Any) -> ByCompany:
    return ByCompany(Matcher(sender, companies, Clock()))


def turn_of(bus: MemoryBus, *names: str, call_id: str = "c") -> Turn:
    """Return a turn of events `<tenant>-<number>`."""
    begin = len(bus.records(CALLS))
    for name in names:
        tenant_id = name.partition("-")[0]
        event = Event(event_id=name, tenant_id=tenant_id, call_id=call_id)
        event.call_ended.wait_ms = 1
        bus.producer().send(CALLS, tenant_id, event.SerializeToString(), timestamp_ms=0)
    return Turn(tuple(map(heard, bus.records(CALLS)[begin:])), {})


def made(bus: MemoryBus) -> list[str]:
    """Return the ids of the deliveries that were made, in their order."""
    return [Delivery.FromString(record.value).delivery_id for record in bus.records(DELIVERIES)]


def test_what_is_made_is_sent_in_pieces_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "SLICE_SECONDS", 60.0)
    bus, companies = MemoryBus(partitions=1), Companies(acme=50)
    companies.form = PayloadForm(template='{"a": "' + "{{data.call_id}}" * 100 + '"}')
    sender = Pieces(bus)
    one = listening(sender, companies)
    one.bring(turn_of(bus, *(f"acme-{number}" for number in range(4)), call_id="c" * 1_000))
    one.take(Flag())
    assert sum(sender.sizes) > 4 * matcher.MOST_BYTES
    assert max(sender.sizes) < matcher.MOST_BYTES + 200_000
    assert sorted(made(bus)) == sorted(f"acme-{number}.e{endpoint}" for number in range(4) for endpoint in range(50))


def test_others_have_their_turn_while_deliveries_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "SLICE_SECONDS", 0.0)
    bus, seen = MemoryBus(partitions=1), list[int]()
    one = listening(bus.producer(), Companies(acme=5))
    one.bring(turn_of(bus, *(f"acme-{number}" for number in range(5))))
    taking = gevent.spawn(one.take, Flag())

    def look() -> None:
        while not taking.ready():
            seen.append(1)
            gevent.sleep(0)

    gevent.spawn(look)
    taking.join()
    assert taking.successful()
    assert len(seen) >= 25, "somebody else has run between any two deliveries"


def test_events_that_nobody_wants_take_the_time_of_nobody_else_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "SLICE_SECONDS", 0.0)
    bus = MemoryBus(partitions=1)
    one = listening(bus.producer(), Companies(acme=0, beta=1))
    one.bring(turn_of(bus, *(f"acme-{number}" for number in range(20))))
    taking = gevent.spawn(one.take, Flag())
    gevent.sleep(0)
    assert 0 < one.behind <= 20
    assert not taking.ready()
    one.bring(turn_of(bus, "beta-0"))
    taking.join()
    assert (made(bus), one.behind) == (["beta-0.e0"], 0)


def test_an_event_that_comes_while_another_companys_are_made_comes_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matcher, "SLICE_SECONDS", 0.0)
    bus = MemoryBus(partitions=1)
    one = listening(bus.producer(), Companies(costly=9, light=1))
    one.bring(turn_of(bus, *(f"costly-{number}" for number in range(20))))
    taking = gevent.spawn(one.take, Flag())
    came_at = list[int]()
    for number in range(3):
        while len(made(bus)) < 30 * (number + 1):
            gevent.sleep(0)
        came_at.append(len(made(bus)))
        one.bring(turn_of(bus, f"light-{number}"))
    taking.join()
    ids = made(bus)
    for number, at in enumerate(came_at):
        assert ids.index(f"light-{number}.e0") <= at + 2, "behind what was being made, and nothing else"
    for endpoint in range(9):
        events = [f"costly-{number}.e{endpoint}" for number in range(20)]
        assert [each for each in ids if each in events] == events, "each company's events keep their order"
    assert one.done == {(CALLS, 0): 23}


@given(st.lists(st.sampled_from(["", "", "lost", "late", "refused"]), max_size=12), st.integers(1, 3))
def test_no_offset_counts_before_all_that_was_made_of_it_is_acknowledged(faults: list[str], endpoints: int) -> None:
    patched = pytest.MonkeyPatch()
    patched.setattr(matcher, "SLICE_SECONDS", 0.0)
    patched.setattr(by_company, "PAUSE_SECONDS", 0.0)
    bus = MemoryBus(partitions=1)
    sender = Unsure(bus, iter(faults))
    one = listening(sender, Companies(acme=endpoints, beta=endpoints))
    names = ["acme-0", "beta-0", "acme-1", "acme-2", "beta-1"]
    one.bring(turn_of(bus, *names))
    try:
        while one.behind:
            one.take(Flag())
            for name in names[: one.done.get((CALLS, 0), 0)]:
                assert {f"{name}.e{endpoint}" for endpoint in range(endpoints)} <= sender.acknowledged
    finally:
        patched.undo()
    assert one.done == {(CALLS, 0): 5}
    last = list(dict.fromkeys(reversed(made(bus))))[::-1]
    for tenant_id in ("acme", "beta"):
        for endpoint in range(endpoints):
            wanted = [f"{name}.e{endpoint}" for name in names if name.startswith(tenant_id)]
            assert [each for each in last if each in wanted] == wanted


def test_what_is_no_event_is_buried_before_its_offset_counts() -> None:
    bus = MemoryBus(partitions=1)
    one = listening(bus.producer(), Companies(acme=1))
    bus.producer().send(CALLS, "acme", b"\xff\xff", timestamp_ms=0)
    one.bring(Turn(tuple(map(heard, bus.records(CALLS))), {}))
    one.bring(turn_of(bus, "acme-1"))
    one.take(Flag())
    assert [record.headers["place"] for record in bus.records(DEAD_LETTERS)] == ["0:0"]
    assert (made(bus), one.done) == (["acme-1.e0"], {(CALLS, 0): 2})


def test_what_was_shared_out_anew_is_made_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "SLICE_SECONDS", 0.0)
    bus = MemoryBus(partitions=1)
    one = listening(bus.producer(), Companies(acme=3))
    one.bring(turn_of(bus, *(f"acme-{number}" for number in range(9))))
    taking = gevent.spawn(one.take, Flag())
    while len(made(bus)) < 4:
        gevent.sleep(0)
    one.forget(1)
    one.bring(turn_of(bus, "acme-9"))
    taking.join()
    assert [each for each in made(bus) if each.startswith("acme-9")] == [f"acme-9.e{number}" for number in range(3)]
    assert len(made(bus)) <= 4 + 1 + 3
    assert one.done == {(CALLS, 0): 10}, "the new owner begins where it was brought"
