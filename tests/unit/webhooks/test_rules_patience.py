"""One tenant's rules hold up the others' no longer than they have to."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, partition_of
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import PARTITIONS, MemoryBus
from services.webhooks import rule_runner
from services.webhooks.domain.rules.rule import TenantRules, rules_of
from services.webhooks.hearing import Place, Turn, heard
from services.webhooks.history import History
from services.webhooks.rule_runner import RuleRunner

NOW_MS = 1_700_000_000_000


class Book:
    """A directory of rules alone."""

    def __init__(self) -> None:
        self._rules: dict[str, TenantRules] = {}

    def apply(self, tenant_id: str, count: int) -> None:
        window = tn.RuleWindow(count=count, seconds=600, per=tn.RULE_KEY_CALLER)
        rule = tn.Rule(rule_id="again", events=["call.started"], window=window)
        self._rules[tenant_id] = rules_of(tn.TenantDocument(tenant_id=tenant_id, rules=[rule]))

    def rules(self, tenant_id: str) -> TenantRules:
        return self._rules.get(tenant_id) or TenantRules(tenant_id)

    def all_rules(self) -> list[TenantRules]:
        return list(self._rules.values())


class Counted(History):
    """Notes which partitions were read again."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(lambda: bus.consumer(None, [CALLS]))
        self.read: list[Place] = []

    def before(self, place: Place, until: int, reach_ms: int) -> Iterator[Record]:
        self.read.append(place)
        return super().before(place, until, reach_ms)


class World:
    def __init__(self) -> None:
        self.bus, self.book, self.number = MemoryBus(), Book(), 0
        self.history = Counted(self.bus)
        directory: Any = self.book
        clock = Clock(wall=lambda: NOW_MS / 1000)
        self.runner = RuleRunner(self.bus.producer(), directory, self.history, clock)

    def event(self, tenant_id: str) -> None:
        """Let a call begin, and the rules hear of it."""
        self.number += 1
        event = Event(event_id=f"e{self.number}", tenant_id=tenant_id, call_id=f"c{self.number}")
        event.time.FromMilliseconds(NOW_MS + self.number)
        event.call_started.caller.number = f"+38067123{self.number:04}"
        self.bus.producer().send(CALLS, tenant_id, event.SerializeToString(), timestamp_ms=NOW_MS + self.number)
        place = (CALLS, partition_of(tenant_id, PARTITIONS))
        new = heard(self.bus.logs[place][-1])
        owned = {(CALLS, number): 0 for number in range(PARTITIONS)}
        self.runner.take(Turn((new,), owned, partitions=PARTITIONS))

    def rules_in_force(self, tenant_id: str) -> TenantRules:
        place = (CALLS, partition_of(tenant_id, PARTITIONS))
        return self.runner._places[place].watches[tenant_id].rules


def test_windows_are_counted_from_a_tenants_own_partition_alone() -> None:
    world = World()
    for tenant_id in ("acme", "beta"):
        world.book.apply(tenant_id, 3)
    world.event("acme")
    own = {(CALLS, partition_of(tenant_id, PARTITIONS)) for tenant_id in ("acme", "beta")}
    assert set(world.history.read) == own
    assert len(own) < PARTITIONS


def test_who_changes_rules_again_and_again_is_counted_anew_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_runner, "COSTLY_SECONDS", 0.0)
    monkeypatch.setattr(rule_runner, "PATIENCE", 1e9)
    world = World()
    for tenant_id in ("acme", "beta"):
        world.book.apply(tenant_id, 3)
    world.event("acme")
    world.book.apply("acme", 4)
    world.event("acme")
    first, reads = world.book.rules("acme"), len(world.history.read)
    assert world.rules_in_force("acme") is first
    for count in range(5, 30):
        world.book.apply("acme", count)
        world.event("acme")
    assert len(world.history.read) == reads
    assert world.rules_in_force("acme") is first
    world.book.apply("beta", 4)
    world.event("beta")
    assert world.rules_in_force("beta") is world.book.rules("beta"), "others do not wait for it"
    world.runner._patient_until.clear()
    world.event("acme")
    assert world.rules_in_force("acme") is world.book.rules("acme")


def test_rules_that_are_all_taken_out_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_runner, "COSTLY_SECONDS", 0.0)
    monkeypatch.setattr(rule_runner, "PATIENCE", 1e9)
    world = World()
    world.book.apply("acme", 3)
    world.event("acme")
    world.book.apply("acme", 4)
    world.event("acme")
    world.book._rules.clear()
    world.event("acme")
    place = (CALLS, partition_of("acme", PARTITIONS))
    assert "acme" not in world.runner._places[place].watches
