"""Builds the recorder from its settings; the only place where the parts meet."""

import os
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from services.recorder import metrics
from services.recorder.adapters.announcer import Announcer
from services.recorder.adapters.keeping_documents import KeepingDocuments
from services.recorder.adapters.listeners import Listeners
from services.recorder.adapters.mongo import RecordingDocuments
from services.recorder.adapters.own_files import Notes
from services.recorder.adapters.policies import PolicyReader
from services.recorder.adapters.rclone import Remotes
from services.recorder.adapters.s3 import ObjectStore
from services.recorder.api.admission import admission
from services.recorder.api.keeping import keeping_api
from services.recorder.api.page import read_pages
from services.recorder.api.recordings import Shelf, recordings_api
from services.recorder.api.shared import shared_api
from services.recorder.copying import Copier
from services.recorder.dispatch import Dispatcher
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.bandwidth import Bandwidth
from services.recorder.domain.location import Location
from services.recorder.domain.progress import Step
from services.recorder.keeping import Housekeeper, Persons
from services.recorder.node_events import CallNotes, NodeEvents
from services.recorder.ports import World
from services.recorder.removal import Removal
from services.recorder.scan import Scanner
from services.recorder.settings import Settings
from services.recorder.storing import Limits, Storing
from services.shared.access import BadTokens, Holders
from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings
from services.shared.bus.topics import CALLS, TENANTS
from services.shared.chassis.admission import answer_refusals
from services.shared.chassis.clock import Clock
from services.shared.chassis.erasure_secret import seal_of
from services.shared.chassis.page_routes import page_routes
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.watch import Watch, trouble_of, watch_broker, watch_documents
from services.shared.chassis.web import serve, service_app

ENCRYPTIONS = ("", "AES256", "aws:kms")
GATHER_MS = 200
"""A recording may be found so much later."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """The parts that run."""

    dispatcher: Dispatcher
    scanner: Scanner
    node_events: NodeEvents
    policies: PolicyReader
    housekeeper: Housekeeper
    app: Flask
    broker: Watch
    documents: Watch


def build(settings: Settings, clock: Clock) -> Recorder:
    """Build everything without touching the network. Raises SettingsError when the folder or token file is unusable."""
    _check(settings)
    store, documents = _stores(settings)
    stillness = Stillness()
    client, group, readings = f"recorder-{settings.node}", f"recorder.{settings.node}", Readings()
    of_tenants, of_events = readings.of(TENANTS), readings.of(CALLS, group)
    policies = PolicyReader(lambda: Consumer(settings.kafka_bootstrap, None, [TENANTS], client, tells=of_tenants))
    announcer = Announcer(lambda: Producer(settings.kafka_bootstrap, client))
    storing = Storing(
        settings.recordings_dir,
        World(store, documents, announcer, policies),
        clock,
        _limits(settings),
        stillness,
        _measure_step,
        Bandwidth(settings.recorder_bytes_per_second),
    )
    dispatcher = Dispatcher(
        storing.store,
        settings.recorder_queue_files,
        settings.recorder_retry_first_seconds,
        settings.recorder_retry_longest_seconds,
    )
    scanner = Scanner(settings, storing, dispatcher, stillness)
    keeping, drives = KeepingDocuments(documents.database), Remotes(settings.recorder_rclone_config)
    housekeeper = Housekeeper(
        keeping,
        Removal(store, documents, announcer, clock.now_us, drives),
        policies,
        clock.now_us,
        settings.recorder_keeping_seconds,
        settings.node,
        Copier(keeping, store, drives, clock.now_us).copy_all,
        Persons(seal_of(settings.erasure_secret), announcer),
    )
    node_events = NodeEvents(
        settings.node,
        lambda: Consumer(settings.kafka_bootstrap, group, [CALLS], client, gather_ms=GATHER_MS, tells=of_events),
        dispatcher.offer,
        lambda location: _is_there(settings, location),
        storing.note_missing,
        CallNotes(
            Notes(settings.recordings_dir).keep, documents.note_call, clock.now_us, settings.recorder_settle_seconds
        ).take,
        housekeeper.person_to_erase,
    )
    broker, database = watch_broker(settings.kafka_bootstrap), watch_documents(documents.database)
    app = service_app("recorder", lambda: _readiness(scanner, dispatcher, readings, broker, database))
    if settings.api_tokens is not None:
        answer_refusals(app)
        tokens, pages = _tokens(settings.api_tokens), read_pages()
        shelf = Shelf(documents, store, Listeners(documents.database), clock.now_us, policies.lines)
        app.register_blueprint(recordings_api(shelf, tokens))
        app.register_blueprint(keeping_api(keeping, tokens))
        app.register_blueprint(shared_api(shelf, pages))
        app.register_blueprint(page_routes(admission(tokens), pages))
    return Recorder(dispatcher, scanner, node_events, policies, housekeeper, app, broker, database)


def start(recorder: Recorder, settings: Settings, supervisor: Supervisor) -> None:
    """Start every greenlet. Raises OSError when the port is taken."""
    serve(supervisor, recorder.app, settings.http_host, settings.http_port)
    for number in range(settings.recorder_workers):
        supervisor.spawn(f"worker-{number}", recorder.dispatcher.work, supervisor.stopping)
    supervisor.spawn("scanner", recorder.scanner.run, supervisor.stopping)
    supervisor.spawn("policies", recorder.policies.run, supervisor.stopping)
    supervisor.spawn("housekeeper", recorder.housekeeper.run, supervisor.stopping)
    supervisor.spawn("node-events", recorder.node_events.run, supervisor.stopping)
    supervisor.spawn("broker-watch", recorder.broker.run, supervisor.stopping)
    supervisor.spawn("documents-watch", recorder.documents.run, supervisor.stopping)


def _stores(settings: Settings) -> tuple[ObjectStore, RecordingDocuments]:
    try:
        store = ObjectStore(
            settings.s3_endpoint,
            settings.s3_bucket,
            settings.s3_access_key,
            settings.s3_secret_key,
            settings.s3_region,
        )
    except ValueError as error:
        raise SettingsError([f"RINGMASTER_S3_ENDPOINT: {error}"]) from error
    return store, RecordingDocuments(settings.mongodb_uri)


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.recorder_settle_seconds,
        settings.recorder_max_bytes,
        settings.node,
        settings.recorder_encryption,
        settings.recorder_kms_key_id,
        uploads_at_once=settings.recorder_uploads,
    )


def _tokens(path: Path) -> Holders:
    try:
        return TokensFile(path)
    except BadTokens as error:
        raise SettingsError([f"RINGMASTER_API_TOKENS: {error}"]) from error


def _check(settings: Settings) -> None:
    faults = []
    if not settings.recordings_dir.is_dir():
        faults.append(f"RINGMASTER_RECORDINGS_DIR: {settings.recordings_dir} is not a folder")
    elif not os.access(settings.recordings_dir, os.R_OK | os.W_OK | os.X_OK):
        faults.append(f"RINGMASTER_RECORDINGS_DIR: {settings.recordings_dir} can't be written by this user")
    counts = {"WORKERS": settings.recorder_workers, "UPLOADS": settings.recorder_uploads}
    faults += [f"RINGMASTER_RECORDER_{name} must be at least 1" for name, count in counts.items() if count < 1]
    if settings.recorder_encryption not in ENCRYPTIONS:
        faults.append("RINGMASTER_RECORDER_ENCRYPTION must be empty, AES256 or aws:kms")
    if faults:
        raise SettingsError(faults)


def _is_there(settings: Settings, location: Location) -> bool:
    return os.path.lexists(settings.recordings_dir / location.path)


def _measure_step(step: Step, seconds: float) -> None:
    metrics.STEP_SECONDS.labels(step.value).observe(seconds)


def _readiness(scanner: Scanner, dispatcher: Dispatcher, readings: Readings, *watches: Watch) -> tuple[bool, str]:
    trouble = scanner.trouble or trouble_of(*watches) or readings.trouble or dispatcher.trouble()
    return not trouble, trouble
