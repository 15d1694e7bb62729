from contextlib import suppress
from typing import Any, Protocol

import structlog
from gevent.event import Event as Flag

from services.shared.bus.readings import Readings
from services.shared.chassis.clock import Clock
from services.shared.chassis.documents import open_database
from services.shared.chassis.erasure_secret import seal_of
from services.shared.chassis.insisting import Stopped
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.watch import watch_broker, watch_documents
from services.shared.chassis.web import serve, service_app
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.webhooks.adapters.broker import KafkaBus
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.connectors.library import CONNECTORS, GATEWAYS, library
from services.webhooks.adapters.connectors.mongo import MongoSteps, MongoTokenStore
from services.webhooks.adapters.mongo import MongoFailingEndpoints, MongoGoneEndpoints, MongoWaitingRoom
from services.webhooks.adapters.mongo_erasures import MongoErasureRows
from services.webhooks.adapters.mongo_log import MongoLogStore
from services.webhooks.adapters.mongo_notices import MongoNotices
from services.webhooks.adapters.mongo_replays import MongoReplays
from services.webhooks.adapters.mongo_secrets import MongoSecrets
from services.webhooks.adapters.secrets_file import SecretsFile
from services.webhooks.application import add_routes
from services.webhooks.domain.breaker import BreakerRules
from services.webhooks.domain.ladder import Ladder
from services.webhooks.domain.masking import BodyPolicy
from services.webhooks.insisting import insist_on_store
from services.webhooks.parts import DAY_MS, Parts, Stores
from services.webhooks.secret_book import SecretBook
from services.webhooks.service import Webhooks
from services.webhooks.settings import Settings

log = structlog.get_logger()


class Prepared(Protocol):
    """What has indexes."""

    def prepare(self) -> None:
        """Make them. Raises StoreUnavailable."""


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
    notices = MongoNotices(database, settings.webhooks_name)
    supervisor.spawn_task(
        "indexes", _prepare, (room, log_store, steps, replays, erasures, notices), supervisor.stopping
    )
    readings = Readings()
    parts = Parts(
        KafkaBus(settings.kafka_bootstrap, settings.webhooks_name, readings),
        Stores(
            room,
            MongoGoneEndpoints(database),
            log_store,
            MongoFailingEndpoints(database),
            replays,
            steps,
            MongoTokenStore(database),
            erasures,
            notices,
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
        readings=readings,
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
    with suppress(Stopped):
        for store in stores:
            insist_on_store(store.prepare, stopping, "indexes_not_made")
