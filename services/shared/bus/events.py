from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from services.shared.bus.ports import ReceiptPort, Sender
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

_TYPES = {field.name: field.name.replace("_", ".", 1) for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields}


def event_type(event: Event) -> str:
    """Return the public name of an event, for example call.started (SPEC 7.2)."""
    return _TYPES[event.WhichOneof("body") or ""]


def headers_for(event: Event, source: str) -> dict[str, str]:
    """Return the CloudEvents 1.0 attributes of an event in binary mode; `source` is the service that tells it.

    `ce_sequence` is the extension "sequence": it sorts as a text too, and is there where somebody counts.
    """
    return attributes_of(event, event_type(event), source)


def attributes_of(event: Event, kind: str, source: str) -> dict[str, str]:
    """Return the same of an event whose type is known and whose body may be missing."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event.event_id,
        "ce_type": kind,
        "ce_source": f"ringmaster/{source}",
        "ce_time": _time_text(event.time.seconds, event.time.nanos),
        "ce_tenant": event.tenant_id,
        "content-type": "application/protobuf",
    }
    subject = event.subject or event.call_id
    if subject:
        headers["ce_subject"] = subject
    if event.sequence:
        headers["ce_sequence"] = f"{event.sequence:020d}"
    return headers


@lru_cache(maxsize=256)
def _time_text(seconds: int, nanos: int) -> str:
    """Write a moment as RFC 3339; remembered, for the events of one moment come together."""
    return Timestamp(seconds=seconds, nanos=nanos).ToJsonString()


def publish_event(producer: Sender, event: Event, source: str = "router") -> ReceiptPort:
    """Send a public event to its tenant's partition of ringmaster.calls."""
    return producer.send(
        CALLS,
        event.tenant_id,
        event.SerializeToString(),
        timestamp_ms=event.time.ToMilliseconds(),
        headers=headers_for(event, source),
    )
