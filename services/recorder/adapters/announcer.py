"""Tells the other services what became of a recording: recording.stored and recording.failed on ringmaster.calls."""

from collections.abc import Callable
from typing import Protocol

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.domain.location import CallId, Location, RecordingId, TenantId, event_id
from services.recorder.errors import TryAgain
from services.shared.bus.errors import BusError
from services.shared.bus.events import publish_event
from services.shared.bus.ports import Sender
from services.shared.contracts.ringmaster.v1.event_pb2 import (
    Event,
    RecordingDeleted,
    RecordingFailed,
    RecordingStored,
)

ACKNOWLEDGE_SECONDS = 15.0


class NotAnnounced(TryAgain):
    """The broker is away or has not acknowledged."""

    outcome = "not_announced"
    is_outage = True


class Producing(Sender, Protocol):
    """A sender that can be ended."""

    def close(self) -> None:
        """End the connection."""


class Announcer:
    """Publishes and waits for the broker's acknowledgement. Ids are derived: a second announcement is the same one."""

    def __init__(self, connect: Callable[[], Producing]) -> None:
        self._connect = connect
        self._producer: Producing | None = None

    def stored(self, document: RecordingDocument) -> None:
        """Say that a recording is safe. Raises NotAnnounced."""
        location = Location(TenantId(document.tenant_id), CallId(document.call_id), RecordingId(document.recording_id))
        event = _event("recording.stored", location, document.stored_us)
        event.recording_stored.CopyFrom(
            RecordingStored(
                recording_id=document.recording_id,
                bucket=document.bucket,
                key=document.key,
                size_bytes=document.size_bytes,
                sha256=document.sha256,
                duration_ms=document.duration_ms,
                channels=document.channels,
                media_type=document.media_type,
                silent=document.silent,
                repaired=document.repaired,
                source_sha256=document.source_sha256,
            )
        )
        self._publish(event)

    def failed(self, location: Location, reason: str, at_us: int) -> None:
        """Say that a recording can't be kept. Raises NotAnnounced."""
        event = _event("recording.failed", location, at_us)
        event.recording_failed.CopyFrom(RecordingFailed(recording_id=location.recording_id, reason=reason, final=True))
        self._publish(event)

    def deleted(self, document: RecordingDocument, actor: str) -> None:
        """Say that a recording was deleted. Raises NotAnnounced."""
        location = Location(TenantId(document.tenant_id), CallId(document.call_id), RecordingId(document.recording_id))
        event = _event("recording.deleted", location, document.deleted_us)
        event.recording_deleted.CopyFrom(
            RecordingDeleted(recording_id=document.recording_id, reason=document.delete_reason, actor=actor)
        )
        self._publish(event)

    def erased(self, answer: Event) -> None:
        """Say what was removed of a person. Raises NotAnnounced."""
        self._publish(answer)

    def _publish(self, event: Event) -> None:
        try:
            publish_event(self._connected(), event, "recorder").wait(ACKNOWLEDGE_SECONDS)
        except BusError as error:
            raise NotAnnounced(str(error)) from error

    def _connected(self) -> Sender:
        if self._producer is None:
            producer = self._connect()
            if self._producer is None:
                self._producer = producer
            else:
                producer.close()  # another worker was quicker
        return self._producer


def _event(kind: str, location: Location, at_us: int) -> Event:
    event = Event(
        event_id=event_id(kind, location),
        tenant_id=location.tenant_id,
        call_id=location.call_id,
        subject=location.call_id,
    )
    event.time.FromMicroseconds(at_us)
    return event
