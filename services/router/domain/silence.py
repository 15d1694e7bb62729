"""A switch that is not heard of any more: asked, and in the end its calls are taken for lost.

A talk needs nothing of us and may tell nothing for an hour; a machine without power tells nothing either, and nobody is
left there who could say that its calls are over. So a switch of which nothing came for a while is asked something that
changes nothing, and whose answer its listener gives in any case. Only who has been asked so often and has said nothing
is gone: then its legs end as they would by a restart.

Meanwhile nobody is offered who waits there: the phone would not ring, and an agent who is kept for it is kept from who
waits on another switch. The first offer of which nothing is heard shows it, long before the first question.

It is counted in questions, not in time alone: after an hour without the log the first moment brings an hour of silence,
and everybody lives. A listener that crashes again and again answers between two of its pauses.
"""

from services.router.domain import facts, hearing, waiting
from services.router.domain.hearing import TIMER
from services.router.domain.model import Call, Leg, LegRole, Offer
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn

UNANSWERED_MS = 12_000
"""A caller who waits is leased anew every ten seconds, and that is answered; so long none came."""
QUESTIONS = 3
"""Three minutes with the silence before the first: the pauses before a container's fifth start are 150 s together."""


def look(turn: Turn, node: str, patience_ms: int) -> None:
    """Do what is due when nothing may have come of a switch for a while: ask, each time after that patience."""
    state = turn.state
    known = state.heard[node]
    quiet_ms = turn.now_ms - known[0]
    if quiet_ms < patience_ms:
        turn.set_timer(TIMER, node, patience_ms - quiet_ms)
        return
    legs = [leg for leg in state.legs.values() if leg.node == node]
    if not legs:
        hearing.forget(turn, node)
    elif known[1] < QUESTIONS:
        known[1] += 1
        _withhold_callers(turn, node)
        _ask(turn, node, legs, patience_ms)
        turn.set_timer(TIMER, node, patience_ms)
    else:
        _lose(turn, node, legs)


def end_former_boots(turn: Turn, subject: str) -> None:
    """End what is left of a switch's former boots: its listener does not know of it, or it would have told its end.

    It may have come back with an empty disk. It speaks, so its silence would never end them.
    """
    core_uuid, _, node = subject.partition("/")
    _end(turn, hearing.of_former_boots(turn, node, core_uuid))


def look_at_offer(turn: Turn, offer: Offer) -> None:
    """Take note where an offer runs out, and nothing was heard of its switch since it was made, or rang."""
    state = turn.state
    node = state.calls[offer.call_id].node
    known = state.heard.get(node)
    if known is None or known[0] > (offer.ringing_ms or offer.created_ms):
        return
    is_leased = f"lease:{offer.call_id}" in state.timers
    if not offer.ringing_ms or (is_leased and turn.now_ms - known[0] >= UNANSWERED_MS):
        _withhold_callers(turn, node)


def _withhold_callers(turn: Turn, node: str) -> None:
    """Offer nobody who waits on a switch until it is heard again; callbacks that wait begin on another where one is."""
    state = turn.state
    if node in state.mute:
        return
    state.mute.append(node)
    elsewhere = _heard_last(state)
    if state.node == node and elsewhere:
        state.node = elsewhere
    for call in state.calls.values():
        index = state.indexes.get(call.queue_id)
        if call.node != node or not call.is_waiting or index is None:
            continue
        if _may_begin_elsewhere(call) and elsewhere:
            call.node = elsewhere
        else:
            waiting.withhold(index, call)


def _may_begin_elsewhere(call: Call) -> bool:
    return call.is_absent and not call.offers


def _heard_last(state: TenantState) -> str:
    speaking = [node for node in state.heard if node not in state.mute]
    return max(speaking, key=lambda node: state.heard[node][0], default="")


def _ask(turn: Turn, node: str, legs: list[Leg], answer_ms: int) -> None:
    """Take a guard off that is not there. Where a caller waits its lease is renewed all the time: that asks already."""
    timers = turn.state.timers
    if not any(f"lease:{leg.call_id}" in timers for leg in legs):
        turn.command_to(node, legs[0].call_id, legs[0].leg_id, answer_ms).lease_leg.seconds = 0


def _lose(turn: Turn, node: str, legs: list[Leg]) -> None:
    """End what lived there, customers first: how their calls ended is theirs to say."""
    state = turn.state
    quiet_seconds = (turn.now_ms - state.heard[node][0]) // 1000
    body = turn.subject_event(f"switch:{node}").switch_disconnected
    body.node = node
    body.reason = f"nothing was heard of it for {quiet_seconds} s, whatever it was asked: its calls are taken for lost"
    if state.node == node:
        state.node = _heard_last(state)
    for agent in state.agents.values():
        if node in agent.registered_at:
            agent.registered_at.remove(node)
    _end(turn, legs)
    hearing.forget(turn, node)


def _end(turn: Turn, legs: list[Leg]) -> None:
    for leg in sorted(legs, key=_others_after):
        if leg.leg_id in turn.state.legs:
            facts.gone(turn, leg)


def _others_after(leg: Leg) -> bool:
    return leg.role is not LegRole.CUSTOMER
