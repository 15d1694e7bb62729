"""Notices of endpoints' troubles: told at once as a rule, one after another where very many come together."""

from itertools import pairwise

from gevent.event import Event as Flag

from services.shared.bus.topics import DELIVERIES, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks.directory import Directory
from services.webhooks.handing_over import HandOver, Keeping
from services.webhooks.notices import AT_ONCE_MS, EACH_MS, NoticeKind, Notices
from services.webhooks.waiting import MemoryGoneEndpoints, MemoryWaitingRoom

NOW_MS = 1_800_000_000_000
ENDPOINTS = 50


class World:
    def __init__(self) -> None:
        self.bus, self.room, stopping = MemoryBus(), MemoryWaitingRoom(), Flag()
        clock = Clock(wall=lambda: NOW_MS / 1000)
        hooks = [WebhookEndpoint(endpoint_id=f"e{number}", url="https://a.example/") for number in range(ENDPOINTS)]
        document = TenantDocument(tenant_id="acme", webhooks=hooks)
        self.bus.producer().send(TENANTS, "acme", document.SerializeToString(), timestamp_ms=0)
        self.directory = Directory(self.bus.consumer(None, [TENANTS]), MemoryGoneEndpoints())
        self.directory._follow()
        hand_over = HandOver(self.bus.producer(), clock, stopping)
        self.notices = Notices(self.directory, hand_over, Keeping(self.room, stopping), clock)

    def tell(self, number: int) -> None:
        about = self.directory.find("acme", f"e{number}")
        assert about is not None
        self.notices.tell(about, NoticeKind.FAILING, NOW_MS)

    def sent(self) -> set[str]:
        return {Delivery.FromString(record.value).delivery_id for record in self.bus.records(DELIVERIES)}

    def waiting(self) -> list[Delivery]:
        return sorted(self.room._waiting.values(), key=lambda one: one.due_ms)


def test_a_trouble_is_told_to_all_others_at_once() -> None:
    world = World()
    world.tell(7)
    assert world.sent() == {f"endpoint.failing-e7-{NOW_MS}.e{other}" for other in range(ENDPOINTS) if other != 7}
    assert world.room.size() == 0


def test_of_very_many_notices_each_is_kept_for_a_moment_of_its_own() -> None:
    world = World()
    for number in range(ENDPOINTS):
        world.tell(number)
    waiting, others = world.waiting(), ENDPOINTS - 1
    assert len(world.sent()) + len(waiting) == ENDPOINTS * others
    assert len(world.sent()) <= AT_ONCE_MS // EACH_MS + others
    moments = [one.due_ms for one in waiting]
    assert moments[0] - NOW_MS >= AT_ONCE_MS
    assert {later - sooner for sooner, later in pairwise(moments)} == {EACH_MS}
