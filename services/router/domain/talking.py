"""From the agent's answer to the end of the talk: one bridge a caller, and only to an answered leg (truths 16, 17)."""

from services.router.domain import agents, calls, offers, recording, waiting
from services.router.domain.agents import ON_CALL
from services.router.domain.callbacks import joining, opening
from services.router.domain.control import letting_go
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Agent, Call, Leg, Offer
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev

BRIDGE_MS = 20_000
"""A bridge that was neither told nor refused in this time is ordered again; in the end FreeSWITCH's word counts."""
BRIDGE_TRIES = 3
UNBRIDGED_MS = 5_000
"""Both legs end with their bridge; a caller who is still there after this time would hear silence."""


def accept(turn: Turn, offer: Offer) -> None:
    """Connect the caller with the agent who answered first."""
    call = turn.state.calls[offer.call_id]
    # First of all: a caller who still waited would be opened for new offers when the last loser's ends.
    calls.to_stage(call, CallStage.CONNECTING)
    offers.accept(turn, offer)
    turn.cancel_timer("retry", call.call_id)
    call.agent_id = offer.agent_id
    connect(turn, call, offer.leg_id)


def connect(turn: Turn, call: Call, leg_id: str) -> None:
    """Have a talk recorded and order its bridge."""
    # Before the bridge, so that not a word is lost; the switch writes nothing until they hear each other.
    recording.begin(turn, call)
    bridge(turn, call, leg_id)


def bridge(turn: Turn, call: Call, leg_id: str) -> None:
    """Order the one bridge of a call."""
    call.other_leg_id = leg_id
    command = turn.command(call, call.call_id, BRIDGE_MS)
    command.bridge_legs.other_leg_id = leg_id
    command.bridge_legs.park_after = call.goes_on
    call.bridge_command_id = command.command_id
    call.bridge_tries += 1
    turn.set_timer("bridge", call.call_id, BRIDGE_MS)


def bridge_overdue(turn: Turn, call: Call) -> bool:
    """Do what is left when the bridge was not told; False when that is nothing and it has failed.

    Its fact may be lost with a listener, and the two may be talking: to give up would part them.
    """
    if call.bridge_tries < BRIDGE_TRIES:
        bridge(turn, call, call.other_leg_id)
    elif call.is_bridge_done:
        bridged(turn, call)
    else:
        return False
    return True


def bridged(turn: Turn, call: Call) -> None:
    """Take note that both hear each other."""
    turn.cancel_timer("bridge", call.call_id)
    turn.cancel_timer("unbridged", call.call_id)
    call.talk_from_ms = call.talk_from_ms or turn.now_ms
    if call.stage is CallStage.FORWARDING:
        calls.to_stage(call, CallStage.FORWARDED)
        turn.cancel_timer("step", call.call_id)
        calls.unlease(turn, call)
    elif call.stage is CallStage.CONNECTING:
        calls.to_stage(call, CallStage.TALKING)
        calls.unlease(turn, call)
        _talk_began(turn, call)


def unbridged(turn: Turn, call: Call) -> None:
    """Take note that they are parted: the legs should end by themselves."""
    if call.stage is CallStage.TRANSFERRING:
        return  # what that means is counted where the transfer goes on
    calls.stop_talk(turn, call)
    if call.stage in (CallStage.TALKING, CallStage.FORWARDED):
        turn.set_timer("unbridged", call.call_id, UNBRIDGED_MS)


def bridge_failed(turn: Turn, call: Call) -> None:
    """Bring a caller whose bridge failed back to the queue with the entry time, and the agent back to rest."""
    if call.stage is not CallStage.CONNECTING:
        return
    turn.cancel_timer("bridge", call.call_id)
    offers.release_leg(turn, call.other_leg_id, "NORMAL_CLEARING")
    call.other_leg_id = call.bridge_command_id = ""
    call.bridge_tries, call.is_bridge_done = 0, False
    recording.stop(turn, call)
    call.refused[call.agent_id] = turn.now_ms + offers.RETRY_MS
    letting_go.release(turn, call, call.agent_id)
    call.agent_id = ""
    calls.to_stage(call, CallStage.WAITING)
    queue = waiting.queue_of(turn.state, call.queue_id)
    turn.command(call, call.call_id).start_music.stream = queue.music if queue else ""
    waiting.reopen(turn, call)
    if call.callback_id and not call.is_waiting:
        joining.wait_live(turn, call)
    elif not call.is_waiting:
        turn.unoffered.append(call.call_id)


def agent_left(turn: Turn, call: Call, leg: Leg) -> None:
    """Take note that the agent's leg ended: before the bridge the caller waits again, after it the call ends.

    A caller whose flow goes on stays: the switch parks the leg, and the flow continues as soon as that is told.
    """
    if call.other_leg_id != leg.leg_id:
        return
    if call.stage is CallStage.CONNECTING:
        bridge_failed(turn, call)
        return
    if call.stage is CallStage.CALLING:
        calls.hang_up(turn, call, ev.CALL_EXIT_NOT_REACHED)
        return
    calls.stop_talk(turn, call)
    call.other_leg_id = ""
    letting_go.release(turn, call, call.agent_id)
    if call.goes_on:
        turn.left_alone.append(call.call_id)
        turn.set_timer("unbridged", call.call_id, UNBRIDGED_MS)
    else:
        calls.hang_up(turn, call, ev.CALL_EXIT_ANSWERED)


def held(turn: Turn, call: Call) -> None:
    """Take note that the customer is on hold."""
    agent = _talking_agent(turn, call)
    if agent is None or call.held_from_ms:
        return
    call.held_from_ms = turn.now_ms
    agents.move(turn, agent, AgentState.HOLDING)
    turn.call_event(call).call_held.agent_id = agent.agent_id


def resumed(turn: Turn, call: Call) -> None:
    """Take note that the customer is off hold."""
    agent = _talking_agent(turn, call)
    if agent is None or not call.held_from_ms:
        return
    held_ms = turn.now_ms - call.held_from_ms
    call.hold_ms += held_ms
    call.held_from_ms = 0
    agents.move(turn, agent, AgentState.TALKING)
    body = turn.call_event(call).call_resumed
    body.agent_id = agent.agent_id
    body.held_ms = held_ms


def _talk_began(turn: Turn, call: Call) -> None:
    agent = turn.state.agents[call.agent_id]
    if call.is_waiting:
        waiting.leave(turn, call, ev.QUEUE_EXIT_ANSWERED, agent.agent_id)
    else:
        call.wait_ms = 0 if call.callback_id else turn.now_ms - call.entered_ms
    agents.move(turn, agent, AgentState.TALKING)
    if not call.answered_ms:
        call.answered_ms = turn.now_ms
        _tell_first_talk(turn, call, agent)
    opening.got_through(turn, call, agent.agent_id)


def _tell_first_talk(turn: Turn, call: Call, agent: Agent) -> None:
    """Tell call.answered: once a visit. Who talks later stands in queue.left, offer.accepted and call.transferred."""
    body = turn.call_event(call).call_answered
    body.queue_id = call.queue_id
    body.agent_id = agent.agent_id
    body.wait_ms = call.wait_ms
    body.agent_leg_id = call.other_leg_id
    body.caller.number = call.caller_number
    body.caller.name = call.caller_name
    body.line = call.line


def _talking_agent(turn: Turn, call: Call) -> Agent | None:
    agent = turn.state.agents.get(call.agent_id)
    return agent if agent and agent.call_id == call.call_id and agent.state in ON_CALL else None
