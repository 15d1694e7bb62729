"""Signs of life of switches that have legs here: who gives none for a while is asked (silence.py)."""

from services.router.domain import waiting
from services.router.domain.model import Leg
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired

ASK_MS = 45_000
"""So long nothing came before a question, and before the next."""
TIMER = "switch"
BOOT_TIMER = "boot"
"""Of `<core_uuid>/<node>`: that boot of the switch is the one that runs."""
TELL_MS = 5_000
"""Within so much of a new boot's first word its listener tells how what it knew of the former ones ended."""
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


def note_boot(turn: Turn, node: str, core_uuid: str) -> None:
    """Note which boot of a switch answers: no leg outlives its own, so who is left of another one is looked for."""
    if not core_uuid:
        return
    for timer_id in [each for each in turn.state.timers if each.startswith(f"{BOOT_TIMER}:")]:
        kind, _, subject = timer_id.partition(":")
        if subject.partition("/")[2] == node:  # that boot is over too: who is of this one is none of its concern
            turn.cancel_timer(kind, subject)
    if of_former_boots(turn, node, core_uuid):
        turn.set_timer(BOOT_TIMER, f"{core_uuid}/{node}", TELL_MS)


def of_former_boots(turn: Turn, node: str, core_uuid: str) -> list[Leg]:
    """Return the legs that were told of by another boot of a switch. One that was only ordered may be this one's."""
    legs = [leg for leg in turn.state.legs.values() if leg.node == node]
    return [leg for leg in legs if leg.core_uuid not in ("", core_uuid)]


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
