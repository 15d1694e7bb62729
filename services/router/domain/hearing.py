"""Signs of life of switches that have legs here: who gives none for a while is asked (silence.py)."""

from services.router.domain import waiting
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired

ASK_MS = 45_000
"""So long nothing came before a question, and before the next."""
TIMER = "switch"
GONE = "NETWORK_OUT_OF_ORDER"
"""The cause of a leg whose switch is not heard of any more."""


def patience_ms(fired: TimerFired) -> int:
    """Return the same by the platform's clock, which may run faster than that by which listeners start and answer.

    The timer itself says how fast: the log decides, not the process that happens to read it.
    """
    return int(ASK_MS * max(1.0, fired.clock_speed))


def note(turn: Turn, given: Input) -> None:
    """Note a sign of life: a fact of a leg, or the answer to a command, whatever it says."""
    state = turn.state
    if not state.legs:
        for node in list(state.heard):
            turn.cancel_timer(TIMER, node)
            forget(turn, node)
        return
    node = given.fact.node if given.fact.leg_id else given.command_result.node
    known = state.heard.get(node)
    if known is not None:
        known[0], known[1] = turn.now_ms, 0
        if node in state.mute:
            _reoffer(turn, node)
    elif given.fact.leg_id and node:
        state.heard[node] = [turn.now_ms, 0]
        turn.set_timer(TIMER, node, ASK_MS)


def forget(turn: Turn, node: str) -> None:
    """Expect nothing of a switch any more."""
    del turn.state.heard[node]
    if node in turn.state.mute:
        _reoffer(turn, node)


def _reoffer(turn: Turn, node: str) -> None:
    """Offer those again who wait on a switch, at the places that they kept."""
    turn.state.mute.remove(node)
    for call in turn.state.calls.values():
        if call.node == node and call.is_waiting:
            waiting.index_call(turn.state, call)
            turn.callers.append(call.call_id)
