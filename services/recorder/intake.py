"""Hears of recordings on ringmaster.calls and orders what tenants want written down."""

from collections.abc import Callable
from typing import Final, Protocol

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.recorder import metrics
from services.recorder.adapters.jobs import Jobs
from services.recorder.adapters.transcripts import Context, Transcripts
from services.recorder.domain.transcript.job import Job, Source
from services.recorder.domain.transcript.masking import Mark, MarkKind
from services.recorder.domain.transcript.policy import wishes_for
from services.recorder.domain.transcript.transcript import Subject
from services.recorder.errors import TryAgain
from services.shared.bus.errors import BusError, Rebalancing
from services.shared.bus.record import Record
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, TranscriptionMode

POLL_SECONDS: Final = 1.0
RECONNECT_SECONDS: Final = 3.0
_MARKS: Final = {
    "recording.paused": MarkKind.PAUSED,
    "recording.masked": MarkKind.MASKED,
    "recording.resumed": MarkKind.RESUMED,
}
_WANTED: Final = frozenset({"recording.started", "recording.stored", "recording.deleted", *_MARKS})

log = structlog.get_logger()


class Reading(Protocol):
    """What is read of the bus."""

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records."""

    def commit(self, positions: dict[tuple[str, int], int]) -> None:
        """Say that everything before these offsets has had its effect."""

    def close(self) -> None:
        """Leave."""


class Intake:
    """One of a group of readers. Every effect comes before its offset and may come twice."""

    def __init__(
        self,
        connect: Callable[[], Reading],
        documents: Callable[[str], TenantDocument],
        jobs: Jobs,
        transcripts: Transcripts,
        clock: Clock,
    ) -> None:
        """`documents` returns a tenant's newest document, an empty one for a tenant that is not known."""
        self._connect = connect
        self._documents = documents
        self._jobs = jobs
        self._transcripts = transcripts
        self._clock = clock
        self.trouble = "the stored recordings were not looked at yet"

    def run(self, stopping: Flag, is_ready: Flag) -> None:
        """Read until the service stops, once the tenants' documents are known."""
        while not stopping.is_set() and not is_ready.wait(POLL_SECONDS):
            pass
        while not stopping.is_set():
            try:
                self._read(stopping)
            except (BusError, TryAgain) as error:
                self.trouble = str(error)
                log.warning("intake_interrupted", reason=str(error))
                stopping.wait(RECONNECT_SECONDS)

    def _read(self, stopping: Flag) -> None:
        reader = self._connect()
        try:
            while not stopping.is_set():
                records = reader.poll(POLL_SECONDS)
                self.trouble = ""
                for record in records:
                    self.take(record)
                if records:
                    try:
                        reader.commit({(record.topic, record.partition): record.offset + 1 for record in records})
                    except Rebalancing:
                        continue  # what is not committed comes again, and changes nothing
        finally:
            reader.close()

    def take(self, record: Record) -> None:
        """Act on one record. Raises DocumentsFailed."""
        kind = record.headers.get("ce_type", "")
        if kind not in _WANTED:
            return
        try:
            event = Event.FromString(record.value)
        except DecodeError:
            metrics.TRANSCRIPTION_ORDERS.labels("unreadable").inc()
            log.exception("event_unreadable", partition=record.partition, offset=record.offset)
            return
        if kind == "recording.deleted":
            self._forget(event.recording_deleted.recording_id)
        elif kind == "recording.stored":
            metrics.TRANSCRIPTION_ORDERS.labels(self._order(event)).inc()
        elif _may_transcribe(self._documents(event.tenant_id)):
            self._note(kind, event)

    def _note(self, kind: str, event: Event) -> None:
        if kind == "recording.started":
            started = event.recording_started
            started_us = event.time.ToMicroseconds()
            context = Context(started.queue_id, started.agent_id, started_us, language=started.language)
            self._transcripts.note_start(started.recording_id, event.tenant_id, context)
            return
        body = getattr(event, kind.replace(".", "_"))
        mark = Mark(event.time.ToMicroseconds(), _MARKS[kind])
        self._transcripts.note_mark(body.recording_id, event.tenant_id, event.event_id, mark)

    def _order(self, event: Event) -> str:
        stored = event.recording_stored
        document = self._documents(event.tenant_id)
        if not _may_transcribe(document):
            return "not_wanted"
        if stored.silent:
            return "silent"
        context = self._transcripts.context(stored.recording_id)
        wishes = wishes_for(document, stored.recording_id, context.queue_id, context.language)
        if wishes is None:
            return "not_wanted"
        subject = Subject(
            event.tenant_id,
            event.call_id,
            stored.recording_id,
            stored.duration_ms,
            context.started_us or event.time.ToMicroseconds(),
            context.queue_id,
            context.agent_id,
        )
        source = Source(stored.bucket, stored.key, stored.size_bytes, stored.sha256, stored.media_type, stored.channels)
        is_new = self._jobs.put(Job(subject, source, wishes, context.started_us), self._clock.now_us())
        return "ordered" if is_new else "ordered_before"

    def _forget(self, recording_id: str) -> None:
        # The job first: a worker that still writes the transcript finds its claim gone, and the next line deletes it.
        self._jobs.forget(recording_id)
        self._transcripts.delete(recording_id)
        metrics.TRANSCRIPTION_ORDERS.labels("deleted").inc()


def _may_transcribe(document: TenantDocument) -> bool:
    """Whether a tenant has anything written down at all: who has not costs nothing."""
    policy = document.transcription
    wanted = TranscriptionMode.TRANSCRIPTION_MODE_ALL
    return policy.mode == wanted or any(queue.mode == wanted for queue in policy.queues)
