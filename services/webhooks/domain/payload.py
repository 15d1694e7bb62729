import orjson
from google.protobuf.json_format import MessageToDict

from services.shared.contracts.ringmaster.v1.event_pb2 import Event

ENVELOPE = ("event_id", "tenant_id", "call_id", "sequence")


def payload_of(event: Event, event_type: str) -> bytes:
    """Return the JSON that is signed and sent: type, timestamp (RFC 3339, UTC) and data (Standard Webhooks 1.0.0).

    `data` is the body in protobuf's JSON with the names of the contract (64-bit numbers are texts, unset plain fields
    are there), and what every event has: ENVELOPE. The body must be set.
    """
    body = getattr(event, event.WhichOneof("body") or "")
    data = MessageToDict(body, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    data |= {
        "event_id": event.event_id,
        "tenant_id": event.tenant_id,
        "call_id": event.call_id,
        "sequence": str(event.sequence),
    }
    return orjson.dumps({"type": event_type, "timestamp": event.time.ToJsonString(), "data": data})
