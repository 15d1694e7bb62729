"""A transfer as it goes on by itself: what answers, bridges and ends of legs mean for it (SPEC 3.8).

Two rules settle every case. Whoever is still there is brought together: the customer with the agent when the target is
gone, the customer with the target when the agent is gone. And a customer who would be alone waits in the queue again.
"""

from services.router.domain import agents, calls, offers, queueing, recording, remembering, talking, waiting
from services.router.domain.control import letting_go
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Call, Leg, Transfer, TransferPhase
from services.router.domain.splitting import leaving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

BRIDGE_MS = 10_000
"""A bridge that was neither told nor refused in this time is ordered again; in the end FreeSWITCH's word counts."""
BRIDGE_TRIES = 3
_UNHEARD = frozenset({TransferPhase.RINGING, TransferPhase.CONSULTING})
"""In these the customer hears neither of the two."""
_ACQUAINTED = frozenset({TransferPhase.CONSULTING, TransferPhase.SWAPPED, TransferPhase.TOGETHER})
"""In these the target is there, and the agent decides what happens next."""


def of(turn: Turn, call_id: str) -> Transfer | None:
    """Return the transfer of a call, if there is one."""
    return turn.state.transfers.get(call_id)


def answered(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Take note that the target answered."""
    if transfer.phase is not TransferPhase.RINGING:
        return
    offer = next(map(turn.state.offers.__getitem__, call.offers), None)
    if offer is not None:
        offers.accept(turn, offer)
        agents.move(turn, turn.state.agents[offer.agent_id], AgentState.TALKING)
    if transfer.is_attended and call.other_leg_id:
        consult(turn, call, transfer)
    else:
        join(turn, call, transfer)


def consult(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Connect the agent with the target; the customer hears music."""
    transfer.phase = TransferPhase.CONSULTING
    calls.lease(turn, call)
    talking.held(turn, call)
    _bridge(turn, call, transfer, call.other_leg_id, transfer.leg_id)


def swap_back(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Connect the agent with the customer; the target hears music."""
    transfer.phase = TransferPhase.SWAPPED
    _bridge(turn, call, transfer, call.call_id, call.other_leg_id)


def join(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Connect the customer with the target; the agent stays until they hear each other."""
    transfer.phase = TransferPhase.JOINING
    calls.lease(turn, call)
    _bridge(turn, call, transfer, call.call_id, transfer.leg_id)


def bring_together(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Let all three hear each other in a room of their own."""
    _settle(turn, call, transfer)
    transfer.phase = TransferPhase.TOGETHER
    for leg_id in (transfer.leg_id, call.other_leg_id, call.call_id):
        command = turn.command(call, leg_id)
        command.join_conference.conference_id = f"{turn.state.tenant_id}.{call.call_id}"
        transfer.command_id = command.command_id
    calls.unlease(turn, call)
    talking.resumed(turn, call)
    recording.go_on_in_room(turn, call)


def go_back(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Connect the customer with the agent again, without the target; one who has no agent any more waits again."""
    letting_go.let_target_go(turn, call, transfer)
    if not call.other_leg_id:
        wait_again(turn, call)
        return
    if transfer.phase is TransferPhase.SWAPPED and not transfer.pair:
        _keep_together(turn, call)
        _talk_on(turn, call)
        return
    transfer.phase = TransferPhase.RETURNING
    _bridge(turn, call, transfer, call.call_id, call.other_leg_id)


def bridged(turn: Turn, call: Call, transfer: Transfer, pair: set[str]) -> None:
    """Take note that two legs of the call hear each other."""
    if pair != set(transfer.pair):
        return
    _settle(turn, call, transfer)
    if transfer.phase is TransferPhase.CONSULTING:
        return
    calls.unlease(turn, call)
    if transfer.phase is TransferPhase.SWAPPED:
        talking.resumed(turn, call)
    elif transfer.phase is TransferPhase.RETURNING:
        _talk_on(turn, call)
    elif transfer.phase is TransferPhase.JOINING:
        _finish(turn, call, transfer)


def parked(turn: Turn, call: Call, transfer: Transfer, leg_id: str) -> None:
    """Let a leg that waits hear that it does: nobody is left in silence."""
    if leg_id == call.call_id:
        if transfer.phase in _UNHEARD:
            music(turn, call, leg_id)
    elif leg_id == transfer.leg_id:
        if transfer.phase is TransferPhase.SWAPPED:
            music(turn, call, leg_id)
    elif leg_id == call.other_leg_id and transfer.phase is TransferPhase.RINGING:
        turn.command(call, leg_id).start_music.ringing = True


def leg_ended(turn: Turn, call: Call, leg: Leg) -> bool:
    """Take note that a leg of a call in transfer is gone; False when that is nothing to the transfer."""
    transfer = of(turn, call.call_id)
    if transfer is None or leg.leg_id not in (transfer.leg_id, call.other_leg_id):
        return False
    if leg.leg_id == call.other_leg_id:
        _agent_left(turn, call, transfer)
    else:
        go_back(turn, call, transfer)
    return True


def command_ended(turn: Turn, call: Call, command_id: str, *, is_done: bool) -> None:
    """Take note of what became of the last bridge, or room, that was ordered."""
    transfer = of(turn, call.call_id)
    if transfer is None or transfer.command_id != command_id:
        return
    if is_done:
        transfer.is_done = True
    else:
        _give_up(turn, call, transfer)


def overdue(turn: Turn, call: Call) -> None:
    """Do what is left when nobody answered, or when a bridge was not told."""
    transfer = turn.state.transfers[call.call_id]
    if transfer.phase is TransferPhase.RINGING:
        go_back(turn, call, transfer)
    elif transfer.tries < BRIDGE_TRIES:
        _order(turn, call, transfer)
    elif transfer.is_done:
        bridged(turn, call, transfer, set(transfer.pair))
    else:
        _give_up(turn, call, transfer)


def unanswered(turn: Turn, call: Call) -> None:
    """Go back after the target refused, missed it, or could not be rung."""
    transfer = of(turn, call.call_id)
    if transfer is not None and transfer.phase is TransferPhase.RINGING and not call.offers:
        go_back(turn, call, transfer)


def wait_again(turn: Turn, call: Call) -> None:
    """Let a customer who is alone wait in the call's queue; without a queue the call ends."""
    letting_go.end_transfer(turn, call)
    queue = waiting.queue_of(turn.state, call.queue_id)
    if queue is None or not call.step_id:
        calls.hang_up(turn, call, ev.CALL_EXIT_ANSWERED)
    else:
        into_queue(turn, call, queue)


def into_queue(turn: Turn, call: Call, queue: tn.Queue) -> None:
    """Let a customer whose agent is gone wait for the next one, with the time of entry (SPEC 3.3)."""
    calls.stop_talk(turn, call)
    recording.stop(turn, call)
    former = call.queue_id if call.queue_id != queue.queue_id else ""
    call.agent_id = call.bridge_command_id = ""
    call.bridge_tries, call.is_bridge_done, call.is_parked_again = 0, False, False
    if not waiting.is_here(turn.state, queue.queue_id):
        _give_away(turn, call, queue.queue_id)
        return
    calls.to_stage(call, CallStage.WAITING)
    calls.lease(turn, call)
    turn.command(call, call.call_id).start_music.stream = queue.music
    priority = queueing.priority_in(turn, call, queue) if former else call.priority
    waiting.join(turn, call, queue, priority, waiting.Entry(call.entered_ms, call.entered_order, former))
    turn.deserted.append(queue.queue_id)


def _give_away(turn: Turn, call: Call, queue_id: str) -> None:
    configuration = turn.state.configuration
    home = configuration.domain_of_queue.get(queue_id, "") if configuration else ""
    leaving.over(turn, call, home, leaving.QUEUE, queue_id)


def music(turn: Turn, call: Call, leg_id: str) -> None:
    """Let a leg hear the music of the call's queue."""
    queue = waiting.queue_of(turn.state, call.queue_id)
    turn.command(call, leg_id).start_music.stream = queue.music if queue else ""


def _agent_left(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Go on without the agent, who hung up: that completes the transfer, also one whose target still rings."""
    letting_go.let_agent_go(turn, call)
    if transfer.phase is TransferPhase.RETURNING:
        wait_again(turn, call)
    elif transfer.phase in _ACQUAINTED:
        join(turn, call, transfer)


def _talk_on(turn: Turn, call: Call) -> None:
    """End a transfer with the customer and the agent in talk as before."""
    letting_go.end_transfer(turn, call)
    talking.resumed(turn, call)
    call.is_parked_again = False
    calls.to_stage(call, CallStage.TALKING)


def _finish(turn: Turn, call: Call, transfer: Transfer) -> None:
    """End a transfer with the customer and the target in talk; the agent is free."""
    del turn.state.transfers[call.call_id]
    if call.other_leg_id:
        talking.resumed(turn, call)
        letting_go.let_agent_go(turn, call)
    calls.close_hold(turn, call)
    call.other_leg_id = transfer.leg_id
    call.is_parked_again = False
    call.talk_from_ms = call.talk_from_ms or turn.now_ms
    tell(turn, call, transfer)
    if transfer.to_agent_id:
        call.agent_id = transfer.to_agent_id
        queue = waiting.queue_of(turn.state, call.queue_id)
        if queue is not None:
            remembering.talked(turn.state, call, queue, call.agent_id)
        calls.to_stage(call, CallStage.TALKING)
    else:
        calls.to_stage(call, CallStage.FORWARDED)


def tell(turn: Turn, call: Call, transfer: Transfer, to_queue_id: str = "") -> None:
    """Tell that a call went to somebody else."""
    body = turn.call_event(call).call_transferred
    body.from_agent_id, body.to_agent_id = transfer.from_agent_id, transfer.to_agent_id
    body.to_queue_id, body.to_number = to_queue_id, transfer.to_number
    body.attended = transfer.is_attended


def _give_up(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Leave a connection that can't be made; the legs that are still there are used otherwise."""
    if transfer.phase is TransferPhase.RETURNING:
        letting_go.let_agent_go(turn, call)
        wait_again(turn, call)
    else:
        go_back(turn, call, transfer)


def _bridge(turn: Turn, call: Call, transfer: Transfer, leg_id: str, other_id: str) -> None:
    transfer.pair = [leg_id, other_id]
    transfer.tries = 0
    _order(turn, call, transfer)


def _order(turn: Turn, call: Call, transfer: Transfer) -> None:
    """Order the transfer's bridge. While all three are needed, whoever is left by the other's end waits parked."""
    leg_id, other_id = transfer.pair
    command = turn.command(call, leg_id, BRIDGE_MS)
    command.bridge_legs.other_leg_id = other_id
    if transfer.phase in _ACQUAINTED:
        command.bridge_legs.park_after = command.bridge_legs.park_other_after = True
    else:
        command.bridge_legs.park_after = call.goes_on and not transfer.to_number
    transfer.command_id, transfer.is_done = command.command_id, False
    transfer.tries += 1
    turn.set_timer("transfer", call.call_id, BRIDGE_MS)


def _settle(turn: Turn, call: Call, transfer: Transfer) -> None:
    turn.cancel_timer("transfer", call.call_id)
    transfer.pair, transfer.command_id, transfer.tries = [], "", 0


def _keep_together(turn: Turn, call: Call) -> None:
    """Say what becomes of the two who talk when one of them leaves, now that they need nothing more from us."""
    action = turn.command(call, call.call_id).bridge_legs
    action.other_leg_id, action.park_after = call.other_leg_id, call.goes_on
