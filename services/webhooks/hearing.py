from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from services.shared.bus.events import event_type
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.domain.payload import EVERYTHING, PayloadForm, payload_of

Place = tuple[str, int]
# Thousands of events may wait for one part of the service: what is kept of each is small, whatever a tenant's templates
# make of it.
MOST_FORMS = 4
MOST_KEPT_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Heard:
    """One record of ringmaster.calls, decoded once for all who want it."""

    record: Record
    event: Event | None
    kind: str = ""
    fault: str = ""
    """Why there is no event."""
    _payloads: dict[PayloadForm, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def place(self) -> Place:
        """The partition."""
        return self.record.topic, self.record.partition

    def payload(self, form: PayloadForm = EVERYTHING) -> bytes:
        """Return what is sent of the event, in most forms written once. Raises ValueError where that can't be."""
        found = self._payloads.get(form)
        if found is None:
            assert self.event is not None  # noqa: S101 - whoever asks has looked
            found = payload_of(self.event, self.kind, form)
            if len(self._payloads) < MOST_FORMS and len(found) <= MOST_KEPT_BYTES:
                self._payloads[form] = found
        return found


@dataclass(frozen=True, slots=True)
class Turn:
    """What one look at the log has brought, the same for all who follow it."""

    heard: tuple[Heard, ...]
    owned: Mapping[Place, int]
    """The partitions that are this process's, and where it began to read each."""
    at_end_ms: int = 0
    """Nothing was there: everything told before this moment of platform time was heard. 0 where something was."""
    epoch: int = 0
    partitions: int = 0
    """How many the topic has; 0 while that is not known."""


def heard(record: Record) -> Heard:
    """Decode a record."""
    try:
        event = Event.FromString(record.value)
    except DecodeError:
        return Heard(record, None, fault="not an event")
    if event.WhichOneof("body") is None:
        return Heard(record, None, fault="an event without a body, or of a type that is not known here")
    if event.tenant_id != record.key:
        return Heard(record, None, fault="an event under another tenant's key")
    return Heard(record, event, event_type(event))


def read_event(record: Record) -> Event | None:
    """Return a record's event, None for what is none."""
    return heard(record).event if record.topic == CALLS else None
