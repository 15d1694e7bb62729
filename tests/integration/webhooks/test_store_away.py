"""The document store stands still: who needs nothing of it feels nothing, the rest drains in order afterwards."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import gevent
import pytest

from services.shared.bus.topics import CALLS, DELIVERIES, partition_of
from services.shared.chassis.documents import open_database
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import MemoryBus
from services.shared.testing.patience import Patience
from services.webhooks import directory, handing_over
from services.webhooks.adapters.broker import FOLLOWERS, SENDERS
from services.webhooks.adapters.mongo import MongoFailingEndpoints, MongoGoneEndpoints, MongoWaitingRoom
from services.webhooks.adapters.mongo_log import MongoLogStore
from tests.integration.webhooks import misbehaving
from tests.integration.webhooks.conftest import OwnStore
from tests.integration.webhooks.harness import Service, endpoint
from tests.integration.webhooks.misbehaving import Answer, RawReceiver
from tests.integration.webhooks.test_misbehaving_receivers import assert_order_is_kept, events_of

SECONDS = 60.0
"""How long something is waited for, of the time that this process and the store had: a machine that stood still is no
fault of theirs."""
LOOK_SECONDS = 0.25
ANSWER_SECONDS = 1.0
"""How long an operation waits for the store, twice that for its answer: more than a busy machine takes for one."""
LEASE_SECONDS = 10.0
"""Longer than a busy machine's store takes to write an end down: what was sent does not come due again meanwhile."""
SHARE, TOGETHER, QUEUE = 4, 6, 40
"""What is held in memory of one endpoint, of all, and in an endpoint's queue: less than in earnest, to be quick."""
NUMBER_OF_CALLS, PIECE = 30, 8
"""Never more at once than the shortest queue holds (`SMALLEST_QUEUE`): what overflows waits in the store."""
CALL = ("call.*",)
"""What endpoints want: whether one failed five times in a row, and so was told of to the others, is chance."""
WORKERS = 8
"""Tries of one endpoint at the same time."""


@pytest.fixture
def store(own_store: OwnStore) -> Iterator[OwnStore]:
    yield own_store
    own_store.go_on()


@pytest.fixture
def database(service: Service, store: OwnStore) -> Iterator[Any]:
    """Give the service a room, a log and a memory of failures in the store."""
    database = open_database(f"{store.uri}/away_{uuid4().hex[:8]}?directConnection=true", "test", ANSWER_SECONDS)
    room, log = MongoWaitingRoom(database), MongoLogStore(database, 1)
    room.prepare()
    log.prepare()
    service.room, service.log = room, log  # type: ignore[assignment]
    service.gone, service.failing = MongoGoneEndpoints(database), MongoFailingEndpoints(database)  # type: ignore[assignment]
    service.lease_seconds = LEASE_SECONDS
    service.ladder = ",".join(["0", *["0.1"] * 40])
    yield database
    store.go_on()
    service.stop()
    database.client.close()


@pytest.fixture
def receive() -> Iterator[Callable[[Answer], RawReceiver]]:
    receivers: list[RawReceiver] = []

    def make(answer: Answer = misbehaving.good) -> RawReceiver:
        receivers.append(RawReceiver(answer))
        return receivers[-1]

    yield make
    for one in receivers:
        one.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    patience = Patience(SECONDS)
    while not condition():
        assert patience.is_left(None), "the condition did not come true in time"
        until = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < until and not condition():
            gevent.sleep(0.01)


def names_of(events: list[Event], endpoint_id: str) -> set[str]:
    return {f"{event.event_id}.{endpoint_id}" for event in events}


def is_settled(bus: MemoryBus, endpoint_key: str) -> bool:
    """Whether every event was matched, and all of an endpoint's deliveries were sent or handed over."""
    of_endpoint = partition_of(endpoint_key, bus.partitions)
    places = [(FOLLOWERS, CALLS, number) for number in range(bus.partitions)]
    return all(
        bus.offsets.get((group, topic, number), 0) == len(bus.logs[topic, number])
        for group, topic, number in [*places, (SENDERS, DELIVERIES, of_endpoint)]
    )


def test_who_needs_nothing_of_a_store_that_stands_still_feels_nothing_and_the_rest_drains_in_order(
    service: Service, store: OwnStore, database: Any, receive: Callable[..., RawReceiver]
) -> None:
    receivers = {"good": receive(), "order": receive(), "bursts": receive(misbehaving.bursts)}
    late = receive()
    service.tenant(
        "acme", *(endpoint(one.url, name, CALL, keep_call_order=name == "order") for name, one in receivers.items())
    )
    service.tenant("beta", endpoint(late.url, events=CALL))
    service.start()
    before, meanwhile = events_of("acme", range(5)), events_of("acme", range(5, 25))
    others = events_of("beta", range(20))
    every = len(before) + len(meanwhile)
    service.publish(*before)
    wait_until(lambda: all(len(one.taken) == len(before) for one in receivers.values()))
    wait_until(lambda: service.room.size() == 0)

    store.stand_still()
    for first in range(0, len(meanwhile), PIECE):
        service.publish(*meanwhile[first : first + PIECE], *others[first : first + PIECE])
        until = min(first + PIECE, len(meanwhile))
        wait_until(lambda until=until: len(receivers["good"].taken) == len(before) + until and len(late.taken) == until)  # type: ignore[misc]  # mypy can't see the default
    assert len(receivers["order"].taken) < every, "who asked for order waits for who knows what waits"
    assert len(receivers["bursts"].taken) < every

    store.go_on()
    wait_until(lambda: all(len(one.taken) == every for one in receivers.values()))
    wait_until(lambda: service.room.size() == 0)
    for name, receiver in receivers.items():
        assert receiver.mistakes == []
        assert receiver.taken == names_of([*before, *meanwhile], name)
    assert_order_is_kept(receivers["order"])
    assert len(receivers["good"].arrivals) == every, "the store's rest sends nothing twice"
    told = 3 * every + len(others)
    wait_until(lambda: database["deliveries"].count_documents({"state": "delivered"}) == told)


@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
def test_a_flood_for_endpoints_that_wait_for_the_store_delays_nobody_and_comes_in_order(
    service: Service,
    store: OwnStore,
    database: Any,
    receive: Callable[..., RawReceiver],
    monkeypatch: pytest.MonkeyPatch,
    *,
    killed: bool,
) -> None:
    del database
    monkeypatch.setattr(handing_over, "MOST_OF_ONE", SHARE)
    monkeypatch.setattr(handing_over, "MOST_GATHERED", TOGETHER)
    monkeypatch.setattr(directory, "CLOSED_SECONDS", 0.1)
    service.queue_limit = QUEUE
    good, ordered = receive(), {f"order{number}": receive() for number in range(2)}
    wishes = [endpoint(one.url, name, CALL, keep_call_order=True) for name, one in ordered.items()]
    service.tenant("acme", endpoint(good.url, "good", CALL), *wishes)
    service.start()
    store.stand_still()
    events = events_of("acme", range(NUMBER_OF_CALLS))
    for first in range(0, len(events), PIECE):
        if killed and first == len(events) // 2 // PIECE * PIECE:
            service.kill()
            service.start()
            # What the kill brings again of it comes at once, and may be more than its queue holds: nothing of that is
            # new, but what is new behind it would wait in the store too.
            wait_until(lambda: is_settled(service.bus, "acme.good"))
        service.publish(*events[first : first + PIECE])
        wait_until(lambda until=first + PIECE: len(good.taken) == until)  # type: ignore[misc]  # mypy can't see the default
    assert service.webhooks is not None
    offsets, left = service.webhooks._left.offsets, service.webhooks._left
    # In memory is what the queues and the gathering hold, whatever has come; the rest is in the log alone.
    held = WORKERS + QUEUE + SHARE + 1
    assert held < len(events) / 2
    wait_until(lambda: left.count() == len(ordered) and offsets.unfinished() <= len(ordered) * held)
    assert not any(one.taken for one in ordered.values())

    store.go_on()
    wait_until(lambda: all(len(one.taken) == len(events) for one in ordered.values()))
    wait_until(lambda: left.count() == 0 and service.room.size() == 0 and offsets.unfinished() == 0)
    for name, one in ordered.items():
        assert one.taken == names_of(events, name)
        assert_order_is_kept(one)
        assert one.mistakes == []
    assert killed or len(good.arrivals) == len(events)
    assert killed or all(len(one.arrivals) == len(events) for one in ordered.values())
