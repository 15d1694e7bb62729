"""Notices of endpoints' troubles: told at once as a rule, one after another where very many come together."""

from itertools import pairwise

import orjson
from gevent.event import Event as Flag

from services.shared.bus.topics import DELIVERIES, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks.adapters.trouble_words import troubles
from services.webhooks.directory import Directory
from services.webhooks.handing_over import HandOver
from services.webhooks.notices import AT_ONCE_MS, EACH_MS, MemoryNoticeStore, Notice, NoticeKind, Notices
from services.webhooks.waiting import MemoryGoneEndpoints, StoreUnavailable

NOW_MS = 1_800_000_000_000
ENDPOINTS = 50
OTHERS = ENDPOINTS - 1


class Away(MemoryNoticeStore):
    """A store that takes nothing."""

    def put(self, notice: Notice) -> None:
        raise StoreUnavailable("away")


class World:
    def __init__(self, store: MemoryNoticeStore | None = None) -> None:
        self.bus, self.store, self.now_ms = MemoryBus(), store or MemoryNoticeStore(), NOW_MS
        self.stopping = Flag()
        hooks = [WebhookEndpoint(endpoint_id=f"e{number}", url="https://a.example/") for number in range(ENDPOINTS)]
        document = TenantDocument(tenant_id="acme", webhooks=hooks)
        self.bus.producer().send(TENANTS, "acme", document.SerializeToString(), timestamp_ms=0)
        self.start()

    def start(self) -> None:
        """Begin a new process."""
        self.clock = Clock(wall=lambda: self.now_ms / 1000)
        self.directory = Directory(self.bus.consumer(None, [TENANTS]), MemoryGoneEndpoints())
        self.directory._follow()
        hand_over = HandOver(self.bus.producer(), self.clock, self.stopping)
        self.notices = Notices(self.directory, hand_over, self.store, self.clock, troubles())
        self.notices._take_up(self.stopping)

    def tell(self, number: int, kind: NoticeKind = NoticeKind.FAILING) -> None:
        about = self.directory.find("acme", f"e{number}")
        assert about is not None
        self.notices.tell(about, kind, NOW_MS, "no answer in time")

    def send_due(self, after_ms: int) -> int:
        """Let time go by; return how many were sent."""
        before = len(self.bus.records(DELIVERIES))
        self.now_ms += after_ms
        self.notices.send_due(self.stopping)
        return len(self.bus.records(DELIVERIES)) - before

    def sent(self) -> list[str]:
        return [Delivery.FromString(record.value).delivery_id for record in self.bus.records(DELIVERIES)]


def wanted() -> set[str]:
    """Return what everybody is told of everybody else."""
    numbers = range(ENDPOINTS)
    return {f"endpoint.failing-e{one}-{NOW_MS}.e{other}" for one in numbers for other in numbers if one != other}


def test_a_notice_says_in_two_languages_what_the_last_try_met_and_what_helps() -> None:
    world = World()
    world.tell(7)
    delivery = Delivery.FromString(world.bus.records(DELIVERIES)[0].value)
    data = orjson.loads(delivery.payload)["data"]
    assert (data["endpoint_id"], data["last_error"]["code"]) == ("e7", "timeout")
    assert (data["last_error"]["en"], data["last_error"]["uk"]) == ("no answer in time", "немає відповіді вчасно")
    assert set(data["last_error"]["do"]) == {"en", "uk"}
    assert "reason" not in data


def test_a_trouble_is_told_to_all_others_at_once() -> None:
    world = World()
    world.tell(7)
    assert set(world.sent()) == {f"endpoint.failing-e7-{NOW_MS}.e{other}" for other in range(ENDPOINTS) if other != 7}
    assert world.store.kept == {}


def test_of_very_many_notices_a_hundred_a_second_go_and_all_of_them() -> None:
    world = World()
    for number in range(ENDPOINTS):
        world.tell(number)
    at_once = len(world.sent())
    assert at_once <= AT_ONCE_MS // EACH_MS + OTHERS
    # Whatever waits is kept as one each, not as fifty.
    assert len(world.store.kept) == (ENDPOINTS * OTHERS - at_once) // OTHERS
    world.send_due(AT_ONCE_MS - OTHERS * EACH_MS)
    a_second = [world.send_due(1_000) for _ in range(30)]
    assert max(a_second) <= 1_000 // EACH_MS + OTHERS
    assert set(world.sent()) == wanted()
    assert len(world.sent()) == len(wanted())
    assert world.store.kept == {}


def test_what_waits_outlives_a_kill_and_has_the_same_bytes() -> None:
    world = World()
    for number in range(ENDPOINTS):
        world.tell(number)
    world.send_due(AT_ONCE_MS)
    world.now_ms += 3_000
    world.start()
    world.send_due(0)
    assert set(world.sent()) == wanted()
    assert world.store.kept == {}
    payloads = {Delivery.FromString(record.value).payload for record in world.bus.records(DELIVERIES)}
    assert len(payloads) == ENDPOINTS
    assert all(b"2027-01-15T08:00:00.000Z" in payload for payload in payloads)  # told at NOW_MS


def test_a_kill_between_the_sending_and_the_forgetting_repeats_the_same_ids() -> None:
    world = World()
    for number in range(ENDPOINTS):
        world.tell(number)
    kept = dict(world.store.kept)
    world.send_due(60_000)
    world.store.kept = kept
    world.start()
    world.send_due(0)
    assert set(world.sent()) == wanted()


def test_a_recovery_is_told_after_the_trouble_that_still_waits() -> None:
    world = World()
    for number in range(ENDPOINTS):
        world.tell(number)
    world.tell(ENDPOINTS - 1, NoticeKind.RECOVERED)
    world.send_due(60_000)
    told = [one for one in world.sent() if f"-e{ENDPOINTS - 1}-" in one and one.endswith(".e0")]
    assert [one.partition("-")[0] for one in told] == ["endpoint.failing", "endpoint.recovered"]


def test_a_store_that_is_away_holds_no_notice_back() -> None:
    world = World(Away())
    for number in range(ENDPOINTS):
        world.tell(number)
    world.send_due(60_000)
    assert set(world.sent()) == wanted()


def test_moments_of_notices_do_not_overlap() -> None:
    world = World()
    for number in range(ENDPOINTS):
        world.tell(number)
    moments = [due_ms for due_ms, _ in world.notices._waiting]
    assert {later - sooner for sooner, later in pairwise(moments)} == {OTHERS * EACH_MS}
