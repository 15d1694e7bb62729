"""What all requests of call control have in common."""

from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.turn import Turn

Answer = tuple[str, str]
"""Problem and detail; both empty when it took effect."""
ACCEPTED: Answer = ("", "")
NO_CALL: Answer = ("call-not-found", "There is no such call.")
NOT_TALKING: Answer = ("not-talking", "Nobody talks on this call.")


def talking_call(turn: Turn, call_id: str) -> Call | None:
    """Return a call whose customer and agent talk."""
    call = turn.state.calls.get(call_id)
    return call if call is not None and call.stage is CallStage.TALKING and call.other_leg_id else None
