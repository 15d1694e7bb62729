"""Builds the role `transcribe` from its settings; the only place where its parts meet."""

from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from gevent.event import Event as Flag

from services.recorder import metrics
from services.recorder.adapters.jobs import Jobs
from services.recorder.adapters.listeners import Listeners
from services.recorder.adapters.mongo import RecordingDocuments
from services.recorder.adapters.s3 import ObjectStore
from services.recorder.adapters.scribes import Scribe, ScribeSettings
from services.recorder.adapters.tenants import TenantDocuments
from services.recorder.adapters.transcript_events import TranscriptEvents
from services.recorder.adapters.transcripts import Transcripts
from services.recorder.api.transcripts import Shelf, transcripts_api
from services.recorder.clips import Clips
from services.recorder.domain.analytics.analysis import Analyst
from services.recorder.errors import TryAgain
from services.recorder.intake import Intake
from services.recorder.transcribe_settings import TranscribeSettings
from services.recorder.transcribing import Desk, Transcribing
from services.shared.access import BadTokens, Holders
from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings, tell_nobody
from services.shared.bus.topics import CALLS, CLIPS, TENANTS
from services.shared.chassis.admission import answer_refusals
from services.shared.chassis.clock import Clock
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.watch import Watch, trouble_of, watch_broker, watch_documents
from services.shared.chassis.web import serve, service_app

ORDERS, MENUS = "recorder.transcribe", "recorder.clips"
"""The groups that share recordings, and short sounds of menus."""
GATHER_MS = 500
"""A recording may be ordered so much later."""
MEASURE_SECONDS = 10.0
RENEWALS = 3
"""So often a lease is renewed before it would run out."""
THREADS = range(1, 65)


@dataclass(frozen=True, slots=True)
class Transcriber:
    """The parts that run."""

    tenants: TenantDocuments
    intake: Intake
    worker: Transcribing
    clips: Clips
    jobs: Jobs
    app: Flask
    watches: tuple[Watch, ...]


def build(settings: TranscribeSettings, clock: Clock) -> Transcriber:
    """Build everything without touching the network. Raises SettingsError."""
    _check(settings)
    store = _store(settings)
    recordings = RecordingDocuments(settings.mongodb_uri)
    database = recordings.database
    client, bootstrap, readings = f"recorder-{settings.node}", settings.kafka_bootstrap, Readings()
    of_tenants = readings.of(TENANTS)
    of_orders = readings.of(CALLS, ORDERS) if settings.transcribe_recordings else tell_nobody
    of_menus = readings.of(CLIPS, MENUS) if settings.transcribe_clips else tell_nobody
    tenants = TenantDocuments(lambda: Consumer(bootstrap, None, [TENANTS], client, tells=of_tenants))
    jobs, transcripts = Jobs(database, settings.transcribe_lease_seconds, clock.wall), Transcripts(database)
    events = TranscriptEvents(lambda: Producer(settings.kafka_bootstrap, client))
    longest_ms = int(settings.transcribe_longest_seconds * 1000)
    desk = Desk(jobs, transcripts, store, events, tenants.of, clock, longest_ms)
    worker = Transcribing(desk, _scribe(settings, settings.transcribe_engine), Analyst())
    intake = Intake(
        lambda: Consumer(bootstrap, ORDERS, [CALLS], client, gather_ms=GATHER_MS, tells=of_orders),
        tenants.of,
        jobs,
        transcripts,
        clock,
    )
    clips = Clips(
        lambda: Consumer(bootstrap, MENUS, [CLIPS], f"{client}-clips", tells=of_menus),
        lambda: Producer(settings.kafka_bootstrap, f"{client}-clips"),
        _scribe(settings, settings.transcribe_clip_engine or settings.transcribe_engine),
        clock,
    )
    watches = (watch_broker(settings.kafka_bootstrap), watch_documents(database))
    app = service_app("transcribe", lambda: _readiness(worker, readings, watches))
    if settings.api_tokens is not None:
        answer_refusals(app)
        shelf = Shelf(transcripts, recordings, jobs, Listeners(database), clock.now_us)
        app.register_blueprint(transcripts_api(shelf, _tokens(settings.api_tokens)))
    return Transcriber(tenants, intake, worker, clips, jobs, app, watches)


def start(transcriber: Transcriber, settings: TranscribeSettings, supervisor: Supervisor) -> None:
    """Start every greenlet. Raises OSError when the port is taken."""
    stopping = supervisor.stopping
    serve(supervisor, transcriber.app, settings.http_host, settings.http_port)
    supervisor.spawn("tenants", transcriber.tenants.run, stopping)
    if settings.transcribe_recordings:
        lease_seconds = settings.transcribe_lease_seconds / RENEWALS
        supervisor.spawn("intake", transcriber.intake.run, stopping, transcriber.tenants.loaded)
        supervisor.spawn("worker", _work, transcriber, stopping)
        supervisor.spawn("lease", transcriber.worker.keep_lease, stopping, lease_seconds)
        supervisor.spawn("measuring", _measure, transcriber.jobs, stopping)
    if settings.transcribe_clips:
        supervisor.spawn("clips", transcriber.clips.run, stopping)
    for watch in transcriber.watches:
        supervisor.spawn(f"{watch.dependency}-watch", watch.run, stopping)


def _work(transcriber: Transcriber, stopping: Flag) -> None:
    # A rule is a tenant's: without the documents a talk would be judged by none.
    while not stopping.is_set() and not transcriber.tenants.loaded.wait(1.0):
        pass
    transcriber.worker.run(stopping)


def _measure(jobs: Jobs, stopping: Flag) -> None:
    while not stopping.wait(MEASURE_SECONDS):
        try:
            for state, count in jobs.counts().items():
                metrics.TRANSCRIPTION_JOBS.labels(state.value).set(count)
        except TryAgain:
            continue  # the watch of the document store tells it


def _scribe(settings: TranscribeSettings, engine: str) -> Scribe:
    made_of = ScribeSettings(
        engine,
        str(settings.transcribe_models),
        settings.transcribe_threads,
        settings.transcribe_memory_bytes,
        settings.transcribe_device,
    )
    return Scribe(made_of, settings.transcribe_step_seconds)


def _store(settings: TranscribeSettings) -> ObjectStore:
    try:
        return ObjectStore(
            settings.s3_endpoint,
            settings.s3_bucket,
            settings.s3_access_key,
            settings.s3_secret_key,
            settings.s3_region,
        )
    except ValueError as error:
        raise SettingsError([f"RINGMASTER_S3_ENDPOINT: {error}"]) from error


def _tokens(path: Path) -> Holders:
    try:
        return TokensFile(path)
    except BadTokens as error:
        raise SettingsError([f"RINGMASTER_API_TOKENS: {error}"]) from error


def _check(settings: TranscribeSettings) -> None:
    faults = []
    if settings.transcribe_threads not in THREADS:
        faults.append(f"RINGMASTER_TRANSCRIBE_THREADS must be {THREADS.start} to {THREADS.stop - 1}")
    if settings.transcribe_device not in ("cpu", "cuda"):
        faults.append("RINGMASTER_TRANSCRIBE_DEVICE must be cpu or cuda")
    if faults:
        raise SettingsError(faults)


def _readiness(worker: Transcribing, readings: Readings, watches: tuple[Watch, ...]) -> tuple[bool, str]:
    trouble = trouble_of(*watches) or readings.trouble or worker.trouble
    return not trouble, trouble
