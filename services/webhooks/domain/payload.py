from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.payload_templates import BadTemplate, FilledTooLong, filled, template_of
from services.webhooks.domain.plain import plain

ENVELOPE = ("event_id", "tenant_id", "call_id", "sequence")
MOST_BYTES: Final = 900 * 1024
"""Of a payload: with what goes beside it, it fits into a record of the broker's."""


class Unwritable(ValueError):
    """What an endpoint asks for can't be made of an event: its own fault. One sentence for its delivery log."""


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
    sees the same document. The body must be set. Raises Unwritable, and ValueError for an event whose moments are none.
    """
    made = event.SerializeToString() if form.is_protobuf else _json_of(event, event_type, form)
    if len(made) > MOST_BYTES:
        raise Unwritable(f"the event would have {len(made)} bytes, more than the {MOST_BYTES} that are sent")
    return made


def written(make: Callable[[], bytes]) -> tuple[bytes, str]:
    """Return a payload and no error, or nothing and why it can't be made: then its delivery is given up."""
    try:
        return make(), ""
    except Unwritable as error:
        return b"", str(error)


def _json_of(event: Event, event_type: str, form: PayloadForm) -> bytes:
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
    if not form.template:
        return orjson.dumps(document)
    try:
        return orjson.dumps(filled(template_of(form.template), document))
    except BadTemplate as error:
        raise Unwritable(f"the endpoint's template {error}") from error
    except FilledTooLong as error:
        raise Unwritable(str(error)) from error
