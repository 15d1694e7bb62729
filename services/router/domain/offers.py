"""Offers: a call held out to an agent, from the reservation to its one end (SPEC 3.5)."""

from services.router.domain import agents, hearing, outbound, waiting
from services.router.domain.agents import MISSED, SYSTEM
from services.router.domain.lifecycle import AgentState
from services.router.domain.model import Agent, Call, Leg, LegRole, Offer
from services.router.domain.strategies import UNTIL_ALL_TRIED
from services.router.domain.turn import COMMAND_MS, Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_RING_SECONDS = 20
RETRY_MS = 10_000
"""An agent who missed or could not be rung is not tried again for this caller for so long."""
REST_MS = 10_000
"""A phone that could not be rung is not rung for anybody for so long, unless it registers."""
GONE_MS = 10_000
"""A hang-up whose effect was not told in this time is ordered again."""
RELEASE_TRIES = 6
"""After so many a leg is taken for gone: no agent is out of reach for ever. Earlier its phone may still ring."""
LAST_RELEASE_MS = 3_600_000
"""So long the last of them may be carried out: a listener that was away ends, once it is back, who has nobody left."""
REJECTING = frozenset({"USER_BUSY", "CALL_REJECTED"})
RINGING_OUT = frozenset({"NO_ANSWER", "ALLOTTED_TIMEOUT", "ORIGINATOR_CANCEL", "RECOVERY_ON_TIMER_EXPIRE"})
UNREGISTERED = frozenset({"USER_NOT_REGISTERED", "SUBSCRIBER_ABSENT"})


def make(turn: Turn, call: Call, agent: Agent, queue: tn.Queue) -> ev.OfferCreated:
    """Reserve an agent and ring the phone; returns the body of offer.created, for the reasons to be written in."""
    offer, body = reserve(turn, call, agent, queue)
    ring(turn, call, offer, ring_ms_of(queue))
    return body


def ring_ms_of(queue: tn.Queue) -> int:
    """Return how long an offer of a queue rings."""
    return (queue.ring_timeout_seconds or DEFAULT_RING_SECONDS) * 1000


def reserve(turn: Turn, call: Call, agent: Agent, queue: tn.Queue) -> tuple[Offer, ev.OfferCreated]:
    """Reserve an agent whose phone does not ring yet."""
    offer = Offer(turn.new_id(), call.call_id, agent.agent_id, queue.queue_id, turn.new_leg_id(), turn.now_ms)
    turn.state.offers[offer.offer_id] = offer
    call.offers.append(offer.offer_id)
    agent.offer_id = offer.offer_id
    agent.call_id, agent.queue_id = call.call_id, queue.queue_id
    agent.last_offered_ms = turn.now_ms
    agents.move(turn, agent, AgentState.RESERVED)
    body = turn.call_event(call).offer_created
    _name(body, offer)
    return offer, body


def ring(turn: Turn, call: Call, offer: Offer, ring_ms: int) -> None:
    """Ring the phone of a reserved agent."""
    state = turn.state
    agent = state.agents[offer.agent_id]
    agent.leg_id = offer.leg_id
    command = turn.command(call, offer.leg_id, ring_ms)
    originate = command.originate_leg
    originate.phone = state.configurations[state.version].phone_of(agent.agent_id)
    originate.ring_timeout_ms = ring_ms
    originate.caller_number = call.caller_number
    originate.caller_name = call.caller_name
    state.legs[offer.leg_id] = Leg(
        offer.leg_id, call.call_id, LegRole.AGENT, call.node, agent.agent_id, offer.offer_id, command.command_id
    )
    turn.set_timer("ring", offer.offer_id, ring_ms)


def rings(turn: Turn, offer: Offer) -> None:
    """Take note that the phone rings."""
    if offer.ringing_ms:
        return
    offer.ringing_ms = turn.now_ms
    agents.move(turn, turn.state.agents[offer.agent_id], AgentState.RINGING)
    _name(turn.call_event(turn.state.calls[offer.call_id]).offer_ringing, offer)


def accept(turn: Turn, offer: Offer) -> None:
    """Tell that the agent answered; every other offer of the caller has lost the race."""
    call = turn.state.calls[offer.call_id]
    body = turn.call_event(call).offer_accepted
    _name(body, offer)
    body.ring_ms = _ring_ms(turn, offer)
    _close(turn, call, offer)
    turn.state.agents[offer.agent_id].misses_in_row = 0
    for other_id in list(call.offers):
        _lose(turn, turn.state.offers[other_id], offer.agent_id)


def refuse(turn: Turn, offer: Offer, cause: str) -> None:
    """End an offer that the agent refused: by the phone, or by request."""
    call = turn.state.calls[offer.call_id]
    body = turn.call_event(call).offer_rejected
    _name(body, offer)
    body.cause = cause
    _refused(turn, call, offer, UNTIL_ALL_TRIED)
    _end(turn, call, offer, "CALL_REJECTED")


def miss(turn: Turn, offer: Offer) -> None:
    """End an offer that rang out; after so many in a row the agent is away."""
    call = turn.state.calls[offer.call_id]
    agent = turn.state.agents[offer.agent_id]
    agent.misses_in_row += 1
    body = turn.call_event(call).offer_missed
    _name(body, offer)
    body.ring_ms = _ring_ms(turn, offer)
    body.misses_in_row = agent.misses_in_row
    _refused(turn, call, offer, turn.now_ms + RETRY_MS)
    queue = waiting.queue_of(turn.state, offer.queue_id)
    if queue is not None and 0 < queue.misses_until_away <= agent.misses_in_row:
        agents.set_status(turn, agent, rq.AGENT_STATUS_AWAY, MISSED, SYSTEM)
    _end(turn, call, offer, "NO_ANSWER")


def fail(turn: Turn, offer: Offer, cause: str) -> None:
    """End an offer whose phone could not be rung: it rests a while."""
    call = turn.state.calls[offer.call_id]
    body = turn.call_event(call).offer_failed
    _name(body, offer)
    body.cause = cause
    _refused(turn, call, offer, turn.now_ms + RETRY_MS)
    agent = turn.state.agents[offer.agent_id]
    agent.is_reachable = False
    turn.set_timer("reach", agent.agent_id, REST_MS * (3 if cause in UNREGISTERED else 1))
    _end(turn, call, offer, "NO_ANSWER")


def cancel_all(turn: Turn, call: Call, reason: str) -> None:
    """End every offer of a caller who does not wait any more."""
    for offer_id in list(call.offers):
        offer = turn.state.offers[offer_id]
        body = turn.call_event(call).offer_cancelled
        _name(body, offer)
        body.reason = reason
        _end(turn, call, offer, "ORIGINATOR_CANCEL")


def leg_ended(turn: Turn, offer: Offer, cause: str) -> None:
    """End an offer whose leg ended before an answer, as its cause says. A phone that never rang missed nothing."""
    if cause in REJECTING:
        refuse(turn, offer, cause)
    elif cause in RINGING_OUT and offer.ringing_ms:
        miss(turn, offer)
    else:
        fail(turn, offer, cause)


def rang_out(turn: Turn, offer: Offer) -> None:
    """End an offer at its ring time-out. Of who is rung by a switch that says nothing nobody knows what he did."""
    if turn.state.calls[offer.call_id].node in turn.state.mute:
        fail(turn, offer, hearing.GONE)
    else:
        leg_ended(turn, offer, "NO_ANSWER")


def release_leg(turn: Turn, leg_id: str, cause: str) -> None:
    """Order the end of a leg, once; whoever waits for its end is not kept longer than GONE_MS."""
    leg = turn.state.legs.get(leg_id)
    if leg is None or leg.release_tries:
        return
    leg.release_cause = cause
    order_release(turn, leg_id)


def order_release(turn: Turn, leg_id: str) -> None:
    """Order the hang-up of a released leg, once more if need be; after RELEASE_TRIES it is taken for gone."""
    leg = turn.state.legs[leg_id]
    if leg.release_tries >= RELEASE_TRIES:
        forget_leg(turn, leg_id)
        return
    leg.release_tries += 1
    lasts_ms = LAST_RELEASE_MS if leg.release_tries == RELEASE_TRIES else COMMAND_MS
    command = turn.command_to(leg.node, leg.call_id, leg_id, lasts_ms)
    command.hang_up_leg.cause = leg.release_cause
    leg.release_command_id = command.command_id
    turn.set_timer("gone", leg_id, GONE_MS)


def forget_leg(turn: Turn, leg_id: str) -> None:
    """Take a leg for gone; its agent is free of it."""
    leg = turn.state.legs.pop(leg_id, None)
    turn.cancel_timer("gone", leg_id)
    outbound.ended(turn, leg_id)
    if leg is not None and leg.agent_id in turn.state.agents:
        agents.leg_gone(turn, turn.state.agents[leg.agent_id], leg_id)


def _lose(turn: Turn, offer: Offer, winner_agent_id: str) -> None:
    call = turn.state.calls[offer.call_id]
    body = turn.call_event(call).offer_lost_race
    _name(body, offer)
    body.winner_agent_id = winner_agent_id
    _end(turn, call, offer, "LOSE_RACE")


def _end(turn: Turn, call: Call, offer: Offer, cause: str) -> None:
    _close(turn, call, offer)
    release_leg(turn, offer.leg_id, cause)
    agents.rest(turn, turn.state.agents[offer.agent_id])
    if offer.is_transfer:
        turn.unanswered.append(call.call_id)
    waiting.reopen(turn, call)
    if not call.is_waiting:
        turn.unoffered.append(call.call_id)


def _close(turn: Turn, call: Call, offer: Offer) -> None:
    del turn.state.offers[offer.offer_id]
    call.offers.remove(offer.offer_id)
    turn.state.agents[offer.agent_id].offer_id = ""
    leg = turn.state.legs.get(offer.leg_id)
    if leg is not None:
        leg.offer_id = ""
    turn.cancel_timer("ring", offer.offer_id)


def _refused(turn: Turn, call: Call, offer: Offer, until_ms: int) -> None:
    """Remember that an agent did not take a caller, and where the order resumes (top down)."""
    call.refused[offer.agent_id] = until_ms
    index = turn.state.indexes.get(offer.queue_id)
    place = index.plan.places.get(offer.agent_id) if index else None
    if place is not None:
        call.last_refused[str(place.level)] = [place.position, offer.agent_id]


def _ring_ms(turn: Turn, offer: Offer) -> int:
    return turn.now_ms - offer.ringing_ms if offer.ringing_ms else 0


def _name(
    body: ev.OfferCreated
    | ev.OfferRinging
    | ev.OfferAccepted
    | ev.OfferRejected
    | ev.OfferMissed
    | ev.OfferCancelled
    | ev.OfferLostRace
    | ev.OfferFailed,
    offer: Offer,
) -> None:
    body.offer_id = offer.offer_id
    body.queue_id = offer.queue_id
    body.agent_id = offer.agent_id
