"""From the log into the board and the store: kills, a store that is away, partitions that come and go."""

import zlib
from collections.abc import Iterator
from typing import Any

import gevent
import orjson
import pytest
from gevent.event import Event as Flag

from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.memory_bus import MemoryBus
from services.stats.adapters.columns import Columns
from services.stats.adapters.memory import MemoryStore
from services.stats.bootstrap import Parts, build
from services.stats.domain.board import Board
from services.stats.domain.snapshot import to_document
from services.stats.following import profiles
from services.stats.store import CallFields, FactFields, StoreUnavailable, TenantSnapshot
from tests.unit.stats.events import TENANT, abandoned_call, answered_call, columns_here

NOW_MS = 1_795_435_200_000
DEADLINE_SECONDS = 60.0


class Store(MemoryStore):
    """A store that can be away."""

    is_away = False

    def write(self, calls: CallFields, facts: FactFields | None = None) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        super().write(calls, facts)


class Service:
    """One life of the process; `kill` ends it without a last word."""

    def __init__(
        self, bus: MemoryBus, store: Store, snapshot_seconds: float = 3600.0, columns: Columns | None = None
    ) -> None:
        clock = Clock(wall=lambda: NOW_MS / 1000)
        self.parts: Parts = build(store, clock, snapshot_seconds, columns or columns_here(), 0.0)
        self.stopping = Flag()
        events = self.parts.events
        reader = bus.consumer("stats", [CALLS], on_assigned=lambda places: events.assigned(list(places)))
        known = profiles(lambda: bus.consumer(None, [TENANTS]), self.parts.board, self.parts.feed.notify)
        self._greenlets = [
            gevent.spawn(self.parts.writer.run, self.stopping),
            gevent.spawn(known.run, self.stopping),
            gevent.spawn(events.run, self.stopping, reader, known.current),
        ]

    def kill(self) -> None:
        gevent.killall(self._greenlets)

    def stop(self) -> None:
        self.stopping.set()
        gevent.joinall(self._greenlets, timeout=DEADLINE_SECONDS, raise_error=True)

    def view(self) -> dict[str, Any]:
        return self.parts.board.view(TENANT, NOW_MS)

    def started(self) -> int:
        return int(self.view()["today"]["calls"]["started"])


def until(condition: Any) -> None:
    with gevent.Timeout(DEADLINE_SECONDS):
        while not condition():
            gevent.sleep(0.005)


def publish(bus: MemoryBus, events: list[ev.Event]) -> None:
    for event in events:
        publish_event(bus.producer(), event)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def lives() -> Iterator[list[Service]]:
    found: list[Service] = []
    yield found
    for service in found:
        service.kill()


CALLS_OF_TODAY = [
    *answered_call("a", NOW_MS - 300_000, 4_000, 60_000),
    *abandoned_call("b", NOW_MS - 200_000, 9_000),
    *answered_call("c", NOW_MS - 60_000, 30_000, 20_000),
]


def test_events_become_numbers_and_documents(bus: MemoryBus, store: Store, lives: list[Service]) -> None:
    service = Service(bus, store)
    lives.append(service)
    publish(bus, CALLS_OF_TODAY)
    until(lambda: service.started() == 3 and len(store.calls) == 3)
    assert service.view()["today"]["calls"]["by_exit"] == {"answered": 2, "abandoned": 1}
    assert store.calls[TENANT, "b"]["exit"] == "abandoned"
    assert store.calls[TENANT, "a"]["answered_by"] == "olena"


@pytest.mark.parametrize("cut", range(len(CALLS_OF_TODAY) + 1))
def test_a_kill_at_any_event_ends_in_the_same_numbers_and_documents(
    bus: MemoryBus, store: Store, lives: list[Service], cut: int
) -> None:
    unbroken = Board()
    for event in CALLS_OF_TODAY:
        unbroken.fold(event, NOW_MS)
    first = Service(bus, store, snapshot_seconds=0.0)
    lives.append(first)
    publish(bus, CALLS_OF_TODAY[:cut])
    until(lambda: first.parts.events.is_current and first.parts.board.version(TENANT) >= cut)
    first.kill()
    publish(bus, CALLS_OF_TODAY[max(0, cut - 2) :])  # the router told its last two once more
    second = Service(bus, store)
    lives.append(second)
    until(lambda: second.parts.events.is_current and len(store.calls) == 3)
    until(lambda: store.calls[TENANT, "c"].get("ended"))
    assert second.view() == unbroken.view(TENANT, NOW_MS)


def test_an_orderly_stop_keeps_a_snapshot_and_the_next_life_folds_nothing_twice(
    bus: MemoryBus, store: Store, lives: list[Service]
) -> None:
    first = Service(bus, store)
    lives.append(first)
    publish(bus, CALLS_OF_TODAY)
    until(lambda: first.started() == 3)
    first.stop()
    assert sum(len(store.load(number).tenants) for number in range(bus.partitions)) == 1
    second = Service(bus, store)
    lives.append(second)
    until(lambda: second.parts.events.is_current)
    assert second.view() == first.view()


def test_without_snapshots_the_whole_log_is_read_again(bus: MemoryBus, store: Store, lives: list[Service]) -> None:
    first = Service(bus, store)
    lives.append(first)
    publish(bus, CALLS_OF_TODAY)
    until(lambda: len(store.calls) == 3)
    first.kill()
    fresh = Store()
    second = Service(bus, fresh)
    lives.append(second)
    until(lambda: second.started() == 3 and len(fresh.calls) == 3)
    assert fresh.calls == store.calls


def test_live_numbers_go_on_while_the_store_is_away_and_nothing_is_missing_after_it(
    bus: MemoryBus, store: Store, lives: list[Service]
) -> None:
    store.is_away = True
    service = Service(bus, store)
    lives.append(service)
    publish(bus, CALLS_OF_TODAY)
    until(lambda: service.started() == 3)
    assert store.calls == {}
    store.is_away = False
    until(lambda: len(store.calls) == 3)


def test_a_snapshot_of_another_log_is_left_aside(bus: MemoryBus, store: Store, lives: list[Service]) -> None:
    for number in range(bus.partitions):
        store.save(number, 1_000_000, [])
    service = Service(bus, store)
    lives.append(service)
    publish(bus, CALLS_OF_TODAY)
    until(lambda: service.started() == 3)


def test_a_record_that_is_no_event_stops_nothing(bus: MemoryBus, store: Store, lives: list[Service]) -> None:
    bus.producer().send(CALLS, TENANT, b"\xff\xff", timestamp_ms=NOW_MS)
    bus.producer().send(TENANTS, TENANT, b"\xff\xff", timestamp_ms=NOW_MS)
    service = Service(bus, store)
    lives.append(service)
    publish(bus, CALLS_OF_TODAY)
    until(lambda: service.started() == 3)


def test_a_document_names_the_tenant_and_its_deletion_takes_the_name(
    bus: MemoryBus, store: Store, lives: list[Service]
) -> None:
    service = Service(bus, store)
    lives.append(service)
    board = service.parts.board
    document = TenantDocument(tenant_id=TENANT, name="Acme Goods")
    bus.producer().send(TENANTS, TENANT, document.SerializeToString(), timestamp_ms=NOW_MS)
    until(lambda: board.name_of(TENANT) == "Acme Goods")
    bus.producer().send(TENANTS, TENANT, b"", timestamp_ms=NOW_MS)
    until(lambda: board.name_of(TENANT) == TENANT)


def test_a_partition_that_another_process_has_now_is_no_longer_shown(
    bus: MemoryBus, store: Store, lives: list[Service]
) -> None:
    service = Service(bus, store)
    lives.append(service)
    publish(bus, CALLS_OF_TODAY)
    until(lambda: service.started() == 3)
    service.parts.events.revoked([(CALLS, number) for number in range(bus.partitions)])
    assert service.started() == 0
    assert not service.parts.events.is_current


def test_what_a_tenants_snapshot_holds_is_not_folded_again(bus: MemoryBus, store: Store, lives: list[Service]) -> None:
    old = answered_call("old", NOW_MS - 3_600_000, 5_000, 60_000)
    publish(bus, [*old, *CALLS_OF_TODAY])
    ((partition, log),) = [(number, log) for (_, number), log in bus.logs.items() if log]
    kept = Board()
    for event in [*old, *CALLS_OF_TODAY]:
        kept.fold(event, NOW_MS - 120_000)
    kept.live(TENANT).advance(NOW_MS)  # forgets the old call: folded once more it would be late
    data = zlib.compress(orjson.dumps(to_document(kept.live(TENANT))))
    # A kill between the tenant's snapshot and the partition's offset leaves this.
    store.save(partition, 0, [TenantSnapshot(TENANT, len(log), data)])
    service = Service(bus, store)
    lives.append(service)
    until(lambda: service.parts.events.is_current and len(store.calls) == 4)
    assert service.view() == kept.view(TENANT, NOW_MS)
    assert service.view()["completeness"]["is_complete"]
