"""What conditions and texts know of a public event, by names that do not depend on its type (SPEC 7.4).

The values of an event are written by callers and phones: here they become one line of bounded length, so that nobody
who puts them somewhere has to think of line ends.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from services.shared.bus.events import event_type
from services.shared.contracts.ringmaster.v1.event_pb2 import Event, MessageRequested
from services.shared.expressions import Value
from services.shared.phone_number import as_known

MAX_TEXT: Final = 200
MAX_MESSAGE: Final = 1_000
"""Of what an agent writes to a caller."""
PLAIN: Final = (
    "type",
    "call_id",
    "caller",
    "caller_name",
    "line",
    "queue",
    "agent",
    "waited",
    "count",
    "time",
    "hour",
    "weekday",
)
"""`waited` is seconds, `count` how many the rule's window holds; time, hour and weekday are the tenant's own."""
_BODIES: Final = Event.DESCRIPTOR.oneofs_by_name["body"].fields
_TEXT, _BOOL, _ENUM = FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_BOOL, FieldDescriptor.CPPTYPE_ENUM
_SCALARS: Final = frozenset(
    (
        *(FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_DOUBLE),
        *(FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64, _TEXT, _BOOL, _ENUM),
    )
)
_MESSAGE_TEXT: Final = MessageRequested.DESCRIPTOR.fields_by_name["text"]
_FIELDS: Final = {
    body.name: tuple(
        field for field in body.message_type.fields if field.cpp_type in _SCALARS and not field.is_repeated
    )
    for body in _BODIES
    if body.message_type is not None
}
_WITH_PARTY: Final = frozenset(
    body.name
    for body in _BODIES
    if body.message_type is not None
    for field in body.message_type.fields
    if field.name == "caller" and field.message_type is not None
)
EVENT_FIELDS: Final = frozenset(field.name for fields in _FIELDS.values() for field in fields)
NAMES: Final[Mapping[str, frozenset[str] | None]] = dict.fromkeys(PLAIN) | {"event": EVENT_FIELDS}
"""For conditions: `event.exit == 'abandoned'`."""
PLACES: Final = frozenset(PLAIN) | {f"event.{name}" for name in EVENT_FIELDS}
"""For texts: `{caller}`, `{event.exit}`."""


def facts_of(event: Event, time_zone: str = "UTC", count: int = 1) -> dict[str, Any]:
    """Return the values of NAMES; `event` holds the fields that this event's type has. The body must be set."""
    name = event.WhichOneof("body") or ""
    body = getattr(event, name)
    fields = {field.name: _value(field, getattr(body, field.name)) for field in _FIELDS[name]}
    party = body.caller if name in _WITH_PARTY else None
    local = datetime.fromtimestamp(event.time.seconds, UTC).astimezone(_zone(time_zone))
    return {
        "type": event_type(event),
        "call_id": one_line(event.call_id),
        "caller": _number_of(body) if party else fields.get("number") or fields.get("caller", ""),
        "caller_name": one_line(party.name) if party else fields.get("name", ""),
        "line": fields.get("line", ""),
        "queue": fields.get("queue_id") or _queue_of(str(fields.get("subject", ""))),
        "agent": fields.get("agent_id", ""),
        "waited": int(fields.get("wait_ms", fields.get("waited_ms", 0))) // 1000,
        "count": count,
        "time": local.strftime("%d.%m.%Y %H:%M"),
        "hour": local.hour,
        "weekday": local.isoweekday(),
        "event": fields,
    }


def places_of(facts: Mapping[str, Any]) -> dict[str, Value]:
    """Return facts as the values of PLACES."""
    flat = {name: value for name, value in facts.items() if name != "event"}
    return flat | {f"event.{name}": value for name, value in facts["event"].items()}


def one_line(text: str, most: int = MAX_TEXT) -> str:
    """Return hostile text as one printable line of so many characters at most."""
    cut = text[:most]
    return cut if cut.isprintable() else "".join(sign if sign.isprintable() else " " for sign in cut)


def _number_of(body: Any) -> str:
    """Return who calls, spelt as everywhere: the log may hold events from before the router told E.164."""
    return one_line(as_known(body.caller.number, getattr(body, "line", "")))


def _queue_of(subject: str) -> str:
    return subject.removeprefix("queue:") if subject.startswith("queue:") else ""


def _value(field: FieldDescriptor, value: Any) -> Value:
    if field.cpp_type == _ENUM:
        return _words_of(field.enum_type).get(value, str(value))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return str(value[: MAX_TEXT // 2].hex())
    if field.cpp_type == _TEXT:
        return one_line(value, MAX_MESSAGE if field is _MESSAGE_TEXT else MAX_TEXT)
    plain: Value = value
    return plain


@lru_cache(maxsize=64)
def _words_of(enum: EnumDescriptor) -> dict[int, str]:
    """Return `short_abandoned` for CALL_EXIT_SHORT_ABANDONED."""
    names = {value.number: value.name for value in enum.values}
    prefix = names[0].removesuffix("UNSPECIFIED")
    return {number: "" if number == 0 else name.removeprefix(prefix).lower() for number, name in names.items()}


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (LookupError, OSError, ValueError):
        # A document with another one is refused before it comes here.
        return ZoneInfo("UTC")
