"""Kafka comes and goes; what was put comes out in order."""

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag

from services.listener.adapters import publisher as publisher_module
from services.listener.adapters.publisher import Publisher
from services.listener.adapters.spool import Spool
from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import Outgoing
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired


class FakeReceipt:
    def __init__(self, broker: "FakeBroker") -> None:
        self._broker = broker
        self._is_in = broker.is_up

    @property
    def acknowledged(self) -> bool:
        return self._is_in

    @property
    def failed(self) -> bool:
        return False

    def wait(self, timeout_seconds: float) -> None:
        if not self._is_in:
            raise NotDelivered("no answer")


class FakeBroker:
    """Takes records while it is up; while it is down, a producer takes them and nothing ever comes of it."""

    def __init__(self) -> None:
        self.is_up = True
        self.log: list[str] = []
        self.times: list[int] = []

    def producer(self) -> Any:
        if not self.is_up:
            raise BusUnavailable("no broker answers")
        return self

    def consumer(self, group: str | None, topics: list[str]) -> Any:
        raise BusUnavailable("not here")

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> Any:
        raise NotImplementedError("the publisher sends batches")

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> FakeReceipt:
        if self.is_up:
            self.log += [Input.FromString(value).timer.timer_id for _, value, _, _ in records]
            self.times += [timestamp_ms for _, _, timestamp_ms, _ in records]
        return FakeReceipt(self)

    def flush(self, timeout_seconds: float) -> None:
        pass

    def close(self, patience_seconds: float = 0.0) -> None:
        pass


class Life:
    def __init__(self, broker: FakeBroker, folder: Path, max_bytes: int = 10**7, clock: Clock | None = None) -> None:
        self.stopping = Flag()
        self.publisher = Publisher(broker, Spool(folder, max_bytes), clock or Clock(), self.stopping)
        self.greenlets = [gevent.spawn(self.publisher.keep_connected), gevent.spawn(self.publisher.run)]

    def put(self, *names: str) -> None:
        for name in names:
            self.publisher.put(Input(tenant_id="acme", timer=TimerFired(timer_id=name)))

    def settled(self, token: int) -> None:
        with gevent.Timeout(60):
            while self.publisher.settled < token:
                gevent.sleep(0.002)

    def stop(self) -> None:
        self.stopping.set()
        gevent.joinall(self.greenlets, timeout=5)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(publisher_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(publisher_module, "LAST_SECONDS", 0.1)


def names(start: int, stop: int) -> list[str]:
    return [str(number) for number in range(start, stop)]


def test_an_outage_in_the_middle_changes_no_order(tmp_path: Path) -> None:
    broker = FakeBroker()
    life = Life(broker, tmp_path)
    life.put(*names(0, 50))
    life.settled(50)
    broker.is_up = False
    life.put(*names(50, 1200))
    life.settled(1200)  # on disk
    assert broker.log == names(0, 50)
    broker.is_up = True
    life.put(*names(1200, 1300))
    with gevent.Timeout(60):
        while len(broker.log) < 1300:
            gevent.sleep(0.002)
    life.stop()
    assert broker.log == names(0, 1300)


def test_what_was_spooled_is_told_by_the_next_life_first(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.is_up = False
    life = Life(broker, tmp_path)
    life.put(*names(0, 20))
    life.settled(20)
    life.stop()
    broker.is_up = True
    life = Life(broker, tmp_path)
    life.put(*names(20, 30))
    with gevent.Timeout(60):
        while len(broker.log) < 30:
            gevent.sleep(0.002)
    life.stop()
    assert broker.log == names(0, 30)


def test_a_stop_while_the_broker_hangs_keeps_what_was_not_acknowledged(tmp_path: Path) -> None:
    broker = FakeBroker()
    life = Life(broker, tmp_path)
    life.put("0")
    life.settled(1)
    broker.is_up = False
    life.put("1", "2")
    life.stop()
    spool = Spool(tmp_path, 10**7)
    assert [Input.FromString(each.value).timer.timer_id for each in spool.read(10)] == ["1", "2"]
    spool.close()


def test_a_full_spool_takes_no_more_and_says_so(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.is_up = False
    life = Life(broker, tmp_path, max_bytes=2 * 1024 * 1024 + 500)
    assert life.publisher.has_room
    life.put(*names(0, 40))
    life.settled(40)
    assert not life.publisher.has_room
    assert "full" in life.publisher.trouble
    broker.is_up = True
    with gevent.Timeout(60):
        while len(broker.log) < 40 or life.publisher.trouble:
            gevent.sleep(0.002)
    assert life.publisher.has_room
    life.stop()


def test_a_tenants_log_never_steps_back_in_time(tmp_path: Path) -> None:
    walls = iter([100.0, 99.0, 101.0])
    broker = FakeBroker()
    life = Life(broker, tmp_path, clock=Clock(wall=lambda: next(walls, 101.0)))
    life.put("a", "b", "c")
    life.settled(3)
    life.stop()
    assert broker.times == [100_000, 100_000, 101_000]


def test_a_disk_that_fills_up_while_the_spool_drains_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = FakeBroker()
    broker.is_up = False
    life = Life(broker, tmp_path)
    life.put(*names(0, 30))
    life.settled(30)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        broker.is_up = True
        with gevent.Timeout(60):
            while len(broker.log) < 30 or life.publisher.trouble:
                gevent.sleep(0.002)
        life.put(*names(30, 40))
        life.settled(40)
    assert life.publisher.has_room
    assert broker.log == names(0, 40)
    assert not any(greenlet.dead for greenlet in life.greenlets)
    life.stop()


class TrailingReceipt(FakeReceipt):
    """Acknowledged only when it is waited for, which takes three seconds of the test's clock."""

    acknowledged = False

    def wait(self, timeout_seconds: float) -> None:
        TrailingReceipt.now += min(timeout_seconds, 3.0)

    now = 100.0


def test_what_is_sent_behind_a_spool_that_was_long_to_drain_has_its_own_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a good producer is thrown away at the end of each long outage, and what it has taken is told twice."""
    monkeypatch.setattr(publisher_module, "STALL_SECONDS", 5.0)
    monkeypatch.setattr(publisher_module, "monotonic", lambda: TrailingReceipt.now)
    broker = FakeBroker()
    monkeypatch.setattr(broker, "send_many", lambda _topic, _records: TrailingReceipt(broker))
    publisher = Publisher(broker, Spool(tmp_path, 10**7), Clock(), Flag())
    publisher.put_all([Input(tenant_id="acme", timer=TimerFired(timer_id=name)) for name in names(0, 1200)])
    publisher._spool_all()
    publisher._producer = producer = broker.producer()
    for _ in range(3):
        publisher._drain(producer)
    publisher.put(Input(tenant_id="acme"))
    publisher._send_some(producer)
    publisher._reap()
    assert publisher._spool.is_empty
    assert publisher._producer is producer
    TrailingReceipt.now += 5.1
    publisher._reap()
    assert publisher._producer is None
