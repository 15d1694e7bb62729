from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from flask import Flask
from gevent.event import Event as Flag

from services.console import metrics
from services.console.adapters.memory import MemoryErasureStore
from services.console.adapters.mongo import MongoErasureStore, MongoTenantStore
from services.console.api.access import Gate
from services.console.api.agents import agent_routes
from services.console.api.callbacks import callback_routes
from services.console.api.calls import call_routes
from services.console.api.campaigns import campaign_routes
from services.console.api.describing import ABOUT, refuse_query
from services.console.api.erasures import erasure_routes
from services.console.api.flows import flow_routes
from services.console.api.freeswitch import SwitchAccess, freeswitch_routes
from services.console.api.own_desk import own_desk_routes
from services.console.api.page import read_pages
from services.console.api.supervision import supervision_routes
from services.console.api.tenants import tenant_routes
from services.console.changing import DocumentDesk
from services.console.desk import Desk
from services.console.domain.callback_view import CallbackView
from services.console.domain.campaign_view import CampaignView
from services.console.domain.directory import Directory
from services.console.domain.live import Live
from services.console.domain.phone_password import SHORTEST_SECRET
from services.console.erasures import NAMING_PERSONS, Erasures, ErasureStore
from services.console.following import into_all, into_callbacks, into_campaigns, into_live
from services.console.publishing import Publisher
from services.console.settings import Settings
from services.console.store import StoreUnavailable, TenantStore
from services.console.tenancy import Tenancy
from services.shared.access import Holders
from services.shared.bus.admin import kept_ms
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusError
from services.shared.bus.follower import Follower
from services.shared.bus.ports import Reader, Sender
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings
from services.shared.bus.record import Record
from services.shared.bus.tenants import into_documents
from services.shared.bus.topics import CALLS, DOCUMENT_REQUESTS, REPLIES, TENANTS, feed_topic
from services.shared.chassis.admission import answer_refusals
from services.shared.chassis.clock import Clock
from services.shared.chassis.description import hold_to_description
from services.shared.chassis.documents import open_database
from services.shared.chassis.erasure_secret import seal_of
from services.shared.chassis.openapi import openapi_routes
from services.shared.chassis.page_routes import page_routes
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.watch import Watch, trouble_of, watch_broker, watch_documents
from services.shared.chassis.web import serve, service_app
from services.shared.person import PersonSeal

REPAIR_SECONDS: Final = 5.0

log = structlog.get_logger()

GATHER_MS = 100
"""What agents' states look like may be so old."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the service talks to: the broker's and store's parts, or their twins in memory."""

    store: TenantStore
    sender: Sender
    replies: Reader
    calls: Reader
    tenants: Reader
    document_requests: Reader
    tokens: Holders
    clock: Clock
    switch: SwitchAccess | None = None
    prepare: Callable[[], None] = lambda: None
    needed: tuple[Watch, ...] = ()
    """Without one of these no request can be answered."""
    watches: tuple[Watch, ...] = ()
    readings: Readings = field(default_factory=Readings)
    erasures: ErasureStore = field(default_factory=MemoryErasureStore)
    seal: PersonSeal = field(default_factory=lambda: PersonSeal(""))
    kept_ms: Callable[[list[str]], dict[str, int]] = lambda _topics: {}
    """How long topics keep a record at most, those that are there. Raises BusError."""


class Console:
    """The whole service but for its environment."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self.live = Live()
        self.callbacks = CallbackView()
        self.campaigns = CampaignView()
        self.directory = Directory()
        self.publisher = Publisher(outside.store, outside.sender, outside.clock)
        self.tenancy = Tenancy(outside.store, self.publisher, outside.clock)
        self.desk = Desk(outside.sender, outside.replies, outside.clock)
        self.document_desk = DocumentDesk(outside.document_requests, outside.sender, self.tenancy, outside.clock)
        self.erasures = Erasures(
            self.callbacks, self.tenancy, outside.seal, outside.erasures, outside.sender, outside.clock, self._gone_by
        )
        take = into_all(
            into_live(self.live),
            into_callbacks(self.callbacks),
            into_campaigns(self.campaigns),
            self.erasures.take,
        )
        documents = into_documents(self.directory.put, self.directory.remove)
        self._calls = Follower(lambda: outside.calls, take, unreadable=_count_unreadable)
        self._tenants = Follower(lambda: outside.tenants, documents, unreadable=_count_unreadable)

    def start(self, supervisor: Supervisor) -> None:
        """Start everything under the supervisor."""
        stopping = supervisor.stopping
        supervisor.spawn("replies", self.desk.listen, stopping)
        supervisor.spawn("document requests", self.document_desk.run, stopping)
        supervisor.spawn("calls", self._calls.run, stopping)
        supervisor.spawn("tenants", self._tenants.run, stopping)
        supervisor.spawn("outbox", self._repair, stopping)
        supervisor.spawn("erasures", self.erasures.run, stopping, self._calls.current)
        for watch in (*self._outside.needed, *self._outside.watches):
            supervisor.spawn(f"{watch.dependency} watch", watch.run, stopping)

    def ready(self) -> tuple[bool, str]:
        """Whether requests can be answered and the live view is whole."""
        if trouble := trouble_of(*self._outside.needed) or self._outside.readings.trouble:
            return False, trouble
        if not self.desk.is_listening:
            return False, "the router's replies are not read yet"
        is_current = self._tenants.current.is_set() and self._calls.current.is_set()
        return is_current, "documents or events are not read to their end yet"

    def application(self, stopping: Flag | None = None) -> Flask:
        """Return the web application; what is followed in it ends when the service stops."""
        app, gate = service_app("console", self.ready), Gate(self._outside.tokens)
        answer_refusals(app)
        hold_to_description(app, refuse_query)
        app.register_blueprint(tenant_routes(gate, self.tenancy))
        app.register_blueprint(flow_routes(gate, self.tenancy))
        app.register_blueprint(agent_routes(gate, self.desk, self.live, self.directory))
        app.register_blueprint(call_routes(gate, self.desk, self.live))
        app.register_blueprint(own_desk_routes(gate, self.live, self.directory, stopping or Flag()))
        app.register_blueprint(supervision_routes(gate, self.desk))
        app.register_blueprint(callback_routes(gate, self.desk, self.callbacks))
        app.register_blueprint(campaign_routes(gate, self.desk, self.directory, self.campaigns))
        app.register_blueprint(erasure_routes(gate, self.desk, self.directory, self.erasures))
        switch = self._outside.switch
        if switch is not None:
            app.register_blueprint(freeswitch_routes(gate, switch, self.directory, self._knows_lines))
        app.register_blueprint(openapi_routes(ABOUT))
        app.register_blueprint(page_routes(gate.admission, read_pages()))
        return app

    def _knows_lines(self) -> bool:
        return bool(self._tenants.current.is_set())

    def _gone_by(self, tenant_id: str, asked_ms: int) -> list[dict[str, Any]]:
        """Return by when each topic has lost what it said of a tenant's person until a moment. Raises BusError."""
        kept = self._outside.kept_ms([*NAMING_PERSONS, feed_topic(tenant_id)])
        return [{"topic": topic, "gone_by_ms": asked_ms + kept[topic]} for topic in sorted(kept)]

    def _repair(self, stopping: Flag) -> None:
        """Publish what a killed process, or a broker that was away, left in the outbox."""
        is_prepared = False
        while not stopping.is_set():
            try:
                if not is_prepared:
                    self._outside.prepare()
                    is_prepared = True
                if self.publisher.repair():
                    log.info("outbox_published")
                metrics.OUTBOX.set(0)
            except (BusError, StoreUnavailable) as error:
                metrics.OUTBOX.set(1)
                log.warning("outbox_not_published", reason=str(error))
            stopping.wait(REPAIR_SECONDS)


def run(settings: Settings, clock: Clock) -> int:
    """Run the service until it is stopped. Raises SettingsError, BusUnavailable, BadTokens, OSError."""
    supervisor = Supervisor()
    database, bootstrap = open_database(settings.mongodb_uri, "console"), settings.kafka_bootstrap
    store, erasures = MongoTenantStore(database), MongoErasureStore(database)
    seal = seal_of(settings.erasure_secret)
    readings = Readings()
    switch = _switch_access(settings)  # what is wrong with the settings is said before a dependency is asked
    outside = Outside(
        store=store,
        tokens=TokensFile(settings.api_tokens),
        sender=Producer(bootstrap, "console"),
        replies=_read(bootstrap, REPLIES, "console-replies", readings, from_beginning=False),
        calls=_read(bootstrap, CALLS, "console-calls", readings, gather_ms=GATHER_MS),
        tenants=_read(bootstrap, TENANTS, "console-tenants", readings),
        document_requests=_read(bootstrap, DOCUMENT_REQUESTS, "console-documents", readings, from_beginning=False),
        clock=clock,
        switch=switch,
        prepare=lambda: prepare_all(store, erasures),
        needed=(watch_broker(bootstrap),),
        # Without documents agents work on; only applying one is refused.
        watches=(watch_documents(database),),
        readings=readings,
        erasures=erasures,
        seal=seal,
        kept_ms=lambda topics: kept_ms(bootstrap, topics),
    )
    console = Console(outside)
    serve(supervisor, console.application(supervisor.stopping), settings.http_host, settings.http_port)
    console.start(supervisor)
    log.info("console_started", http_port=settings.http_port)
    return supervisor.run()


def _read(bootstrap: str, topic: str, name: str, readings: Readings, **more: Any) -> Consumer:
    """Return a reader of all of a topic. Raises BusUnavailable."""
    return Consumer(bootstrap, None, [topic], name, tells=readings.of(topic), **more)


def prepare_all(*stores: MongoTenantStore | MongoErasureStore) -> None:
    """Make the indexes. Raises StoreUnavailable."""
    for store in stores:
        store.prepare()


def _count_unreadable(record: Record) -> None:
    metrics.INVALID.labels(record.topic).inc()


def _switch_access(settings: Settings) -> SwitchAccess | None:
    if not settings.directory_password:
        return None
    if len(settings.phone_secret) < SHORTEST_SECRET:
        raise SettingsError([f"RINGMASTER_PHONE_SECRET must have {SHORTEST_SECRET} characters at least"])
    return SwitchAccess(settings.directory_user, settings.directory_password, settings.phone_secret)
