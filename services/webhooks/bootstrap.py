from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from gevent.event import Event as Flag
from gevent.pool import Pool

from services.shared.bus.consumer import Consumer
from services.shared.bus.ports import Reader, Sender
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS, DELIVERIES, DELIVERIES_RETRY, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.documents import open_database
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.watch import Watch, trouble_of, watch_broker, watch_documents
from services.shared.chassis.web import serve, service_app
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.mongo import MongoFailingEndpoints, MongoGoneEndpoints, MongoLogStore, MongoWaitingRoom
from services.webhooks.adapters.secrets_file import SecretsFile
from services.webhooks.call_order import CallOrder
from services.webhooks.delivery_log import DeliveryLog, LogStore
from services.webhooks.directory import Directory
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.domain.breaker import BreakerRules
from services.webhooks.domain.ladder import Ladder
from services.webhooks.first_tries import FirstTries, HandOver
from services.webhooks.health import FailingEndpoints, Health
from services.webhooks.lanes import LanePolicy, Lanes
from services.webhooks.matcher import Matcher
from services.webhooks.notices import Notices
from services.webhooks.retries import LEASE_SECONDS, RetryKeeper, RetryScheduler
from services.webhooks.settings import Settings
from services.webhooks.waiting import GoneEndpoints, StoreUnavailable, WaitingRoom

GATHER_MS = 20
"""An event may go out so much later."""
MATCHERS = "webhooks"
SENDERS = "webhooks-senders"
RETRIERS = "webhooks-retries"
SECRETS_SECONDS = 5.0
PREPARE_SECONDS = 1.0
CATCH_UP_SECONDS = 20.0
HAND_OVERS = 64
FINISH_SECONDS = 7.0
DAY_MS = 86_400_000

log = structlog.get_logger()


class Bus(Protocol):
    """Makes senders and readers: the broker's, or a MemoryBus."""

    def producer(self) -> Sender:
        """Return a sender."""

    def consumer(
        self, group: str | None, topics: list[str], *, on_revoked: Callable[[Any], None] | None = None
    ) -> Reader:
        """Return a reader."""


@dataclass(frozen=True, slots=True)
class KafkaBus:
    """The bus of a broker."""

    bootstrap: str
    name: str = "webhooks"

    def producer(self) -> Sender:
        """Return a producer. Raises BusUnavailable."""
        return Producer(self.bootstrap, self.name)

    def consumer(
        self, group: str | None, topics: list[str], *, on_revoked: Callable[[Any], None] | None = None
    ) -> Reader:
        """Return a consumer. Raises BusUnavailable."""
        name = f"{self.name}-{group or 'tenants'}"
        return Consumer(self.bootstrap, group, topics, name, gather_ms=GATHER_MS, on_revoked=on_revoked)


@dataclass(frozen=True, slots=True)
class Stores:
    """What outlives the process beside Kafka."""

    room: WaitingRoom
    gone: GoneEndpoints
    log: LogStore
    failing: FailingEndpoints


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service of deliveries is made of."""

    bus: Bus
    stores: Stores
    secrets: SecretsFile
    outside: Outside
    ladder: Ladder
    clock: Clock
    concurrency: int = 8
    queue_limit: int = 512
    lease_seconds: float = LEASE_SECONDS
    tenant_concurrency: int = 64
    disable_after_ms: int = 5 * DAY_MS
    breaker: BreakerRules = field(default_factory=BreakerRules)
    watches: tuple[Watch, ...] = ()


class Webhooks:
    """The whole service but for its environment: matching, first tries, retries, log."""

    def __init__(self, parts: Parts, supervisor: Supervisor) -> None:
        stopping = supervisor.stopping
        sender = parts.bus.producer()
        self._parts = parts
        self._supervisor = supervisor
        self.directory = Directory(parts.bus.consumer(None, [TENANTS]), parts.stores.gone)
        self._delivery_log = DeliveryLog(parts.stores.log)
        hand_over = HandOver(sender, parts.clock, stopping)
        order = CallOrder(parts.stores.room, self._keeps_order, parts.clock, stopping)
        notices = Notices(self.directory, hand_over, parts.clock)
        self._health = Health(parts.stores.failing, notices.tell, parts.clock, parts.disable_after_ms, parts.breaker)
        dispatcher = Dispatcher(
            self.directory,
            parts.secrets,
            parts.ladder,
            parts.clock,
            self._delivery_log,
            self._health,
            order,
            parts.stores.room,
        )
        self._lanes = Lanes(
            supervisor.spawn_task,
            lambda: EndpointConnection(parts.outside),
            dispatcher.attempt,
            self._policy,
            parts.queue_limit,
            parts.tenant_concurrency,
        )
        self._matcher = Matcher(parts.bus.consumer(MATCHERS, [CALLS]), sender, self.directory, parts.clock)
        self._first_tries = FirstTries(self._lanes, hand_over, parts.clock, order)
        self._keeper = RetryKeeper(parts.bus.consumer(RETRIERS, [DELIVERIES_RETRY]), parts.stores.room)
        self._scheduler = RetryScheduler(
            parts.stores.room,
            self._lanes,
            hand_over,
            parts.clock,
            parts.lease_seconds,
            order=order,
            resting=self._health.resting,
        )

    def start(self) -> None:
        """Start everything under the supervisor."""
        spawn, stopping = self._supervisor.spawn, self._supervisor.stopping
        spawn("tenants", self.directory.run, stopping)
        spawn("matcher", self._matcher.run, stopping)
        spawn("first tries", self._try_first, stopping)
        spawn("retry keeper", self._keeper.run, stopping)
        spawn("retry scheduler", self._scheduler.run, stopping)
        spawn("delivery log", self._delivery_log.run, stopping)
        self._supervisor.spawn_task("failing endpoints", self._remember_failing, stopping)
        spawn("secrets", self._watch_secrets, stopping)
        for watch in self._parts.watches:
            spawn(f"{watch.dependency} watch", watch.run, stopping)

    def ready(self) -> tuple[bool, str]:
        """Whether endpoints are known and what deliveries wait in answers."""
        trouble = trouble_of(*self._parts.watches)
        return self.directory.is_current and not trouble, trouble or "the tenants' documents are not read yet"

    def _try_first(self, stopping: Flag) -> None:
        self.directory.catch_up(CATCH_UP_SECONDS)
        reader = self._parts.bus.consumer(SENDERS, [DELIVERIES], on_revoked=self._first_tries.revoked)
        self._first_tries.run(reader, stopping)
        # What was never begun goes to .retry at once: its neighbours' offsets can be committed, nothing is sent twice.
        Pool(HAND_OVERS).map(lambda job: job.origin.put_off(job.delivery), self._lanes.stop())
        self._first_tries.finish_all(FINISH_SECONDS)

    def _policy(self, delivery: Delivery) -> LanePolicy:
        endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        if endpoint is None:
            return LanePolicy(self._parts.concurrency)
        return LanePolicy(endpoint.concurrency or self._parts.concurrency, endpoint.keeps_call_order)

    def _keeps_order(self, delivery: Delivery) -> bool:
        return bool(delivery.call_id) and self._policy(delivery).keeps_call_order

    def _remember_failing(self, stopping: Flag) -> None:
        while not stopping.is_set():
            try:
                self._health.remember()
            except StoreUnavailable as error:
                log.warning("failing_endpoints_unreadable", reason=str(error))
                stopping.wait(PREPARE_SECONDS)
            else:
                return

    def _watch_secrets(self, stopping: Flag) -> None:
        while not stopping.wait(SECRETS_SECONDS):
            self._parts.secrets.refresh()


def build(settings: Settings, clock: Clock, supervisor: Supervisor) -> Webhooks:
    """Build the service. Raises BusUnavailable, SecretsUnreadable, BadLadder, BadNetwork, OSError."""
    outside = Outside.with_certificates(
        AddressGuard.parse(settings.webhook_allow_private, settings.webhook_own_networks),
        Limits(settings.webhook_connect_seconds, settings.webhook_timeout_seconds),
        settings.webhook_ca_file,
    )
    database = open_database(settings.mongodb_uri, "webhooks")
    room, log_store = MongoWaitingRoom(database), MongoLogStore(database, settings.webhook_log_days)
    supervisor.spawn("indexes", _prepare, room, log_store, supervisor.stopping)
    parts = Parts(
        KafkaBus(settings.kafka_bootstrap, settings.webhooks_name),
        Stores(room, MongoGoneEndpoints(database), log_store, MongoFailingEndpoints(database)),
        SecretsFile(settings.webhook_secrets),
        outside,
        Ladder.parse(settings.webhook_ladder),
        clock,
        settings.webhook_concurrency,
        settings.webhook_queue_limit,
        tenant_concurrency=settings.webhook_tenant_concurrency,
        disable_after_ms=int(settings.webhook_disable_days * DAY_MS),
        breaker=BreakerRules(
            settings.webhook_failures_to_rest,
            int(settings.webhook_rest_seconds * 1000),
            int(settings.webhook_longest_rest_seconds * 1000),
        ),
        watches=(watch_broker(settings.kafka_bootstrap), watch_documents(database)),
    )
    return Webhooks(parts, supervisor)


def run(settings: Settings, clock: Clock) -> int:
    """Run the service until it is stopped; return the exit code."""
    supervisor = Supervisor()
    webhooks = build(settings, clock, supervisor)
    serve(supervisor, service_app("webhooks", webhooks.ready), settings.http_host, settings.http_port)
    webhooks.start()
    log.info("webhooks_started", http_port=settings.http_port)
    return supervisor.run()


def _prepare(room: MongoWaitingRoom, log_store: MongoLogStore, stopping: Flag) -> None:
    """Make the indexes as soon as the store answers; nothing waits for them."""
    is_ready = False
    while not is_ready and not stopping.is_set():
        try:
            room.prepare()
            log_store.prepare()
            is_ready = True
        except StoreUnavailable as error:
            log.warning("indexes_not_made", reason=str(error))
            stopping.wait(PREPARE_SECONDS)
    stopping.wait()
