"""Kafka was set up anew: offsets begin at 0 again, and nothing of the new log passes for counted already (ADR 56)."""

from collections.abc import Iterator

import pytest

from services.shared.bus.topics import CALLS, INPUTS
from services.shared.person import PersonSeal
from services.shared.testing.memory_bus import MemoryBus
from services.stats import logs
from services.stats import rebuild as rebuilding
from services.stats.adapters.columns import Columns, Running
from services.stats.domain.reports.sql import Statement
from services.stats.rebuild import Target, rebuild
from tests.unit.stats.events import TENANT, answered_call, columns_here
from tests.unit.stats.test_following import NOW_MS, Service, Store, publish, until

FORMER, LATTER = "0a7e", "f3c1"
FEW, MANY = 2, 9


class World:
    """A store and report tables that outlive the broker."""

    def __init__(self) -> None:
        self.store = Store()
        self.columns: Columns = columns_here()
        self.bus = MemoryBus()
        self.lives: list[Service] = []
        self.told = 0
        self.set_up_kafka(FORMER)

    def set_up_kafka(self, topic_id: str) -> None:
        """Let there be a broker without a record, in the place of the former one."""
        self.bus.logs.clear()
        self.bus.offsets.clear()
        self.bus.topic_ids = {CALLS: topic_id, INPUTS: topic_id}

    def start(self) -> Service:
        service = Service(self.bus, self.store, columns=self.columns)
        self.lives.append(service)
        return service

    def tell(self, calls: int) -> None:
        """Tell of calls, five events each."""
        for _ in range(calls):
            self.told += 1
            publish(self.bus, answered_call(f"c{self.told}", NOW_MS - 600_000 + 1_000 * self.told, 3_000, 9_000))

    def reported(self, service: Service) -> int:
        """Return how many calls the report tables have once they have followed."""
        assert service.parts.mirror.update(TENANT, 60.0)
        ((count,),) = self.columns.fetch(TENANT, Statement("select count(*) from calls", {}, []), Running())
        return int(count)

    def is_written(self) -> bool:
        return sum(bool(call.get("ended")) for call in self.store.calls.values()) == self.told


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    for service in made.lives:
        service.kill()
    made.columns.close()


@pytest.mark.parametrize("calls", [FEW, MANY])
def test_calls_of_the_new_log_are_in_reports_and_in_the_numbers_of_the_day(world: World, calls: int) -> None:
    """Fewer than were told before, and more: then the snapshot's offset stands in the middle of them."""
    first = world.start()
    world.tell(4)
    until(world.is_written)
    assert world.reported(first) == 4
    first.stop()
    world.set_up_kafka(LATTER)
    world.tell(calls)
    second = world.start()
    until(world.is_written)
    assert world.reported(second) == 4 + calls
    assert second.started() == calls
    second.stop()
    third = world.start()
    world.tell(1)
    until(world.is_written)
    assert (world.reported(third), third.started()) == (5 + calls, calls + 1)


@pytest.mark.parametrize("calls", [FEW, MANY])
def test_a_topic_that_is_made_anew_under_a_running_service_is_read_from_its_beginning(
    world: World, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.0)
    service = world.start()
    world.tell(4)
    until(world.is_written)
    world.set_up_kafka(LATTER)
    world.tell(calls)
    until(world.is_written)
    assert world.reported(service) == 4 + calls
    assert service.started() == calls


def test_a_rebuilding_from_the_new_log_keeps_what_only_the_former_one_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "POLL_SECONDS", 0.01)
    first = world.start()
    world.tell(4)
    until(world.is_written)
    first.stop()
    world.set_up_kafka(LATTER)
    world.tell(FEW)
    events, inputs = world.bus.consumer(None, [CALLS]), world.bus.consumer(None, [INPUTS])
    rebuild(Target(world.store, PersonSeal("")), events, inputs, None, lambda _words: None)
    assert world.is_written()
    second = world.start()
    assert world.reported(second) == 4 + FEW
