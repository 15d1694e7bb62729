from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import structlog
from flask import Flask
from gevent.event import Event as Flag
from gevent.pool import Pool

from services.shared.bus.ports import BatchSender
from services.shared.bus.topics import CALLS, DELIVERIES, DELIVERIES_DEAD, DELIVERIES_RETRY, DOCUMENT_REPLIES, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.documents import open_database
from services.shared.chassis.erasure_secret import seal_of
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.watch import Watch, trouble_of, watch_broker, watch_documents
from services.shared.chassis.web import serve, service_app
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.shared.person import PersonSeal
from services.webhooks.adapters.broker import FOLLOWERS, RETRIERS, SENDERS, Bus, KafkaBus
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.channels.carrier import Carriers
from services.webhooks.adapters.channels.feed import Feed
from services.webhooks.adapters.channels.mail import Mail
from services.webhooks.adapters.channels.slack import Slack
from services.webhooks.adapters.channels.smpp import Smpp
from services.webhooks.adapters.channels.sms import Sms
from services.webhooks.adapters.channels.telegram import BOT_API, Telegram
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine, MemorySteps, Steps
from services.webhooks.adapters.connectors.library import CONNECTORS, GATEWAYS, library
from services.webhooks.adapters.connectors.mongo import MongoSteps, MongoTokenStore
from services.webhooks.adapters.connectors.sign_in import MemoryTokenStore, Tokens, TokenStore
from services.webhooks.adapters.identities import Identities
from services.webhooks.adapters.mongo import MongoFailingEndpoints, MongoGoneEndpoints, MongoWaitingRoom
from services.webhooks.adapters.mongo_erasures import MongoErasureRows
from services.webhooks.adapters.mongo_log import MongoLogStore
from services.webhooks.adapters.mongo_replays import MongoReplays
from services.webhooks.adapters.mongo_secrets import MongoSecrets
from services.webhooks.adapters.secrets_file import SecretsFile
from services.webhooks.api.deliveries import Journal
from services.webhooks.api.lookup import lookup_routes
from services.webhooks.application import Desk, add_routes
from services.webhooks.batching import Batching
from services.webhooks.call_order import CallOrder
from services.webhooks.delivery_log import DeliveryLog, LogStore
from services.webhooks.directory import Directory
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.document_changes import DocumentChanges
from services.webhooks.domain.batch import BATCH
from services.webhooks.domain.breaker import BreakerRules
from services.webhooks.domain.connectors.description import Connector
from services.webhooks.domain.erased import ErasedPersons
from services.webhooks.domain.ladder import Ladder
from services.webhooks.domain.masking import BodyPolicy
from services.webhooks.dry_run import DryRun
from services.webhooks.erasing import Answers, Erasing, ErasureRows, MemoryErasureRows
from services.webhooks.feeder import Feeder
from services.webhooks.first_tries import FirstTries, PutOffs
from services.webhooks.follower import Follower
from services.webhooks.handing_over import Gathering, HandOver, Keeping
from services.webhooks.health import FailingEndpoints, Health
from services.webhooks.history import History
from services.webhooks.lanes import LanePolicy, Lanes
from services.webhooks.matcher import Matcher
from services.webhooks.notices import Notices
from services.webhooks.redelivery import Redelivery
from services.webhooks.replays import Replays, ReplayStore
from services.webhooks.retries import LEASE_SECONDS, RetryKeeper, RetryScheduler, Tenure
from services.webhooks.rule_runner import RuleRunner
from services.webhooks.secret_book import SecretBook
from services.webhooks.settings import Settings
from services.webhooks.settling import Settling
from services.webhooks.waiting import GoneEndpoints, StoreUnavailable, WaitingRoom

SECRETS_SECONDS = 5.0
PREPARE_SECONDS = 1.0
CATCH_UP_SECONDS = 20.0
HAND_OVERS = 64
FINISH_SECONDS = 7.0
DAY_MS = 86_400_000

log = structlog.get_logger()


class Prepared(Protocol):
    """What has indexes."""

    def prepare(self) -> None:
        """Make them. Raises StoreUnavailable."""


class Log(LogStore, Journal, Answers, Protocol):
    """The delivery log, written and read."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What outlives the process beside Kafka."""

    room: WaitingRoom
    gone: GoneEndpoints
    log: Log
    failing: FailingEndpoints
    replays: ReplayStore
    steps: Steps = field(default_factory=MemorySteps)
    tokens: TokenStore = field(default_factory=MemoryTokenStore)
    erasures: ErasureRows = field(default_factory=MemoryErasureRows)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service of deliveries is made of."""

    bus: Bus
    stores: Stores
    secrets: SecretBook
    outside: Outside
    ladder: Ladder
    clock: Clock
    name: str = "webhooks"
    """The same after a restart, another one for each process side by side."""
    concurrency: int = 8
    queue_limit: int = 512
    lease_seconds: float = LEASE_SECONDS
    tenant_concurrency: int = 64
    disable_after_ms: int = 5 * DAY_MS
    breaker: BreakerRules = field(default_factory=BreakerRules)
    watches: tuple[Watch, ...] = ()
    channel_secrets: ChannelSecrets = field(default_factory=lambda: ChannelSecrets(None))
    telegram_api: str = BOT_API
    library: Mapping[str, Connector] = field(default_factory=lambda: library(CONNECTORS, GATEWAYS))
    recording_link: str = ""
    ca_file: str | None = None
    kept_answer_bytes: int = 0
    policy: BodyPolicy = BodyPolicy.MASKED
    seal: PersonSeal = field(default_factory=lambda: PersonSeal(""))


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
        order = CallOrder(parts.stores.room, self._keeps_order, parts.clock, stopping, self._chain)
        keep = Keeping(parts.stores.room, stopping)
        notices = Notices(self.directory, hand_over, keep, parts.clock)
        self.health = Health(parts.stores.failing, notices.tell, parts.clock, parts.disable_after_ms, parts.breaker)
        self._engine = Engine(
            parts.library,
            parts.channel_secrets,
            Tokens(parts.stores.tokens),
            parts.stores.steps,
            parts.recording_link,
        )
        persons = ErasedPersons()
        dispatcher = Dispatcher(
            self.directory,
            parts.secrets,
            parts.ladder,
            parts.clock,
            self._delivery_log,
            self.health,
            order,
            Batching(order, keep, partial(hand_over.to, DELIVERIES_DEAD)),
            parts.stores.room,
            Identities(parts.secrets.file, parts.outside, parts.ca_file),
            _carriers(parts, sender, self._engine),
            persons,
        )
        self._erasing = Erasing(
            parts.stores.erasures,
            parts.stores.room,
            parts.stores.log,
            persons,
            parts.seal,
            sender,
            parts.clock,
            dispatcher.drop,
        )
        self._lanes = Lanes(
            supervisor.spawn_task,
            lambda: EndpointConnection(parts.outside, parts.kept_answer_bytes, parts.policy),
            dispatcher.attempt,
            self._policy,
            parts.queue_limit,
            parts.tenant_concurrency,
        )
        self._put_offs = PutOffs(
            Gathering(partial(hand_over.to, DELIVERIES_RETRY), stopping),
            Gathering(keep, stopping),
        )
        self._first_tries = FirstTries(self._lanes, hand_over, parts.clock, order, self._put_offs)
        self._keeper = RetryKeeper(parts.bus.consumer(RETRIERS, [DELIVERIES_RETRY]), parts.stores.room)
        self._settling = Settling(parts.stores.room, stopping)
        self._scheduler = RetryScheduler(
            parts.stores.room,
            self._lanes,
            hand_over,
            parts.clock,
            Tenure(parts.name, parts.lease_seconds),
            order=order,
            health=self.health,
            settling=self._settling,
        )
        self.redelivery = Redelivery(lambda: parts.bus.consumer(None, [DELIVERIES]), hand_over, parts.clock, persons)
        history = History(lambda: parts.bus.consumer(None, [CALLS]))
        self._dry_run = DryRun(history, parts.clock, persons)
        self._changes = DocumentChanges(sender, parts.bus.consumer(None, [DOCUMENT_REPLIES]), parts.clock)
        self._replays = Replays(
            parts.stores.replays,
            parts.stores.log.states,
            history.since,
            self.directory,
            hand_over,
            parts.clock,
            persons,
        )
        listeners = (
            Matcher(sender, self.directory, parts.clock),
            RuleRunner(sender, self.directory, history, parts.clock, self._erasing.numbers),
            Feeder(sender, self.directory, parts.bus.make_feed),
            self._erasing,
        )
        self._follower = Follower(self.directory, parts.clock, listeners)

    def start(self) -> None:
        """Start everything under the supervisor."""
        spawn, stopping = self._supervisor.spawn, self._supervisor.stopping
        spawn("tenants", self.directory.run, stopping)
        spawn("follower", self._follow, stopping)
        for one in self._follower.listening:
            spawn(one.part.name, one.run, stopping)
        spawn("first tries", self._try_first, stopping)
        spawn("put-offs", self._put_offs.to_topic.run, stopping)
        spawn("put-offs in order", self._put_offs.to_room.run, stopping)
        spawn("retry keeper", self._keeper.run, stopping)
        spawn("retry scheduler", self._scheduler.run, stopping)
        spawn("retries' ends", self._settling.run, stopping)
        spawn("erased persons", self._erasing.run, stopping)
        spawn("replays", self._replays.run, stopping)
        spawn("document replies", self._changes.listen, stopping)
        spawn("delivery log", self._delivery_log.run, stopping)
        self._supervisor.spawn_task("failing endpoints", self._remember_failing, stopping)
        spawn("secrets", self._watch_secrets, stopping)
        for watch in self._parts.watches:
            spawn(f"{watch.dependency} watch", watch.run, stopping)

    def ready(self) -> tuple[bool, str]:
        """Whether endpoints are known and what deliveries wait in answers."""
        trouble = trouble_of(*self._parts.watches)
        return self.directory.is_current and not trouble, trouble or "the tenants' documents are not read yet"

    def add_routes(self, app: Flask) -> None:
        """Let the application answer what flows ask CRMs over us."""
        outside, secrets = self._parts.outside, self._parts.channel_secrets
        app.register_blueprint(
            lookup_routes(self._engine, self.directory, secrets, lambda: EndpointConnection(outside))
        )

    def desk(self) -> Desk:
        """Return what the API asks for."""
        parts = self._parts
        return Desk(
            self.directory,
            self.health,
            parts.stores.log,
            self.redelivery,
            parts.secrets,
            parts.stores.replays,
            self._dry_run,
            self._changes,
            parts.policy,
            parts.clock,
        )

    def _follow(self, stopping: Flag) -> None:
        reader = self._parts.bus.consumer(FOLLOWERS, [CALLS], on_revoked=self._follower.revoked)
        self._follower.run(reader, stopping)

    def _try_first(self, stopping: Flag) -> None:
        self.directory.catch_up(CATCH_UP_SECONDS)
        reader = self._parts.bus.consumer(SENDERS, [DELIVERIES], on_revoked=self._first_tries.revoked)
        self._first_tries.run(reader, stopping)
        # What was never begun goes to .retry at once: its neighbours' offsets can be committed, nothing is sent twice.
        Pool(HAND_OVERS).map(lambda job: job.origin.put_off(job.delivery), self._lanes.stop())
        self._put_offs.flush()
        self._first_tries.finish_all(FINISH_SECONDS)

    def _policy(self, delivery: Delivery) -> LanePolicy:
        endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        if endpoint is None:
            return LanePolicy(self._parts.concurrency)
        concurrency = endpoint.concurrency or self._parts.concurrency
        return LanePolicy(concurrency, endpoint.keeps_call_order, endpoint.batch, endpoint.rate_per_second)

    def _keeps_order(self, delivery: Delivery) -> bool:
        return bool(delivery.chain or delivery.call_id) and self._policy(delivery).keeps_call_order

    def _chain(self, delivery: Delivery) -> str:
        """Return one order for all of an endpoint that takes several at once: a message holds more than one call."""
        policy = self._policy(delivery)
        return BATCH if policy.keeps_call_order and policy.batch is not None else ""

    def _remember_failing(self, stopping: Flag) -> None:
        while not stopping.is_set():
            try:
                self.health.remember()
            except StoreUnavailable as error:
                log.warning("failing_endpoints_unreadable", reason=str(error))
                stopping.wait(PREPARE_SECONDS)
            else:
                return

    def _watch_secrets(self, stopping: Flag) -> None:
        while not stopping.wait(SECRETS_SECONDS):
            self._parts.secrets.refresh()
            self._parts.channel_secrets.refresh()
            self._refresh_closed()

    def _refresh_closed(self) -> None:
        try:
            self.directory.refresh_closed()
        except StoreUnavailable as error:
            log.warning("closed_endpoints_unreadable", reason=str(error))


def _carriers(parts: Parts, sender: BatchSender, engine: Engine) -> Carriers:
    """Return what brings deliveries to channels."""
    secrets = parts.channel_secrets
    return Carriers(
        {
            "telegram": Telegram(secrets, parts.telegram_api),
            "slack": Slack(secrets),
            "email": Mail(secrets, parts.outside),
            "feed": Feed(sender, parts.bus.make_feed),
            "sms": Sms(engine, Smpp(parts.outside, parts.stores.steps)),
            "crm": engine,
        }
    )


def build(settings: Settings, clock: Clock, supervisor: Supervisor) -> Webhooks:
    """Build the service. Raises BusUnavailable, SecretsUnreadable, BadLadder, BadNetwork, OSError."""
    outside = Outside.with_certificates(
        AddressGuard.parse(settings.webhook_allow_private, settings.webhook_own_networks),
        Limits(settings.webhook_connect_seconds, settings.webhook_timeout_seconds),
        settings.webhook_ca_file,
    )
    database = open_database(settings.mongodb_uri, "webhooks")
    room, log_store = MongoWaitingRoom(database), MongoLogStore(database, settings.webhook_log_days)
    steps, replays, erasures = MongoSteps(database), MongoReplays(database), MongoErasureRows(database)
    supervisor.spawn("indexes", _prepare, (room, log_store, steps, replays, erasures), supervisor.stopping)
    parts = Parts(
        KafkaBus(settings.kafka_bootstrap, settings.webhooks_name),
        Stores(
            room,
            MongoGoneEndpoints(database),
            log_store,
            MongoFailingEndpoints(database),
            replays,
            steps,
            MongoTokenStore(database),
            erasures,
        ),
        _secrets(settings, database),
        outside,
        Ladder.parse(settings.webhook_ladder),
        clock,
        settings.webhooks_name,
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
        channel_secrets=ChannelSecrets(settings.channel_secrets),
        telegram_api=settings.telegram_api.rstrip("/"),
        library=library(CONNECTORS, GATEWAYS, *([settings.connectors_dir] if settings.connectors_dir else [])),
        recording_link=settings.recording_link,
        ca_file=str(settings.webhook_ca_file) if settings.webhook_ca_file else None,
        kept_answer_bytes=settings.webhook_log_answer_bytes,
        policy=_policy(settings.webhook_log_bodies),
        seal=seal_of(settings.erasure_secret),
    )
    return Webhooks(parts, supervisor)


def run(settings: Settings, clock: Clock) -> int:
    """Run the service until it is stopped; return the exit code."""
    supervisor = Supervisor()
    webhooks = build(settings, clock, supervisor)
    app = service_app("webhooks", webhooks.ready)
    webhooks.add_routes(app)
    if settings.api_tokens is not None:
        add_routes(app, webhooks.desk(), TokensFile(settings.api_tokens), supervisor.stopping)
    serve(supervisor, app, settings.http_host, settings.http_port)
    webhooks.start()
    log.info("webhooks_started", http_port=settings.http_port)
    return supervisor.run()


def _secrets(settings: Settings, database: Any) -> SecretBook:
    """Return all secrets, those that are made here too where there is a key to keep them with."""
    file = SecretsFile(settings.webhook_secrets)
    return SecretBook(file, MongoSecrets(database, file.key) if file.key else None)


def _policy(text: str) -> BodyPolicy:
    try:
        return BodyPolicy(text)
    except ValueError as error:
        known = ", ".join(policy.value for policy in BodyPolicy)
        raise SettingsError([f"RINGMASTER_WEBHOOK_LOG_BODIES must be one of {known}, not {text[:40]!r}"]) from error


def _prepare(stores: tuple[Prepared, ...], stopping: Flag) -> None:
    """Make the indexes as soon as the store answers; nothing waits for them."""
    is_ready = False
    while not is_ready and not stopping.is_set():
        try:
            for store in stores:
                store.prepare()
            is_ready = True
        except StoreUnavailable as error:
            log.warning("indexes_not_made", reason=str(error))
            stopping.wait(PREPARE_SECONDS)
    stopping.wait()
