from dataclasses import dataclass
from typing import Any

import orjson

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.domain.plain import plain
from services.webhooks.domain.template import filled, template_of

ENVELOPE = ("event_id", "tenant_id", "call_id", "sequence")


@dataclass(frozen=True, slots=True)
class PayloadForm:
    """What an endpoint wants to be told. A template rules over `is_thin`; `is_protobuf` is the event as it is."""

    is_thin: bool = False
    template: str = ""
    is_protobuf: bool = False


EVERYTHING = PayloadForm()


def payload_of(event: Event, event_type: str, form: PayloadForm = EVERYTHING) -> bytes:
    """Return the JSON that is signed and sent: type, timestamp (RFC 3339, UTC) and data (Standard Webhooks 1.0.0).

    `data` is the body in protobuf's JSON with the names of the contract (64-bit numbers are texts, unset plain fields
    are there), and what every event has: ENVELOPE. A thin payload has ENVELOPE alone. A template replaces it all; it
    sees the same document. The body must be set.
    """
    if form.is_protobuf:
        return event.SerializeToString()
    data: dict[str, Any] = {}
    if form.template or not form.is_thin:
        body = getattr(event, event.WhichOneof("body") or "")
        data = plain(body)
    data |= {
        "event_id": event.event_id,
        "tenant_id": event.tenant_id,
        "call_id": event.call_id,
        "sequence": str(event.sequence),
    }
    document = {"type": event_type, "timestamp": event.time.ToJsonString(), "data": data}
    return orjson.dumps(filled(template_of(form.template), document) if form.template else document)
