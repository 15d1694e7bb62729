"""Hears of its own node's recordings: whose call each is, and that it is complete, so that it is stored at once.

It hears of persons to erase too: every recorder does, and the one that keeps house erases them.
"""

from collections.abc import Callable
from typing import Protocol

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.recorder import metrics
from services.recorder.domain.location import Location, NotALocation, location_of
from services.recorder.domain.naming import CallNote
from services.recorder.errors import TryAgain
from services.recorder.storing import Outcome
from services.shared.bus.errors import BusError
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.event_pb2 import Event, RecordingStarted, RecordingStopped
from services.shared.erased import REQUESTED

POLL_SECONDS = 1.0
RECONNECT_SECONDS = 3.0
STARTED, STOPPED = "recording.started", "recording.stopped"

log = structlog.get_logger()


class Reading(Protocol):
    """What is read of the bus."""

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records."""

    def commit(self, positions: dict[tuple[str, int], int]) -> None:
        """Say that everything before these offsets has had its effect."""

    def close(self) -> None:
        """Leave."""


class CallNotes:
    """Keeps whose call each recording is, until it is stored, and where it is stored already."""

    def __init__(
        self,
        keep: Callable[[Location, CallNote], None],
        note_stored: Callable[[Location, CallNote], None],
        now_us: Callable[[], int],
        settle_seconds: float,
    ) -> None:
        """After `settle_seconds` without an event a recording may be stored without its call."""
        self._keep = keep
        self._note_stored = note_stored
        self._now_us = now_us
        self._settle_us = settle_seconds * 1_000_000

    def take(self, location: Location, note: CallNote, begun_us: int) -> str:
        """Keep a note and return what was done. Raises TryAgain.

        What comes late, as after a broker that was away, may find the recording stored: a document that knows no caller
        is one that no erasure finds. The note's file comes first: who stores it now looks for that at the end.
        """
        outcome = "noted"
        try:
            self._keep(location, note)
        except OSError as error:  # a full disk costs the recording its name and its policy's queue, not itself
            log.warning("call_note_not_kept", reason=error.strerror, recording_id=location.recording_id)
            outcome = "not_noted"
        if self._now_us() - begun_us >= self._settle_us:
            self._note_stored(location, note)
        return outcome


class NodeEvents:
    """Offers what this node has finished. An event is a hint: the file on the disk is the truth, the scan finds it."""

    def __init__(
        self,
        node: str,
        connect: Callable[[], Reading],
        offer: Callable[[Location], object],
        is_there: Callable[[Location], bool],
        note_missing: Callable[[Location], Outcome],
        note: Callable[[Location, CallNote, int], str],
        erase: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        """`erase` is told of persons to erase; it raises TryAgain."""
        self._node = node
        self._connect = connect
        self._offer = offer
        self._is_there = is_there
        self._note_missing = note_missing
        self._note = note
        self._erase = erase

    def run(self, stopping: Flag) -> None:
        """Read until the service stops; a broker that is away is asked again."""
        while not stopping.is_set():
            try:
                self._read(stopping)
            except (BusError, TryAgain) as error:
                log.warning("node_events_interrupted", reason=str(error))
                stopping.wait(RECONNECT_SECONDS)

    def _read(self, stopping: Flag) -> None:
        reader = self._connect()
        try:
            while not stopping.is_set():
                records = reader.poll(POLL_SECONDS)
                for record in records:
                    self._take(record)
                if records:
                    reader.commit({(record.topic, record.partition): record.offset + 1 for record in records})
        finally:
            reader.close()

    def _take(self, record: Record) -> None:
        kind = record.headers.get("ce_type")
        if kind not in (STARTED, STOPPED, REQUESTED):
            return
        try:
            event = Event.FromString(record.value)
        except DecodeError:
            metrics.NODE_EVENTS.labels("unreadable").inc()
            log.exception("node_event_unreadable", partition=record.partition, offset=record.offset)
            return
        if kind == REQUESTED:
            self._erase(event)
            return
        told = event.recording_started if event.HasField("recording_started") else event.recording_stopped
        if told.node == self._node:
            metrics.NODE_EVENTS.labels(self._handle(event, told)).inc()

    def _handle(self, event: Event, told: RecordingStarted | RecordingStopped) -> str:
        try:
            location = location_of(told.path)
        except NotALocation as error:
            log.warning("node_event_refused", reason=str(error), call_id=event.call_id)
            return "refused"
        if (location.tenant_id, location.recording_id) != (event.tenant_id, told.recording_id):
            log.warning("node_event_refused", reason="the path is not the event's", call_id=event.call_id)
            return "refused"
        if isinstance(told, RecordingStarted):
            note = CallNote(told.queue_id, told.agent_id, told.caller, told.line)
            return self._note(location, note, event.time.ToMicroseconds())
        return self._stopped(location, told)

    def _stopped(self, location: Location, told: RecordingStopped) -> str:
        if self._is_there(location):
            self._offer(location)
            return "offered"
        if not told.duration_ms:
            return "empty"
        return "lost" if self._note_missing(location) is Outcome.QUARANTINED else "stored_before"
