"""Feeds: a topic that alone can't be written is waited for by nobody but its tenant, and nothing of it is lost."""

from collections.abc import Callable, Mapping
from typing import Any

import gevent
import pytest
import structlog.testing
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.topics import CALLS, DELIVERIES, feed_topic
from services.shared.chassis.supervisor import EXIT_DIED, Supervisor
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import MemoryBus, MemoryProducer
from services.shared.testing.waiting import wait_until
from services.webhooks import feeder
from services.webhooks.adapters.channels import feed
from services.webhooks.adapters.channels.feed import FeedTopics
from services.webhooks.by_company import ByCompany, Company
from services.webhooks.domain.endpoint import Endpoint, endpoints_of
from services.webhooks.feeder import APART_SECONDS, PATIENCE, Feeder
from services.webhooks.hearing import Turn, heard
from services.webhooks.lanes import Spawn


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "PAUSE_SECONDS", 0.0)


class Answer:
    """A receipt that comes when somebody says so."""

    def __init__(self, is_there: Flag, fault: str = "") -> None:
        self.is_there, self.fault = is_there, fault

    @property
    def acknowledged(self) -> bool:
        return self.is_there.is_set() and not self.fault

    def wait(self, timeout_seconds: float) -> int:
        del timeout_seconds
        self.is_there.wait()
        if self.fault:
            raise NotDelivered(self.fault)
        return 0


class Troubled(MemoryProducer):
    """A broker that does not let us write into some topics, and says nothing of what comes into others."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus)
        self.forbidden: set[str] = set()
        self.broken: set[str] = set()
        self.silent: dict[str, Flag] = {}
        self.sent: list[str] = []

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> Any:
        self.sent.append(topic)
        if topic in self.forbidden:
            raise BusUnavailable(f"{topic} can't be written")
        if topic in self.broken:
            raise TypeError("a fault of ours")
        receipt = super().send(topic, key, value, timestamp_ms=timestamp_ms, headers=headers)
        return Answer(self.silent[topic]) if topic in self.silent else receipt


class Feeds:
    """A directory in which every tenant has a feed, but for those that have none."""

    def __init__(self) -> None:
        self.without: set[str] = set()

    def endpoints(self, tenant_id: str) -> list[Endpoint]:
        channel = tn.Channel(channel_id="feed", feed=tn.FeedChannel())
        channels = [] if tenant_id in self.without else [channel]
        return list(endpoints_of(tn.TenantDocument(tenant_id=tenant_id, channels=channels)))


class World:
    """A feeder, the topics that it writes, and what it had to hear."""

    def __init__(self, spawn: Spawn | None = None) -> None:
        self.bus = MemoryBus(partitions=1)
        self.sender = Troubled(self.bus)
        self.now = 0.0
        self.feeds = Feeds()
        directory: Any = self.feeds
        self.log = MemoryBus(partitions=1)
        feeder = Feeder(self.sender, directory, self.bus.make_feed, spawn or _spawned, lambda: self.now)
        self.listening = ByCompany(feeder)
        self.stopping = Flag()

    def hear(self, *names: str) -> None:
        """Let the feeder hear events `<tenant>-<number>`, and begin with them."""
        begin = len(self.log.records(CALLS))
        for name in names:
            tenant_id = name.partition("-")[0]
            event = Event(event_id=name, tenant_id=tenant_id, call_id="c")
            event.call_ended.wait_ms = 1
            headers, value = {"ce_id": name}, event.SerializeToString()
            self.log.producer().send(CALLS, tenant_id, value, timestamp_ms=5, headers=headers)
        self.listening.bring(Turn(tuple(map(heard, self.log.records(CALLS)[begin:])), {}))
        self.listening.take(self.stopping)

    def settled(self) -> None:
        """Wait until nothing is left to do."""
        wait_until(lambda: self.listening.behind == 0, "everything that was heard had its effect")

    @property
    def done(self) -> int:
        """Up to where the log's offset may be committed."""
        return self.listening.done.get((CALLS, 0), 0)

    def fed(self, tenant_id: str) -> list[str]:
        """Return the events in a tenant's feed."""
        return [record.headers["ce_id"] for record in self.bus.records(feed_topic(tenant_id))]

    @property
    def writing(self) -> dict[Company, Any]:
        """Return whose feeds are written now, and by whom."""
        part: Any = self.listening.part
        found: dict[Company, Any] = part._writing
        return found

    def deliveries(self) -> list[str]:
        return [Delivery.FromString(record.value).delivery_id for record in self.bus.records(DELIVERIES)]


def _spawned(_name: str, function: Callable[..., object]) -> Any:
    return gevent.spawn(function)


def test_a_feed_of_which_the_broker_says_nothing_is_waited_for_by_nobody_else() -> None:
    world = World()
    world.sender.silent = {feed_topic("acme"): Flag()}
    world.hear("acme-1", "beta-1", "acme-2")
    wait_until(lambda: world.fed("beta") == ["beta-1"], "the neighbour's event is there")
    world.hear("beta-2", "gamma-1")
    wait_until(lambda: (world.fed("beta"), world.fed("gamma")) == (["beta-1", "beta-2"], ["gamma-1"]), "the next too")
    wait_until(lambda: world.listening.behind == 2, "theirs had its effect")
    assert world.done == 0, "the first event has had no effect that is known"
    world.sender.silent[feed_topic("acme")].set()
    world.settled()
    assert (world.done, world.fed("acme")) == (5, ["acme-1", "acme-2"])


def test_who_has_no_feed_waits_for_none() -> None:
    world = World()
    world.feeds.without = {"beta"}
    world.hear("beta-1", "beta-2")
    assert (world.listening.behind, world.done, world.sender.sent) == (0, 2, [])


def test_a_topic_that_alone_can_not_be_written_gets_its_events_as_deliveries() -> None:
    world = World()
    world.sender.forbidden = {feed_topic("acme")}
    world.hear("acme-1", "beta-1", "acme-2")
    world.settled()
    made = [Delivery.FromString(record.value) for record in world.bus.records(DELIVERIES)]
    assert [(one.tenant_id, one.delivery_id, one.endpoint_id) for one in made] == [
        ("acme", "acme-1.feed", "feed"),
        ("acme", "acme-2.feed", "feed"),
    ]
    assert b'"event_id":"acme-1"' in made[0].payload
    assert (world.fed("beta"), world.done) == (["beta-1"], 3)
    assert world.sender.sent.count(feed_topic("acme")) == PATIENCE


def test_what_could_not_be_written_is_tried_with_one_event() -> None:
    world = World()
    world.sender.forbidden = {feed_topic("acme")}
    world.hear(*(f"acme-{number}" for number in range(20)))
    world.settled()
    world.now += APART_SECONDS
    world.sender.silent, world.sender.forbidden = {feed_topic("acme"): Flag()}, set()
    before = len(world.sender.sent)
    world.hear(*(f"acme-{number}" for number in range(20, 40)))
    gevent.idle()
    assert world.sender.sent[before:] == [feed_topic("acme")]
    world.sender.silent[feed_topic("acme")].set()
    world.settled()
    assert world.fed("acme") == [f"acme-{number}" for number in range(20, 40)]


def test_a_healed_topic_is_written_in_the_logs_order_again() -> None:
    world = World()
    world.sender.forbidden = {feed_topic("acme")}
    world.hear("acme-1")
    world.settled()
    assert world.deliveries() == ["acme-1.feed"]
    world.sender.forbidden = set()
    world.hear("acme-2")
    world.settled()
    assert world.deliveries() == ["acme-1.feed", "acme-2.feed"], "for a minute it goes the other way"
    world.now += APART_SECONDS
    world.hear("acme-3", "acme-4")
    world.settled()
    assert (world.fed("acme"), len(world.deliveries())) == (["acme-3", "acme-4"], 2)


def test_a_broker_that_is_away_altogether_is_waited_for() -> None:
    world = World()
    world.sender.forbidden = {feed_topic("acme"), DELIVERIES}
    world.hear("acme-1")
    wait_until(lambda: world.sender.sent.count(DELIVERIES) >= 2, "both ways were tried")
    assert (world.listening.behind, world.done) == (1, 0)
    world.sender.forbidden = set()
    world.settled()
    assert world.deliveries() == ["acme-1.feed"], "for a minute it goes the other way, then as before"


def test_what_was_shared_out_anew_is_written_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "MOST_AT_ONCE", 1)
    world = World()
    world.sender.silent = {feed_topic("acme"): Flag()}
    world.hear("acme-1", "acme-2")
    wait_until(lambda: world.fed("acme") == ["acme-1"], "the first is on its way")
    world.listening.forget(1)
    world.sender.silent[feed_topic("acme")].set()
    world.hear("acme-3")
    world.settled()
    wait_until(lambda: not world.writing, "whoever wrote has ended")
    assert (world.fed("acme"), world.done) == (["acme-1", "acme-3"], 3)


def test_a_service_that_stops_gives_a_silent_feed_up_and_counts_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "FINISH_SECONDS", 0.0)
    world = World()
    world.sender.silent = {feed_topic("acme"): Flag()}
    world.hear("acme-1")
    world.stopping.set()
    running = gevent.spawn(world.listening.run, world.stopping)
    running.join()
    assert world.listening.ended.is_set()
    assert world.done == 0


def test_a_fault_of_ours_in_one_feed_ends_the_process_and_is_told_by_name() -> None:
    supervisor = Supervisor()
    world = World(supervisor.spawn_task)
    world.sender.broken = {feed_topic("acme")}
    running = gevent.spawn(supervisor.run)
    with structlog.testing.capture_logs() as told:
        world.hear("beta-1", "acme-1")
        assert running.get(timeout=60) == EXIT_DIED
    assert [(one["event"], one["greenlet"]) for one in told] == [("greenlet_died", "feed of acme")]
    assert world.fed("beta") == ["beta-1"]
    assert world.done == 1, "the next process hears what was not written again"


def test_whoever_wrote_a_feed_is_forgotten_whatever_ended_it() -> None:
    world = World()
    world.sender.broken = {feed_topic("acme")}
    world.hear("acme-1", "acme-2")
    (writer,) = gevent.wait(list(world.writing.values()), count=1)
    assert isinstance(writer.exception, TypeError)
    assert world.writing == {}
    world.sender.broken = set()
    world.hear("acme-3")
    world.settled()
    assert (world.fed("acme"), world.done) == (["acme-1", "acme-2", "acme-3"], 3)


def test_only_a_few_topics_are_made_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_MADE_AT_ONCE", 3)
    bus, going = MemoryBus(), Flag()
    under_way: list[str] = []

    def make(tenant_id: str) -> None:
        under_way.append(tenant_id)
        going.wait()

    topics = FeedTopics(bus.producer(), make)
    writers = [gevent.spawn(topics.send, f"t{number}", "k", b"v", 1, {}) for number in range(9)]
    gevent.idle()
    assert len(under_way) == 3
    going.set()
    gevent.joinall(writers, raise_error=True)
    assert len(under_way) == 9
