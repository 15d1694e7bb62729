"""From public events to the call log: what each event writes into its call's document (DESIGN rule 9)."""

from collections.abc import Callable
from typing import Any

from services.shared.contracts.ringmaster.v1.event_pb2 import CallExit, Event
from services.shared.contracts.ringmaster.v1.switch_pb2 import DIRECTION_OUTBOUND
from services.shared.phone_number import as_known
from services.stats.domain import trace
from services.stats.domain.exits import counted

INBOUND = "inbound"
OUTBOUND = "outbound"
"""A customer whom we called; every other call came to us."""

RECORDINGS = "recordings"
"""The field of a call's recordings, by id."""

# Fields to set in the call's document, or None for an event that the log does not keep.
Fields = dict[str, Any]


def fields_of(event: Event) -> Fields | None:
    """Return what an event says of its call. Each field is said by one event only; order and repeats change nothing."""
    if not event.call_id:
        return None
    writer = _WRITERS.get(event.WhichOneof("body") or "")
    fields = writer(event) if writer is not None else {}
    record = trace.record_of(event)
    if record is not None:
        fields[trace.key_of(event)] = record
    return fields or None


def read(document: Fields) -> Fields:
    """Return a call's document as people read it."""
    return document | {"exit": exit_of(document)} if "exit" in document else document


def exit_of(document: Fields) -> str:
    """Return the exit that counts; empty while the call goes on."""
    return counted(document.get("exit", ""), is_answered=bool(document.get("answered")))


def _started(event: Event) -> Fields:
    body = event.call_started
    return {
        "line": body.line,
        "caller_number": as_known(body.caller.number, body.line),
        "started_ms": event.time.ToMilliseconds(),
        "started": True,
        "direction": OUTBOUND if body.callback_id or body.direction == DIRECTION_OUTBOUND else INBOUND,
    }


def _dialled(_event: Event) -> Fields:
    return {"dialled": True}


def _answered(event: Event) -> Fields:
    body = event.call_answered
    return {"answered": True, "answered_by": body.agent_id, "wait_ms": body.wait_ms, "answered_queue": body.queue_id}


def _ended(event: Event) -> Fields:
    body = event.call_ended
    return {
        "ended": True,
        "exit": CallExit.Name(body.exit).removeprefix("CALL_EXIT_").lower(),
        "ended_ms": event.time.ToMilliseconds(),
        "talk_ms": body.talk_ms,
        "hangup_cause": body.hangup_cause,
    }


def _stored(event: Event) -> Fields:
    body = event.recording_stored
    return {f"{RECORDINGS}.{body.recording_id.replace('.', '_')}": {"key": body.key, "duration_ms": body.duration_ms}}


_WRITERS: dict[str, Callable[[Event], Fields]] = {
    "call_started": _started,
    "callback_attempted": _dialled,
    "call_answered": _answered,
    "call_ended": _ended,
    "recording_stored": _stored,
}
