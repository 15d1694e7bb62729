"""Why a call went where it went: each decision's own words, kept in the call's document by sequence (SPEC 2.3, 3.5)."""

from collections.abc import Callable
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev

MOST_EVENTS: Final = 500
"""Of one call; what comes after tells no more than what came before."""
FIELD: Final = "trace"
_BESIDE: Final = "x"
Record = dict[str, Any]
Sentence = Callable[[Any], str]


def record_of(event: ev.Event) -> Record | None:
    """Return what a call's document keeps of a decision, small; None for an event that decides nothing."""
    name = event.WhichOneof("body") or ""
    tell = _TOLD.get(name)
    if tell is None or not event.call_id or not 0 < event.sequence <= MOST_EVENTS:
        return None
    body = getattr(event, name)
    record: Record = {"at_ms": event.time.ToMilliseconds(), "what": name.replace("_", ".", 1), "text": tell(body)}
    if name == "offer_created":
        record["offer"] = _offer(body)
    return record


def told(call: Record) -> list[Record]:
    """Return the trace of a call's document in its order, with the time since the first, milliseconds."""
    kept = sorted(call.get(FIELD, {}).items())
    own = [record for key, record in kept if not key.startswith(_BESIDE)]
    # A call's own events stand in their order, though a clock went back; the others find their place by time.
    places = zip(accumulate((record["at_ms"] for record in own), max), own, strict=True)
    timed = [*places, *((record["at_ms"], record) for key, record in kept if key.startswith(_BESIDE))]
    records = [record for _, record in sorted(timed, key=lambda each: each[0])]
    first = records[0]["at_ms"] if records else 0
    return [{**record, "after_ms": record["at_ms"] - first} for record in records]


def key_of(event: ev.Event) -> str:
    """Return where a record stands: the sequence is the same after any replay, so a repeat changes nothing.

    An event of another subject, a callback's, counts by itself: its number may be that of one of the call's own.
    """
    if event.subject in ("", event.call_id):
        return f"{FIELD}.{event.sequence:05}"
    return f"{FIELD}.{_BESIDE}{sha256(f'{event.subject}/{event.sequence}'.encode()).hexdigest()[:16]}"


def _offer(body: ev.OfferCreated) -> Record:
    """Return who could have had the offer, in order, and who could not and why (bounded by the router)."""
    return {
        "agent_id": body.agent_id,
        "strategy": body.strategy,
        "candidates": [
            {"agent_id": one.agent_id, "level": one.level, "order": {name: one.order[name] for name in one.order}}
            for one in body.candidates
        ],
        "filtered": [{"agent_id": one.agent_id, "reason": one.reason} for one in body.filtered],
    }


def _entered(body: ev.FlowStepEntered) -> str:
    return f"flow {body.flow_id} (version {body.flow_version}): into step {body.step_id}, a {body.step_type}"


def _left(body: ev.FlowStepLeft) -> str:
    goal = f"to {body.next_step_id}" if body.next_step_id else "to the end of the flow"
    return f"out of step {body.step_id} by {body.exit} {goal} after {body.duration_ms} ms, because {body.why}"


def _created(body: ev.OfferCreated) -> str:
    candidates = max(1, body.candidates_total, len(body.candidates))
    where = f"queue {body.queue_id}" if body.queue_id else "no queue"
    return f"offered to {body.agent_id} of {where} by {body.strategy}, first of {candidates}"


def _queue_left(body: ev.QueueLeft) -> str:
    name = ev.QueueExit.Name(body.exit).removeprefix("QUEUE_EXIT_").lower()
    return f"out of queue {body.queue_id} by {name} after {body.wait_ms} ms"


def _ended(body: ev.CallEnded) -> str:
    name = ev.CallExit.Name(body.exit).removeprefix("CALL_EXIT_").lower()
    back = ", taken back by the switch after the talk" if body.fell_back and body.HasField("answered_at") else ""
    return f"ended as {name}, {body.hangup_cause or 'without a cause'}{back}"


_TOLD: Final[dict[str, Sentence]] = {
    "call_started": lambda body: f"reached line {body.line}, which starts flow {body.flow_id}",
    "flow_step_entered": _entered,
    "flow_step_left": _left,
    "ivr_choice": lambda body: f"chose {body.choice} in {body.step_id}",
    "queue_joined": lambda body: f"into queue {body.queue_id} at place {body.position} of {body.waiting}",
    "queue_left": _queue_left,
    "offer_created": _created,
    "offer_accepted": lambda body: f"{body.agent_id} answered after {body.ring_ms} ms of ringing",
    "offer_rejected": lambda body: f"{body.agent_id} refused: {body.cause}",
    "offer_missed": lambda body: f"{body.agent_id} let it ring for {body.ring_ms} ms",
    "offer_cancelled": lambda body: f"the offer to {body.agent_id} was cancelled: {body.reason}",
    "offer_lost_race": lambda body: f"{body.winner_agent_id} was quicker than {body.agent_id}",
    "offer_failed": lambda body: f"{body.agent_id} could not be rung: {body.cause}",
    "call_answered": lambda body: f"talks with {body.agent_id}",
    "callback_requested": lambda body: f"is to be called back for queue {body.queue_id} ({body.reason})",
    "client_blacklisted": lambda body: f"is in black list {body.list_id}",
    "message_requested": lambda body: f"{body.agent_id or body.actor} wrote to the caller",
    "limit_exceeded": lambda body: f"limit {body.limit} was reached",
    "call_ended": _ended,
}
