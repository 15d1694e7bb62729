"""The ends of tries are written together, are kept while the store is away, and nobody waits who keeps no order."""

from collections.abc import Collection

import gevent
import pytest
from gevent.event import Event as Flag

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.settling import Settling
from services.webhooks.waiting import End, MemoryWaitingRoom, Settlement, StoreUnavailable, name_of
from tests.integration.webhooks.harness import wait_until


class HeavyRoom(MemoryWaitingRoom):
    """A store whose writes take as long as it is told, and which is away for a time."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        self.may_end = Flag()
        self.is_away = False

    def settle(self, settlements: Collection[Settlement]) -> None:
        self.may_end.wait()
        if self.is_away:
            raise StoreUnavailable("away")
        self.writes.append(len(settlements))
        super().settle(settlements)


def waiting(number: int) -> Delivery:
    return Delivery(delivery_id=f"d{number}", tenant_id="acme", endpoint_id="crm", due_ms=1)


@pytest.fixture
def room() -> HeavyRoom:
    room = HeavyRoom()
    room.put([waiting(number) for number in range(1_000)])
    return room


def test_what_ends_while_the_store_writes_goes_with_the_next_write_and_nobody_waits(room: HeavyRoom) -> None:
    ended = Flag()
    settling = Settling(room, ended)
    writer = gevent.spawn(settling.run)
    settling.add(waiting(0), End.REMOVED)
    gevent.idle()
    for number in range(1, 400):
        settling.add(waiting(number), End.REMOVED)  # returns though the store stands still
    assert name_of(waiting(399)) in settling
    room.may_end.set()
    wait_until(lambda: name_of(waiting(399)) not in settling)
    assert (room.writes, room.size()) == ([1, 399], 600)
    ended.set()
    writer.join(5)


def test_where_an_order_is_kept_the_write_is_waited_for(room: HeavyRoom) -> None:
    ended = Flag()
    settling = Settling(room, ended)
    writer = gevent.spawn(settling.run)
    first = gevent.spawn(settling.written, waiting(0), End.REMOVED)
    gevent.sleep(0.01)
    assert not first.ready()
    room.may_end.set()
    assert first.get(timeout=60) is True
    room.may_end.clear()
    second = gevent.spawn(settling.written, waiting(1), End.PUT_OFF)
    gevent.sleep(0.01)
    ended.set()
    assert second.get(timeout=60) is False
    room.may_end.set()
    writer.join(5)
    assert room.size() == 999


def test_while_the_store_is_away_ends_are_kept_and_the_newest_of_each_is_written(room: HeavyRoom) -> None:
    settling = Settling(room, Flag())
    room.may_end.set()
    room.is_away = True
    settling.add(waiting(0), End.PUT_OFF)
    assert not settling.flush()
    settling.add(waiting(0), End.REMOVED)
    assert name_of(waiting(0)) in settling
    room.is_away = False
    assert settling.flush()
    assert room.size() == 999


def test_the_last_ends_of_a_stop_are_one_write(room: HeavyRoom) -> None:
    ended = Flag()
    settling = Settling(room, ended)
    room.may_end.set()
    for number in range(40):
        settling.add(waiting(number), End.REMOVED)
    ended.set()
    settling.run()
    assert (room.writes, room.size()) == ([40], 960)
