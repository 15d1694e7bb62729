from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Flask
from gevent.event import Event as Flag

from services.shared.access import Holders
from services.shared.chassis.admission import Admission, answer_refusals
from services.shared.chassis.clock import Clock
from services.shared.chassis.description import hold_to_description
from services.shared.chassis.openapi import About, openapi_routes
from services.shared.chassis.page_routes import page_routes
from services.shared.chassis.pages import Pages
from services.webhooks import metrics
from services.webhooks.api.deliveries import Journal, delivery_routes
from services.webhooks.api.documents import document_routes
from services.webhooks.api.endpoints import endpoint_routes, tenant_routes
from services.webhooks.api.examples import example_routes
from services.webhooks.api.replays import replay_routes
from services.webhooks.api.rules import rule_routes
from services.webhooks.directory import Directory
from services.webhooks.document_changes import DocumentChanges
from services.webhooks.domain.masking import BodyPolicy
from services.webhooks.domain.trouble import Troubles
from services.webhooks.dry_run import DryRun
from services.webhooks.health import Health
from services.webhooks.redelivery import Redelivery
from services.webhooks.replays import ReplayStore
from services.webhooks.secret_book import SecretBook

_ABOUT: Final = (
    "What was sent to a contact centre's endpoints, and sending it again. Endpoints and rules stand in the tenant's "
    "document, which the console keeps: a change asked for here is one of its versions. Every error is a problem (RFC "
    "9457)."
)
COOKIE: Final = "ringmaster_webhooks"
PAGE: Final = Path(__file__).resolve().parent / "page"
TITLE: Final = {"en": "Webhooks", "uk": "Вебхуки"}


@dataclass(frozen=True, slots=True)
class Desk:
    """What people and programs ask the service for."""

    directory: Directory
    health: Health
    journal: Journal
    redelivery: Redelivery
    secrets: SecretBook
    replays: ReplayStore
    dry_run: DryRun
    changes: DocumentChanges
    policy: BodyPolicy
    clock: Clock
    troubles: Troubles


def add_routes(app: Flask, desk: Desk, tokens: Holders, stopping: Flag) -> None:
    """Let the application answer them: the API under /v1, and a page for people."""
    admission = Admission(tokens, COOKIE, lambda why: metrics.DENIED.labels(why).inc())
    answer_refusals(app)
    hold_to_description(app)
    app.register_blueprint(openapi_routes(About("Ringmaster webhooks", _ABOUT)))
    journal, clock = desk.journal, desk.clock
    app.register_blueprint(tenant_routes(admission, desk.directory))
    app.register_blueprint(
        endpoint_routes(
            admission,
            desk.directory,
            desk.health,
            journal,
            desk.redelivery,
            desk.secrets,
            clock,
            desk.troubles,
        )
    )
    app.register_blueprint(
        delivery_routes(
            admission,
            journal,
            desk.redelivery,
            desk.directory,
            desk.policy,
            clock,
            desk.troubles,
            stopping,
        )
    )
    app.register_blueprint(example_routes(admission, desk.directory, desk.redelivery, clock))
    app.register_blueprint(replay_routes(admission, desk.replays, desk.directory, clock, desk.troubles))
    app.register_blueprint(rule_routes(admission, desk.directory, desk.dry_run))
    app.register_blueprint(document_routes(admission, desk.changes, desk.directory, desk.secrets))
    app.register_blueprint(page_routes(admission, Pages(PAGE, TITLE, "webhooks")))
