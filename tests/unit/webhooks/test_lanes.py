"""What one endpoint's queue does, by a clock that only the test moves."""

from itertools import pairwise
from typing import Any

import gevent
import pytest

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import lanes
from services.webhooks.domain.endpoint import key_of
from services.webhooks.domain.extra_workers import MOST_LOTS
from services.webhooks.lanes import Job, LanePolicy, Lanes


class Clock:
    """Stands still but for those who wait."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


class World:
    def __init__(self, policy: LanePolicy, tenant_limit: int = 64) -> None:
        self.workers: list[Any] = []
        self.tried: list[str] = []
        connect: Any = Connection
        self.lanes = Lanes(self._spawn, connect, self._try, lambda _: policy, 100, tenant_limit)

    def _spawn(self, _name: str, work: Any) -> None:
        self.workers.append(work)

    def work(self) -> None:
        """Let the workers that were started since do what there is."""
        for work in self.workers:
            gevent.spawn(work)
        self.workers.clear()
        gevent.idle()

    def _try(self, jobs: Any, _connection: Any) -> None:
        self.tried += [job.delivery.delivery_id for job in jobs]

    def offer(self, number: int, call_id: str = "", endpoint_id: str = "crm") -> bool:
        origin: Any = None
        delivery = Delivery(delivery_id=f"{number}", tenant_id="acme", endpoint_id=endpoint_id, call_id=call_id)
        return self.lanes.offer(Job(delivery, origin))


class Connection:
    def close(self) -> None:
        pass


def test_an_endpoints_rate_holds_between_any_two_also_after_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, went = Clock(), list[float]()
    monkeypatch.setattr(lanes, "time", clock)
    monkeypatch.setattr(gevent, "sleep", clock.sleep)
    lane = lanes._Lane(tenant_id="acme", rate_per_second=20)
    for rest in (0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.01):
        clock.now += rest
        lanes._wait_for_turn(lane)
        went.append(clock.now)
    gaps = [later - first for first, later in pairwise(went)]
    assert gaps == pytest.approx([0.05, 0.05, 10.0, 0.05, 0.05, 0.05])


def test_workers_that_come_together_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waited = Clock(), list[float]()
    monkeypatch.setattr(lanes, "time", clock)
    monkeypatch.setattr(gevent, "sleep", waited.append)
    lane = lanes._Lane(tenant_id="acme", rate_per_second=10)
    for _ in range(4):
        lanes._wait_for_turn(lane)
    assert waited == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_a_rest_of_an_endpoint_is_not_counted_as_slowness() -> None:
    world = World(LanePolicy(1))
    assert world.offer(1)
    lane = world.lanes._lanes[key_of("acme", "crm")]
    assert lane.pace.started > 0


def test_of_a_call_one_is_under_way_at_a_time_and_the_next_follows_it() -> None:
    world = World(LanePolicy(4, keeps_call_order=True))
    for number, call in enumerate("aabab"):
        assert world.offer(number, call)
    lane = world.lanes._lanes[key_of("acme", "crm")]
    assert (lane.queue.qsize(), lane.held) == (2, 3)
    world.work()
    assert [one for one in world.tried if one in "013"] == ["0", "1", "3"]
    assert [one for one in world.tried if one in "24"] == ["2", "4"]
    assert (lane.held, lane.calls, lane.bytes) == (0, {}, 0)


def test_a_tenants_workers_are_bounded_and_shared_and_each_endpoint_has_one() -> None:
    workers: list[Any] = []
    connect: Any = Connection
    bounded = Lanes(lambda _, work: workers.append(work), connect, lambda *_: None, lambda _: LanePolicy(8), 100, 5)
    origin: Any = None
    for endpoint in range(10):
        for number in range(8):
            delivery = Delivery(delivery_id=f"{number}", tenant_id="acme", endpoint_id=f"e{endpoint}")
            assert bounded.offer(Job(delivery, origin))
    crews = list(bounded._lanes.values())
    assert sorted(crew.extra for crew in crews) == [0] * 5 + [1] * 5, "five beyond the first ones, in equal parts"
    assert all(crew.workers for crew in crews)
    assert len(workers) <= 10 + MOST_LOTS * 5


def test_who_is_to_give_an_idle_worker_up_loses_one_and_works_on() -> None:
    world = World(LanePolicy(8), tenant_limit=2)
    for number in range(3):
        world.offer(number)
    world.offer(3, endpoint_id="erp")
    world.work()
    crm, erp = (world.lanes._lanes[key_of("acme", endpoint_id)] for endpoint_id in ("crm", "erp"))
    assert (crm.workers, crm.idle, erp.workers) == (3, 3, 1)
    world.offer(4, endpoint_id="erp")
    world.offer(5, endpoint_id="erp")
    world.work()
    assert (crm.workers, crm.idle, crm.leaving, erp.workers) == (2, 2, 0, 2)
    crm.queue.put(None)  # as one that came for a worker which has ended in another way
    world.offer(6)
    world.work()
    assert (crm.workers, crm.idle, world.tried[-1]) == (2, 2, "6")


def test_what_stops_gives_back_all_that_was_never_begun() -> None:
    world = World(LanePolicy(2, keeps_call_order=True))
    for number in range(6):
        world.offer(number, "a" if number < 4 else f"c{number}")
    rest = world.lanes.stop()
    assert sorted(job.delivery.delivery_id for job in rest) == [str(number) for number in range(6)]
    assert not world.offer(7)
