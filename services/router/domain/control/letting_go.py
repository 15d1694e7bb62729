"""How legs and agents are let go of a call, in a transfer and without one."""

from services.router.domain import agents, offers, waiting
from services.router.domain.agents import ON_CALL
from services.router.domain.model import Call, Transfer
from services.router.domain.turn import Turn


def release(turn: Turn, call: Call, agent_id: str) -> None:
    """Send an agent on who has nothing more to do with a call: to wrap-up after a talk, to rest otherwise."""
    agent = turn.state.agents.get(agent_id)
    if agent is None or agent.call_id != call.call_id or agent.is_done:
        return
    if agent.state in ON_CALL:
        agents.begin_wrap_up(turn, agent, waiting.queue_of(turn.state, call.queue_id))
    elif not agent.wrap_up_from_ms:
        agents.rest(turn, agent)


def let_agent_go(turn: Turn, call: Call) -> None:
    """Hang up the leg of a call's agent, if it lives, and send the agent on."""
    leg_id, call.other_leg_id = call.other_leg_id, ""
    offers.release_leg(turn, leg_id, "NORMAL_CLEARING")
    end_supervision(turn, call)
    release(turn, call, call.agent_id)


def let_target_go(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Hang up the leg of a transfer's target, if it lives, and send its agent on."""
    leg_id, transfer.leg_id = transfer.leg_id, ""
    offers.cancel_all(turn, call, "transfer cancelled")
    offers.release_leg(turn, leg_id, "ORIGINATOR_CANCEL")
    if transfer.to_agent_id:
        release(turn, call, transfer.to_agent_id)


def end_supervision(turn: Turn, call: Call) -> None:
    """Hang up whoever listens to a call."""
    for agent_id in call.supervisors:
        offers.release_leg(turn, turn.state.agents[agent_id].leg_id, "NORMAL_CLEARING")


def end_transfer(turn: Turn, call: Call) -> None:
    """Forget a call's transfer, if there is one, and let its target go."""
    transfer = turn.state.transfers.pop(call.call_id, None)
    if transfer is not None:
        turn.cancel_timer("transfer", call.call_id)
        let_target_go(turn, call, transfer)
