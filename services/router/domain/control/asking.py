"""What all requests of call control have in common."""

from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call, EndedCall
from services.router.domain.turn import Turn

Answer = tuple[str, str]
"""Problem and detail; both empty when it took effect."""
ACCEPTED: Answer = ("", "")
_HEARD = frozenset({CallStage.TALKING, CallStage.TRANSFERRING})
NO_CALL: Answer = ("call-not-found", "There is no such call.")
ON_ITS_WAY: Answer = ("call-on-its-way", "The call is on its way to another routing domain; try again in a moment.")
NOT_TALKING: Answer = ("not-talking", "Nobody talks on this call.")
ANSWERED_LATER: Answer = ("answered-later", "")
"""No reply yet: an agent of another log was asked for, and what comes of that is the reply."""


def is_on_its_way(call: Call | EndedCall) -> bool:
    """Whether a call is being handed over to another log: nothing may be told of it until that is settled."""
    return isinstance(call, Call) and call.stage is CallStage.HANDING


def talking_call(turn: Turn, call_id: str) -> Call | None:
    """Return a call whose customer and agent talk."""
    call = turn.state.calls.get(call_id)
    return call if call is not None and call.stage is CallStage.TALKING and call.other_leg_id else None


def heard_call(turn: Turn, call_id: str) -> Call | None:
    """Return a call whose agent talks, with the customer or with somebody whom he asks."""
    call = turn.state.calls.get(call_id)
    return call if call is not None and call.stage in _HEARD and call.other_leg_id else None
