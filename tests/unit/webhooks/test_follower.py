"""One reader for many parts: each hears everything in order, and no offset runs ahead of the slowest."""

from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import CALLS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import CallEnded, Event
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks import by_company, follower, listening
from services.webhooks.by_company import Backlog, ByCompany
from services.webhooks.domain.payload import EVERYTHING, PayloadForm
from services.webhooks.follower import Follower
from services.webhooks.hearing import Turn, heard
from services.webhooks.listening import InTurns, in_turns

GROUP = "webhooks"
TENANTS = ("acme", "beta", "acme")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "POLL_SECONDS", 0.0)
    for each in (follower, listening, by_company):
        monkeypatch.setattr(each, "PAUSE_SECONDS", 0.0)


class Everybody:
    """A directory that knows every tenant."""

    def catch_up(self, _seconds: float) -> bool:
        return True

    def knows(self, _tenant_id: str) -> bool:
        return True


class Notes:
    """A part whose effects outlive it."""

    def __init__(self, name: str, written: list[str]) -> None:
        self.name = name
        self.written = written
        self.refuses = 0

    def take(self, turn: Turn) -> None:
        for one in turn.heard:
            if self.refuses:
                self.refuses -= 1
                raise BusUnavailable("not now")
            assert one.event is not None
            self.written.append(one.event.event_id)


class NotesByCompany(Notes):
    """The same, of whom the last company that something came for has its turn first."""

    def take(self, backlog: Backlog, stopping: Flag) -> None:  # type: ignore[override]  # another kind of part
        del stopping
        for company in reversed(backlog.companies.values()):
            company.put_back()
        for company in [one for one in reversed(backlog.companies.values()) if one.waiting]:
            while company.waiting:
                super().take(Turn((company.begin()[0],), {}))
                backlog.finish(company)

    def finish(self) -> None:
        """Have nothing under way."""


class World:
    """A log, and one process after another that follows it."""

    def __init__(self, parts: int = 2, *, by_company: bool = False) -> None:
        self.bus = MemoryBus(partitions=1)
        self.effects: list[list[str]] = [[] for _ in range(parts)]
        self.sent = 0
        self.has_one_by_company = by_company
        self.start()

    def start(self) -> None:
        self.parts = [Notes(f"part {number}", effects) for number, effects in enumerate(self.effects)]
        self.listening: list[Any] = list(in_turns(self.parts))
        if self.has_one_by_company:
            self.parts[-1] = by_company = NotesByCompany("by company", self.effects[-1])
            self.listening[-1] = ByCompany(by_company)
        directory: Any = Everybody()
        self.follower = Follower(directory, Clock(), self.listening)
        self.reader = self.bus.consumer(GROUP, [CALLS])

    def publish(self, count: int = 3) -> None:
        for _ in range(count):
            tenant_id = TENANTS[self.sent % len(TENANTS)]
            event = Event(event_id=f"e{self.sent}", tenant_id=tenant_id, call_id="c")
            event.call_ended.wait_ms = 1
            self.bus.producer().send(CALLS, tenant_id, event.SerializeToString(), timestamp_ms=self.sent)
            self.sent += 1

    def ids(self, *tenant_ids: str) -> list[str]:
        """Return the events of some companies, or of all."""
        of_number = [(f"e{number}", TENANTS[number % len(TENANTS)]) for number in range(self.sent)]
        return [event_id for event_id, tenant_id in of_number if tenant_id in (tenant_ids or TENANTS)]

    def hear(self) -> None:
        self.follower.hear(self.reader, Flag())

    def take(self, number: int) -> None:
        """Let a part take one turn, if it has one."""
        listening = self.listening[number]
        if isinstance(listening, ByCompany):
            listening.take(Flag())
        elif isinstance(listening, InTurns) and not listening.turns.empty():
            listening.take(listening.next(), Flag())

    def refuse(self, number: int) -> None:
        """Let a part's next effect fail once."""
        self.parts[number].refuses = 1

    def commit(self) -> None:
        self.follower.commit()

    def revoke(self) -> None:
        """Lose the partition, and get it back."""
        self.follower.revoked([(CALLS, 0)])
        self.reader.seek(CALLS, 0, self.committed())

    def committed(self) -> int:
        return self.bus.offsets.get((GROUP, CALLS, 0), 0)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["publish", "hear", "take 0", "take 1", "refuse 0", "refuse 1", "commit", "start", "revoke"])
    )
)
def test_each_part_has_every_event_and_nothing_is_committed_before(steps: list[str]) -> None:
    world = World(by_company=True)
    for step in steps:
        what, _, which = step.partition(" ")
        getattr(world, what)(*map(int, which.split()))
        wanted = [f"e{number}" for number in range(world.committed())]
        for effects in world.effects:
            assert set(wanted) <= set(effects)
    world.start()
    world.hear()
    for number in (0, 1):
        world.take(number)
    assert list(dict.fromkeys(world.effects[0])) == world.ids()
    for tenant_id in ("acme", "beta"):
        wanted = world.ids(tenant_id)
        assert [one for one in dict.fromkeys(world.effects[1]) if one in wanted] == wanted, "each company's in order"


def test_a_part_that_waits_for_the_broker_holds_nobody_up() -> None:
    world = World()
    world.publish(500)
    for _ in range(5):
        world.hear()
        world.take(0)
    assert len(world.effects[0]) == 500
    world.follower.commit()
    assert world.committed() == 0, "the other one has had none of it yet"


def test_a_part_that_stands_still_is_waited_for_by_what_it_has_to_hear_and_not_by_how_often_something_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower, "MOST_BEHIND", 300)
    world = World()
    for _ in range(300):
        world.publish(1)
        world.hear()
        world.take(0)
    assert len(world.effects[0]) == 300
    world.publish(1)
    hearing = gevent.spawn(world.hear)
    gevent.idle()
    assert not hearing.ready(), "the one that stands still holds three hundred already"
    world.take(1)
    hearing.join(10)
    assert hearing.successful()


def test_what_a_part_waits_with_holds_no_large_payloads() -> None:
    world = World()
    event = Event(event_id="e", tenant_id="acme", call_id="c" * 10_000)
    event.call_ended.wait_ms = 1
    world.bus.producer().send(CALLS, "acme", event.SerializeToString(), timestamp_ms=0)
    world.publish(1)
    large, small = map(heard, world.bus.records(CALLS))
    forms = [PayloadForm(template=f'{{"number": {number}}}') for number in range(50)]
    for one in (large, small):
        written = [one.payload(form) for form in (*forms, EVERYTHING)]
        assert len(set(written)) == 51
        assert sum(map(len, one._payloads.values())) <= 4 * 4_096
        assert len(one._payloads) <= 4


def test_that_nothing_came_is_told_with_its_moment_and_only_to_who_has_nothing_to_do() -> None:
    world = World()
    world.publish(1)
    world.hear()
    world.take(0)
    world.hear()
    idle, busy = world.listening
    assert (idle.turns.qsize(), busy.turns.qsize()) == (1, 1)
    assert idle.next().at_end_ms > 0
    assert busy.next().at_end_ms == 0


def test_a_turn_from_before_the_partitions_were_shared_out_anew_counts_for_nothing() -> None:
    world = World(parts=1)
    world.publish(2)
    world.hear()
    turn = world.listening[0].next()
    world.follower.revoked([(CALLS, 0)])
    world.listening[0].take(turn, Flag())
    world.follower.commit()
    assert world.committed() == 0
    assert world.effects == [[]]


def test_an_event_is_decoded_and_written_once_for_all() -> None:
    world = World()
    world.publish(1)
    one = heard(world.bus.records(CALLS)[0])
    assert one.kind == "call.ended"
    assert one.payload() is one.payload(EVERYTHING)
    assert one.payload(PayloadForm(is_thin=True)) != one.payload()


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("acme", b"\xff\xff", "not an event"),
        ("acme", Event(event_id="e", tenant_id="acme").SerializeToString(), "without a body"),
        (
            "acme",
            Event(event_id="e", tenant_id="beta", call_ended=CallEnded()).SerializeToString(),
            "another tenant's key",
        ),
    ],
)
def test_what_is_no_event_of_its_tenant_says_why(key: str, value: bytes, fault: str) -> None:
    bus = MemoryBus(partitions=1)
    bus.producer().send(CALLS, key, value, timestamp_ms=1)
    one = heard(bus.records(CALLS)[0])
    assert one.event is None
    assert fault in one.fault
