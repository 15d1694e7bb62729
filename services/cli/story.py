from services.shared.bus.events import event_type
from services.shared.contracts.ringmaster.v1.event_pb2 import CallExit, Event, QueueExit
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus


def tell(event: Event) -> str | None:
    """Return a line of the story of calls for a person, or None for what would only be noise."""
    kind = event_type(event)
    teller = _TELLERS.get(kind)
    if teller is None:
        return None
    clock = event.time.ToDatetime().strftime("%H:%M:%S")
    return f"{clock}  {event.tenant_id:<9} {event.call_id[:8]:<8}  {teller(event)}"


def printable(text: str, most: int = 40) -> str:
    """Make a caller's words harmless for a terminal, and short."""
    return "".join(sign if sign.isprintable() else "·" for sign in text)[:most]


def _started(event: Event) -> str:
    body = event.call_started
    if body.callback_id:
        return f"shall be called back: {printable(body.caller.name) or 'somebody'} ({printable(body.caller.number)})"
    return f"{printable(body.caller.name) or 'somebody'} ({printable(body.caller.number)}) calls {body.line}"


def _left(event: Event) -> str:
    body = event.queue_left
    how = QueueExit.Name(body.exit).removeprefix("QUEUE_EXIT_").lower()
    return f"leaves queue {body.queue_id} after {body.wait_ms / 1000:.0f} s: {how}"


def _ended(event: Event) -> str:
    body = event.call_ended
    how = CallExit.Name(body.exit).removeprefix("CALL_EXIT_").lower()
    back = ", then the switch took the caller back" if body.fell_back and body.HasField("answered_at") else ""
    return f"ends: {how}, talk {body.talk_ms / 1000:.0f} s{back}"


def _status(event: Event) -> str:
    body = event.agent_status_changed
    return (
        f"agent {body.agent_id} is {AgentStatus.Name(body.status).removeprefix('AGENT_STATUS_').lower()} {body.reason}"
    )


_TELLERS = {
    "call.started": _started,
    "ivr.choice": lambda event: f"chooses {printable(event.ivr_choice.choice)}",
    "queue.joined": lambda event: f"waits in {event.queue_joined.queue_id} (place {event.queue_joined.position})",
    "offer.created": lambda event: f"is offered to {event.offer_created.agent_id}",
    "offer.missed": lambda event: f"{event.offer_missed.agent_id} missed it",
    "offer.rejected": lambda event: f"{event.offer_rejected.agent_id} refused it",
    "callback.requested": lambda event: f"is to be called back: {event.callback_requested.reason}",
    "callback.attempted": lambda event: f"is dialled, attempt {event.callback_attempted.attempt}",
    "callback.failed": lambda event: f"was not reached: {event.callback_failed.cause}",
    "call.answered": lambda event: f"talks with {event.call_answered.agent_id}",
    "queue.left": _left,
    "call.ended": _ended,
    "recording.stored": lambda event: f"recording kept, {event.recording_stored.duration_ms / 1000:.0f} s",
    "agent.status_changed": _status,
}
