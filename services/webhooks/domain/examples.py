"""An example of each event, made of the contract's own messages: what a receiver will get, and what is no fact."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.domain.payload import PayloadForm, payload_of

EXAMPLE: Final = "example"
"""A receiver knows an example by its ids (webhook, event, call), which begin so, by a header and by this field."""
MARK: Final = f"{EXAMPLE}-"
Values = Mapping[str, Any]
_BODIES: Final = {field.name: field for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields}
_TYPES: Final = {name.replace("_", ".", 1): name for name in _BODIES}
_MOMENT: Final = "google.protobuf.Timestamp"
_WITHOUT_CALL: Final = frozenset(("agent", "campaign", "config", "kpi", "limit", "person", "report", "switch"))
"""Families of events that belong to no call."""


def event_types() -> list[str]:
    """Return the types of all public events, as the contract has them."""
    return list(_TYPES)


def is_example(delivery_id: str) -> bool:
    """Whether a delivery is an example."""
    return delivery_id.startswith(MARK)


def example_of(event_type: str, tenant_id: str, mark: str, now_ms: int, values: Values) -> Event:
    """Return an example of a type; `mark` tells it from others, `values` is the table. Raises KeyError for no type."""
    body = _BODIES[_TYPES[event_type]]
    assert body.message_type is not None  # noqa: S101 - each body is a message
    name = f"{MARK}{mark}"
    call_id = "" if event_type.partition(".")[0] in _WITHOUT_CALL else f"{MARK}call-{mark}"
    event = Event(event_id=name, tenant_id=tenant_id, call_id=call_id, sequence=1, subject=call_id or name)
    event.time.FromMilliseconds(now_ms)
    document = _filled(body.message_type, body.name, now_ms, values)
    getattr(event, body.name).SetInParent()
    ParseDict(document, getattr(event, body.name))
    return event


def example_payload(event: Event, event_type: str, form: PayloadForm) -> bytes:
    """Return what is sent of an example: as of every event, and marked where no template says what it holds."""
    payload = payload_of(event, event_type, form)
    return payload if form.template else orjson.dumps(orjson.loads(payload) | {EXAMPLE: True})


def unknown_fields(values: Values) -> list[str]:
    """Return the fields of events that the table says nothing of."""
    found: set[str] = set()
    for name, field in _BODIES.items():
        assert field.message_type is not None  # noqa: S101 - each body is a message
        found |= _unknown(field.message_type, name, values)
    return sorted(found)


def _filled(message: Descriptor, owner: str, now_ms: int, values: Values) -> dict[str, Any]:
    document = {}
    for field in message.fields:
        value = _value(field, owner, values)
        if value is not None:
            document[field.name] = _shaped(field, value, now_ms, values)
    return document


def _shaped(field: FieldDescriptor, value: Any, now_ms: int, values: Values) -> Any:
    kind = field.message_type
    if kind is None or kind.GetOptions().map_entry:
        return value
    if kind.full_name == _MOMENT:
        moment = datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(seconds=value)
        return moment.isoformat().replace("+00:00", "Z")
    if field.is_repeated:
        return [_filled(kind, kind.name, now_ms, values) | one for one in value]
    return _filled(kind, kind.name, now_ms, values) | value


def _unknown(message: Descriptor, owner: str, values: Values) -> set[str]:
    found: set[str] = set()
    for field in message.fields:
        if field.name not in values and f"{owner}.{field.name}" not in values:
            found.add(f"{owner}.{field.name}")
        kind = field.message_type
        if kind is not None and not kind.GetOptions().map_entry and not kind.full_name.startswith("google."):
            found |= _unknown(kind, kind.name, values)
    return found


def _value(field: FieldDescriptor, owner: str, values: Values) -> Any:
    return values.get(f"{owner}.{field.name}", values.get(field.name))
