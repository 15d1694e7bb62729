"""Builds the statistics service from its settings; the only place where the parts meet."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from flask import Flask
from gevent.event import Event as Flag
from prometheus_client import REGISTRY

from services.shared.access import Holders
from services.shared.bus.consumer import Consumer
from services.shared.bus.events import publish_event
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings
from services.shared.bus.topics import CALLS, INPUTS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.erasure_secret import seal_of
from services.shared.chassis.page_routes import page_routes
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.web import serve, service_app
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.person import PersonSeal
from services.stats.adapters.columns import Columns
from services.stats.adapters.mongo import MongoStore
from services.stats.api.admission import Admission, answer_refusals
from services.stats.api.calls import call_routes
from services.stats.api.live import live_routes
from services.stats.api.page import read_pages
from services.stats.api.reports import report_routes
from services.stats.catalogue import load
from services.stats.collecting import LiveCollector
from services.stats.domain.board import Board
from services.stats.domain.facts.legs import MARK as LEG_MARK
from services.stats.exporting import Exports
from services.stats.feed import Feed
from services.stats.following import Events, profiles
from services.stats.forgetting import Forgetting
from services.stats.legs import GATHER_MS as GATHER_LEGS_MS
from services.stats.legs import Legs
from services.stats.logs import Logs
from services.stats.mailing import Mailing, MailServer
from services.stats.mirroring import Mirror
from services.stats.norms import Norms
from services.stats.raporty import Raporty
from services.stats.reporting import Reports
from services.stats.settings import Settings
from services.stats.store import Store
from services.stats.writing import COLLECT_SECONDS, Writer

log = structlog.get_logger()

PUBLISH_SECONDS = 10.0
GATHER_MS = 50
"""The live numbers may be so old."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs, but for the broker's readers."""

    board: Board
    feed: Feed
    writer: Writer
    events: Events
    legs: Legs
    reports: Reports
    exports: Exports
    mirror: Mirror


def build(
    store: Store,
    clock: Clock,
    snapshot_seconds: float,
    columns: Columns,
    collect_seconds: float = COLLECT_SECONDS,
    retention_days: int = 0,
    seal: PersonSeal | None = None,
    publish: Callable[[Event], None] = lambda _event: None,
) -> Parts:
    """Build what does not need the network. Writes to the store are collected for so long."""
    board = Board()
    forgetting = Forgetting(store, seal or PersonSeal(""), publish, clock)
    feed, writer = Feed(board, clock), Writer(store, collect_seconds, forgetting.forget)
    events = Events(board, store, writer, clock, snapshot_seconds, feed.notify, forgetting)
    mirror = Mirror(store, columns, retention_days)
    reports = Reports(load(), columns, mirror, board, clock)
    legs = Legs(board, writer, Logs(store), clock)
    return Parts(board, feed, writer, events, legs, reports, Exports(reports, columns), mirror)


def application(parts: Parts, store: Store, tokens: Holders, stopping: Flag, readings: Readings | None = None) -> Flask:
    """Return the web application; `readings` hears of the broker's readers."""
    heard = readings or Readings()
    app = service_app("stats", lambda: _readiness(parts, heard))
    admission = Admission(tokens)
    answer_refusals(app)
    app.register_blueprint(call_routes(admission, store))
    app.register_blueprint(live_routes(admission, parts.board, parts.feed, stopping))
    app.register_blueprint(report_routes(admission, parts.reports, parts.exports, store))
    app.register_blueprint(page_routes(admission, read_pages()))
    return app


def run(settings: Settings, clock: Clock) -> int:
    """Run the service until it is stopped. Raises SettingsError, BadTokens, BusUnavailable, OSError."""
    supervisor = Supervisor()
    seal = seal_of(settings.erasure_secret)
    tokens = TokensFile(settings.api_tokens)
    producer = Producer(settings.kafka_bootstrap, "stats")
    store = MongoStore(settings.mongodb_uri, retention_days=settings.stats_retention_days)
    columns = Columns(settings.stats_folder)
    days = settings.stats_retention_days
    parts = build(
        store,
        clock,
        settings.stats_snapshot_seconds,
        columns,
        retention_days=days,
        seal=seal,
        publish=lambda event: _published(producer, event),
    )
    events, bootstrap, readings = parts.events, settings.kafka_bootstrap, Readings()
    calls = Consumer(
        bootstrap,
        "stats",
        [CALLS],
        "stats",
        gather_ms=GATHER_MS,
        on_assigned=lambda places: events.assigned(list(places)),
        on_revoked=lambda places: events.revoked(list(places)),
        tells=readings.of(CALLS, "stats"),
    )
    inputs = Consumer(
        bootstrap,
        "stats-legs",
        [INPUTS],
        "stats-legs",
        gather_ms=GATHER_LEGS_MS,
        wanted=LEG_MARK,
        on_assigned=lambda places: parts.legs.assigned(list(places)),
        on_revoked=lambda places: parts.legs.revoked(list(places)),
        tells=readings.of(INPUTS, "stats-legs"),
    )
    tenants = Consumer(bootstrap, None, [TENANTS], "stats-tenants", tells=readings.of(TENANTS))
    known = profiles(lambda: tenants, parts.board, parts.feed.notify)
    REGISTRY.register(LiveCollector(parts.board, clock.now_ms))
    app = application(parts, store, tokens, supervisor.stopping, readings)
    serve(supervisor, app, settings.http_host, settings.http_port)
    supervisor.spawn("writer", parts.writer.run, supervisor.stopping)
    norms, mailing = watchers(parts, store, clock, settings, lambda event: _published(producer, event))
    supervisor.spawn("mirror", parts.mirror.run, supervisor.stopping, parts.board.lives, clock.now_ms)
    supervisor.spawn("norms", norms.run, supervisor.stopping)
    supervisor.spawn("mailing", mailing.run, supervisor.stopping)
    supervisor.spawn("profiles", known.run, supervisor.stopping)
    supervisor.spawn("events", events.run, supervisor.stopping, calls, known.current)
    supervisor.spawn("legs", parts.legs.run, supervisor.stopping, inputs)
    log.info("stats_started", http_port=settings.http_port)
    return supervisor.run()


def watchers(
    parts: Parts, store: Store, clock: Clock, settings: Settings, publish: Callable[[Event], None]
) -> tuple[Norms, Mailing]:
    """Build what judges norms and what mails reports."""
    server = MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_sender,
        settings.smtp_user,
        settings.smtp_password_file,
        settings.smtp_starttls,
    )
    raporty = Raporty(parts.reports, parts.exports)
    return (
        Norms(parts.board, parts.reports, store, clock, publish),
        Mailing(parts.board, raporty, store, clock, server, publish),
    )


def _published(producer: Producer, event: Event) -> None:
    publish_event(producer, event, "stats").wait(PUBLISH_SECONDS)


def _readiness(parts: Parts, readings: Readings) -> tuple[bool, str]:
    """Live numbers are served while the document store is away: that is a metric, not a reason to be taken out."""
    trouble = readings.trouble
    return parts.events.is_current and not trouble, trouble or "the log is not read to its end yet"
