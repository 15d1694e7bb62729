"""Which facts the documents keep of each public event: a document grows by facts that never change.

A call's document holds its facts by a key that is the same after any replay, so that repeats and late events change
nothing twice and their order does not matter; numbers are derived from a whole document, never added up on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus
from services.shared.contracts.ringmaster.v1.switch_pb2 import DIRECTION_OUTBOUND, HangupParty

MOST_FACTS: Final = 10_000
"""Of one call, two megabytes: a queue that rings all its agents for half an hour tells thousands of offers. What has a
higher sequence is left out, but for what decides the call: a call is over, however long it rang."""
_DECIDES: Final = ("call_", "queue_")
CALLS: Final = "calls"
AGENT_FACTS: Final = "agent_facts"
CALLBACKS: Final = "callbacks"
HAPPENINGS: Final = "happenings"
FACTS: Final = "facts"
AGENTS_TOGETHER_MS: Final = 2_000
"""Facts of a tenant's agents within such a piece of time share a document: one write takes twenty of them for the price
of one, and more than some hundreds would make each change of the document dear."""
_OF_NO_CALL: Final = ("client_", "limit_", "kpi_", "switch_")
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """Fields that one event sets in one document of a collection; to set them again changes nothing."""

    collection: str
    key: str
    fields: Fields


def change_of(event: ev.Event) -> Change | None:
    """Return what an event changes; None for one that no report needs."""
    name = event.WhichOneof("body") or ""
    keep = _KEPT.get(name)
    if keep is None:
        return None
    body = getattr(event, name)
    fact = {"k": name, "t": event.time.seconds * 1000 + event.time.nanos // 1_000_000, **keep(body)}
    if name.startswith("callback_"):
        return Change(CALLBACKS, body.callback_id, {**_place(event, fact), "callback_id": body.callback_id})
    if name.startswith("agent_"):
        return _of_agent(event, {**fact, "sequence": event.sequence})
    if not event.call_id or name.startswith(_OF_NO_CALL):
        return Change(HAPPENINGS, event.event_id, {**fact, "subject": event.subject, "sequence": event.sequence})
    if event.sequence > MOST_FACTS and not name.startswith(_DECIDES):
        return None
    return Change(CALLS, event.call_id, _place(event, fact))


def _of_agent(event: ev.Event, fact: Fields) -> Change:
    """Return the fact in its time's document, by agent and sequence: a repeat has the same time, so the same place."""
    place = f"{FACTS}.{escaped(fact['agent_id'])}:{event.sequence:010}"
    return Change(AGENT_FACTS, f"{fact['t'] // AGENTS_TOGETHER_MS:013}", {place: fact})


def escaped(name: str) -> str:
    """Return a name that is one field of a document, whatever is written in it."""
    return name.replace("%", "%25").replace(".", "%2e").replace("$", "%24")


def _place(event: ev.Event, fact: Fields) -> Fields:
    """Return the fact where it stands: by sequence within its own subject, by the event's id where there is none."""
    is_own = event.sequence > 0 and (event.subject or event.call_id) == event.call_id
    if is_own or (event.sequence > 0 and event.subject.startswith("callback:")):
        return {f"{FACTS}.{event.sequence:05}": fact}
    return {f"{FACTS}.x{sha256(event.event_id.encode()).hexdigest()[:16]}": fact}


def word(enum: Any, value: int) -> str:
    """Return a value's word, CALL_EXIT_ABANDONED as `abandoned`; a value newer than this code is `unspecified`."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    name = enum.Name(value) if value in enum.values() else enum.Name(0)
    return str(name.removeprefix(prefix).lower())


def _fields(*names: str) -> Callable[[Any], Fields]:
    """Return what keeps plain fields as they are."""
    return lambda body: {name: getattr(body, name) for name in names}


def _started(body: ev.CallStarted) -> Fields:
    is_outbound = bool(body.callback_id) or body.direction == DIRECTION_OUTBOUND
    return {
        "line": body.line,
        "client": body.caller.number,
        "client_name": body.caller.name,
        "flow_id": body.flow_id,
        "node": body.node,
        "direction": "outbound" if is_outbound else "inbound",
        "callback_id": body.callback_id,
    }


def _ended(body: ev.CallEnded) -> Fields:
    # Seldom true, and what older logs do not say: written only where it is, a document rebuilt from them is the same.
    fell_back: Fields = {"fell_back": True} if body.fell_back else {}
    return {
        "exit": word(ev.CallExit, body.exit),
        "line": body.line,
        "client": body.caller.number,
        "client_name": body.caller.name,
        "queue_id": body.queue_id,
        "agent_id": body.agent_id,
        "started_ms": body.started_at.ToMilliseconds(),
        "answered_ms": body.answered_at.ToMilliseconds() if body.HasField("answered_at") else None,
        "wait_ms": body.wait_ms,
        "talk_ms": body.talk_ms,
        "hold_ms": body.hold_ms,
        "hangup_cause": body.hangup_cause,
        "hangup_party": word(HangupParty, body.hangup_party),
        "disposition": body.disposition,
        "callback_id": body.callback_id,
        "direction": "outbound" if body.callback_id or body.direction == DIRECTION_OUTBOUND else "inbound",
        **fell_back,
    }


def _transcript(body: ev.TranscriptCompleted) -> Fields:
    """Return what is kept of a transcript; a side whose words say nothing of feeling has no score, which is not 0."""
    scores: Fields = {}
    if body.HasField("customer_sentiment"):
        scores["customer_sentiment"] = body.customer_sentiment
    if body.HasField("customer_sentiment_change"):
        scores["customer_sentiment_change"] = body.customer_sentiment_change
    if body.HasField("agent_sentiment"):
        scores["agent_sentiment"] = body.agent_sentiment
    return {**_fields("recording_id", "language", "engine", "words", "confidence")(body), **scores}


def _queue_left(body: ev.QueueLeft) -> Fields:
    return {
        "queue_id": body.queue_id,
        "exit": word(ev.QueueExit, body.exit),
        "wait_ms": body.wait_ms,
        "agent_id": body.agent_id,
        "in_time": body.within_service_level,
        "estimated_ms": body.estimated_wait_ms,
        "error_ms": body.estimate_error_ms,
        "next_queue_id": body.next_queue_id,
    }


def _offer(*names: str) -> Callable[[Any], Fields]:
    return _fields("offer_id", "queue_id", "agent_id", *names)


def _created(body: ev.OfferCreated) -> Fields:
    candidates = max(len(body.candidates), body.candidates_total)
    return {**_offer("strategy", "waited_ms")(body), "candidates": candidates}


def _state(body: ev.AgentStateChanged) -> Fields:
    return {
        "agent_id": body.agent_id,
        "state": word(ev.AgentState, body.state),
        "former_state": word(ev.AgentState, body.former_state),
        "former_ms": body.former_ms,
        "queue_id": body.queue_id,
    }


def _status(body: ev.AgentStatusChanged) -> Fields:
    return {
        "agent_id": body.agent_id,
        "status": word(AgentStatus, body.status),
        "former_status": word(AgentStatus, body.former_status),
        "reason": body.reason,
        "actor": body.actor,
    }


def _callback(*names: str) -> Callable[[Any], Fields]:
    return _fields("number", "queue_id", *names)


def _client(*names: str) -> Callable[[Any], Fields]:
    return lambda body: {"client": body.caller.number, **_fields(*names)(body)}


def _form(body: ev.FormAnswered) -> Fields:
    answers = {name: body.answers[name] for name in sorted(body.answers)[:50]}
    return {"form_id": body.form_id, "agent_id": body.agent_id, "answers": [list(each) for each in answers.items()]}


def _gap(body: ev.SwitchGapEvent) -> Fields:
    start = getattr(body, "from")
    return {"node": body.node, "from_ms": start.ToMilliseconds(), "until_ms": body.until.ToMilliseconds()}


_KEPT: Final[dict[str, Callable[[Any], Fields]]] = {
    "call_started": _started,
    "call_answered": _fields("queue_id", "agent_id", "wait_ms", "agent_leg_id"),
    "call_held": _fields("agent_id"),
    "call_resumed": _fields("agent_id", "held_ms"),
    "call_transferred": _fields("from_agent_id", "to_agent_id", "to_queue_id", "to_number", "attended"),
    "call_ended": _ended,
    "flow_step_entered": _fields("flow_id", "step_id", "step_type"),
    "flow_step_left": _fields("flow_id", "step_id", "step_type", "exit", "next_step_id", "duration_ms"),
    "ivr_choice": _fields("flow_id", "step_id", "choice", "tries"),
    "queue_joined": _fields("queue_id", "priority", "position", "waiting", "estimated_wait_ms", "resumed"),
    "queue_left": _queue_left,
    "offer_created": _created,
    "offer_accepted": _offer("ring_ms"),
    "offer_rejected": _offer("cause"),
    "offer_missed": _offer("ring_ms"),
    "offer_cancelled": _offer("reason"),
    "offer_lost_race": _offer("winner_agent_id"),
    "offer_failed": _offer("cause"),
    "agent_status_changed": _status,
    "agent_state_changed": _state,
    "agent_wrapup_ended": _fields("agent_id", "queue_id", "duration_ms"),
    "recording_started": _fields("recording_id", "agent_id", "queue_id"),
    "recording_paused": _fields("recording_id", "actor"),
    "recording_masked": _fields("recording_id", "actor"),
    "recording_stored": _fields("recording_id", "size_bytes", "duration_ms", "silent", "repaired"),
    "recording_failed": _fields("recording_id", "reason", "final"),
    "recording_deleted": _fields("recording_id", "reason"),
    "transcript_completed": _transcript,
    "transcript_failed": _fields("recording_id", "reason"),
    "analysis_rule_matched": _fields("recording_id", "rule_id", "at_ms", "speaker"),
    "callback_requested": _callback("reason", "line", "keeps_place"),
    "callback_attempted": _callback("attempt", "agent_id"),
    "callback_succeeded": _callback("attempt", "agent_id"),
    "callback_failed": _callback("attempt", "cause", "final"),
    "callback_cancelled": _callback("reason"),
    "callback_expired": _callback(),
    "client_repeated_calls": _client("calls", "window_seconds"),
    "client_vip_called": _client("list_id"),
    "client_blacklisted": _client("list_id"),
    "form_answered": _form,
    "kpi_violated": _fields("kpi_id", "subject", "value", "norm"),
    "kpi_recovered": _fields("kpi_id", "subject", "value", "norm"),
    "limit_exceeded": _fields("limit", "value", "allowed"),
    "switch_gap": _gap,
    "switch_disconnected": _fields("node"),
    "switch_connected": _fields("node"),
    "switch_restarted": _fields("node"),
}
