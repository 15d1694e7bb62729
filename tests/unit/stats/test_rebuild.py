"""The documents are written anew from the log, and nothing is deleted that the log could not bring back."""

import time

import pytest

from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS, INPUTS, partition_of
from services.shared.person import PersonSeal
from services.shared.testing.memory_bus import MemoryBus
from services.stats import rebuild as module
from services.stats.adapters.memory import MemoryStore
from services.stats.rebuild import Target, rebuild
from tests.unit.stats.events import answered_call

DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000 - 3_600_000
ACME, BOREALIS = "acme", "bravo"


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    bus = MemoryBus()
    assert partition_of(ACME, bus.partitions) != partition_of(BOREALIS, bus.partitions)
    return bus


def tell(bus: MemoryBus, tenant_id: str, call_id: str, start_ms: int) -> None:
    for event in answered_call(call_id, start_ms, 3_000, 10_000):
        event.tenant_id = tenant_id
        publish_event(bus.producer(), event)


def run(bus: MemoryBus, store: MemoryStore, tenant_id: str | None = None) -> int:
    events, inputs = bus.consumer(None, [CALLS]), bus.consumer(None, [INPUTS])
    return rebuild(Target(store, PersonSeal("")), events, inputs, tenant_id, lambda _words: None)


def rest_of(bus: MemoryBus, tenant_id: str, left: int) -> None:
    place = (CALLS, partition_of(tenant_id, bus.partitions))
    bus.forget(*place, len(bus.logs[place]) - left)


def test_what_is_in_no_event_goes_and_what_is_comes_back(bus: MemoryBus) -> None:
    store = MemoryStore()
    tell(bus, ACME, "c1", NOW_MS)
    tell(bus, BOREALIS, "c2", NOW_MS)
    assert run(bus, store) == len(bus.records(CALLS))
    before = dict(store.calls)
    store.write({(ACME, "made-up"): {"started": True}}, {})
    run(bus, store)
    assert store.calls == before
    assert set(before) == {(ACME, "c1"), (BOREALIS, "c2")}


def test_one_companys_rebuilding_leaves_the_other_alone(bus: MemoryBus) -> None:
    store = MemoryStore()
    tell(bus, ACME, "c1", NOW_MS)
    tell(bus, BOREALIS, "c2", NOW_MS)
    store.write({(ACME, "old"): {"started": True}, (BOREALIS, "old"): {"started": True}}, {})
    run(bus, store, ACME)
    assert set(store.calls) == {(ACME, "c1"), (BOREALIS, "old")}


def test_what_is_older_than_the_log_is_kept(bus: MemoryBus) -> None:
    store = MemoryStore()
    tell(bus, ACME, "old", NOW_MS - 30 * DAY_MS)
    tell(bus, ACME, "new", NOW_MS)
    run(bus, store)
    rest_of(bus, ACME, len(answered_call("new", NOW_MS, 3_000, 10_000)))
    run(bus, store)
    assert set(store.calls) == {(ACME, "old"), (ACME, "new")}


@pytest.mark.parametrize("tenant_id", [None, BOREALIS])
def test_documents_whose_part_of_the_log_is_gone_are_kept(bus: MemoryBus, tenant_id: str | None) -> None:
    store = MemoryStore()
    tell(bus, ACME, "c1", NOW_MS - 30 * DAY_MS)
    tell(bus, BOREALIS, "c2", NOW_MS)
    run(bus, store)
    rest_of(bus, BOREALIS, 0)
    run(bus, store, tenant_id)
    assert set(store.calls) == {(ACME, "c1"), (BOREALIS, "c2")}
