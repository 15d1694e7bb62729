"""What the switch told: a table of fact → what it means for the call, its legs and its agent."""

from collections.abc import Callable

from services.router.domain import agents, calls, flow, hearing, offers, outbound, recording, talking
from services.router.domain.callbacks import attempts
from services.router.domain.control import dialling, handover, supervising
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call, EndedCall, Leg, LegRole
from services.router.domain.splitting import arriving, leaving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import recognition_pb2 as rc
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw

_UNSETTLED = frozenset({cm.COMMAND_OUTCOME_FENCED, cm.COMMAND_OUTCOME_UNKNOWN})
"""These say nothing about the leg: its facts, or a guard timer, will."""
_NO_SUCH_LEG = "NO_SUCH_LEG"
"""What the listener says when a command's leg does not live."""
_CUT = frozenset({"SYSTEM_SHUTDOWN", "CRASH", hearing.GONE})
"""Of a leg that the switch could not tell of itself."""


def take(turn: Turn, fact: sw.SwitchFact) -> None:
    """Take a fact in. One that was told before, or of a leg that is not ours, changes nothing."""
    kind = fact.WhichOneof("fact") or ""
    turn.state.node = fact.node or turn.state.node
    leg = turn.state.legs.get(fact.leg_id) if fact.leg_id else None
    if leg is not None:
        if _is_told_again(leg, fact, kind):
            return
        if kind in leaving.OF_RECORDINGS and leaving.holds_back(turn, leg, fact):
            return
        of_leg = _OF_LEG.get(kind)
        if of_leg is not None:
            of_leg(turn, leg, fact)
        return
    other = _OTHERS.get(kind)
    if other is not None:
        other(turn, fact)


def gone(turn: Turn, leg: Leg) -> None:
    """End a leg of whose end nobody will tell."""
    fact = sw.SwitchFact(node=leg.node, leg_id=leg.leg_id, call_id=leg.call_id)
    fact.leg_hung_up.cause, fact.leg_hung_up.reconciled = hearing.GONE, True
    _hung_up(turn, leg, fact)


def take_held_back(turn: Turn) -> None:
    """Take in what was kept while a call was being handed over that stays here after all."""
    while turn.state.held_back:
        take(turn, turn.state.held_back.pop(0))


def take_result(turn: Turn, result: cm.CommandResult) -> None:
    """Take in what became of a command; mostly the leg's facts tell more."""
    if result.outcome in _UNSETTLED:
        return
    is_done = result.outcome == cm.COMMAND_OUTCOME_DONE
    call = turn.state.calls.get(result.call_id)
    if call is not None and leaving.is_of_hand_over(call, result.command_id):
        leaving.result(turn, call, result)
        return
    if call is not None:
        handover.command_ended(turn, call, result.command_id, is_done=is_done)
    if call is not None and result.command_id in call.masking:
        recording.mask_ended(turn, call, result.command_id, is_done=is_done)
    if is_done:
        if call is not None and result.command_id == call.bridge_command_id:
            call.is_bridge_done = True
    else:
        _failed(turn, call, result)


def _failed(turn: Turn, call: Call | None, result: cm.CommandResult) -> None:
    leg = turn.state.legs.get(result.leg_id)
    if leg is not None and leg.command_id == result.command_id:
        # A leg that was bridged the moment it answered is taken from its originate, which then says that it failed.
        if not leg.is_answered:
            _leg_ended(turn, leg, result.cause or "DESTINATION_OUT_OF_ORDER")
    elif leg is not None and leg.release_command_id == result.command_id and result.cause == _NO_SUCH_LEG:
        offers.forget_leg(turn, leg.leg_id)
    elif call is not None and result.command_id == call.bridge_command_id:
        talking.bridge_failed(turn, call)
        flow.forward_failed(turn, call, "the legs could not be connected")
    elif call is not None and result.command_id == call.step_command_id:
        flow.command_refused(turn, call)


def _is_told_again(leg: Leg, fact: sw.SwitchFact, kind: str) -> bool:
    """Compare a fact's identity with the leg's last: within one leg the sequence never falls (wire truth 4).

    One event may tell two facts, so facts of one sequence are told apart by their kind.
    """
    sequence = fact.switch_sequence
    if not sequence:
        leg.core_uuid = leg.core_uuid or fact.core_uuid
        return False
    if leg.core_uuid != fact.core_uuid or sequence > leg.sequence:
        leg.core_uuid, leg.sequence, leg.kinds = fact.core_uuid, sequence, [kind]
        return False
    if sequence < leg.sequence or kind in leg.kinds:
        return True
    leg.kinds.append(kind)
    return False


def _created(turn: Turn, fact: sw.SwitchFact) -> None:
    if fact.leg_created.direction == sw.DIRECTION_INBOUND and not _was_here(turn, fact.leg_id):
        call = calls.begin(turn, fact, fact.leg_created.line)
        if call is not None:
            _is_told_again(turn.state.legs[call.call_id], fact, "leg_created")


def _was_here(turn: Turn, call_id: str) -> bool:
    """Whether a call has ended, or another log of the tenant has it; calls begin at the reception alone."""
    state = turn.state
    return bool(state.domain) or call_id in state.ended or call_id in state.away or call_id in state.gone


def _parked_unknown(turn: Turn, fact: sw.SwitchFact) -> None:
    """Take a call whose creation was missed, or end a leg of ours that nobody waits for any more."""
    if fact.call_id:
        turn.command_to(fact.node, fact.call_id, fact.leg_id).hang_up_leg.SetInParent()
        return
    if not fact.leg_parked.line or _was_here(turn, fact.leg_id):
        return
    call = calls.begin(turn, fact, fact.leg_parked.line)
    if call is not None:
        leg = turn.state.legs[call.call_id]
        _is_told_again(leg, fact, "leg_parked")
        _parked(turn, leg, fact)


def _parked(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    if leg.role is LegRole.SUPERVISOR:
        leg.is_answered = True
        supervising.parked(turn, leg)
        return
    call = turn.state.calls.get(leg.call_id)
    if leg.role is not LegRole.CUSTOMER:
        _answered(turn, leg, fact)  # a leg that we made parks when it is answered
    transfer = handover.of(turn, leg.call_id)
    if call is not None and transfer is not None:
        handover.parked(turn, call, transfer, leg.leg_id)
    elif call is None or leg.role is not LegRole.CUSTOMER:
        return
    elif call.is_waiting and call.answered_ms:
        handover.music(turn, call, call.call_id)  # what was played while it was still in talk was lost with the bridge
    elif call.callback_id or call.dialled_by:
        leg.is_answered = True
        outbound.answered(turn, leg.leg_id)
        attempts.customer_answered(turn, call)
    elif call.stage is CallStage.ARRIVING:
        flow.start(turn, call)
    else:
        flow.parked_again(turn, call)


def _progressed(turn: Turn, leg: Leg, _fact: sw.SwitchFact) -> None:
    if leg.offer_id:
        offers.rings(turn, turn.state.offers[leg.offer_id])


def _answered(turn: Turn, leg: Leg, _fact: sw.SwitchFact) -> None:
    leg.is_answered = True
    outbound.answered(turn, leg.leg_id)
    call, transfer = turn.state.calls.get(leg.call_id), handover.of(turn, leg.call_id)
    if call is not None and transfer is not None and transfer.leg_id == leg.leg_id:
        handover.answered(turn, call, transfer)
    elif leg.role is LegRole.OUTSIDE:
        if call is not None:
            flow.outside_answered(turn, call, leg)
    elif leg.role is LegRole.CUSTOMER:
        attempts.customer_answered(turn, turn.state.calls[leg.call_id])
    elif leg.offer_id and turn.state.calls[leg.call_id].dialled_by:
        dialling.agent_answered(turn, turn.state.offers[leg.offer_id])
    elif leg.offer_id and turn.state.calls[leg.call_id].is_absent:
        attempts.agent_answered(turn, turn.state.offers[leg.offer_id])
    elif leg.offer_id:
        talking.accept(turn, turn.state.offers[leg.offer_id])


def _bridged(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is None:
        return
    pair, transfer = {leg.leg_id, fact.leg_bridged.other_leg_id}, handover.of(turn, call.call_id)
    if transfer is not None:
        handover.bridged(turn, call, transfer, pair)
    elif call.other_leg_id and pair == {call.call_id, call.other_leg_id}:
        talking.bridged(turn, call)


def _unbridged(turn: Turn, leg: Leg, _fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is not None and leg.leg_id in (call.call_id, call.other_leg_id):
        talking.unbridged(turn, call)


def _held(turn: Turn, leg: Leg, _fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is not None and leg.role is not LegRole.SUPERVISOR:
        talking.held(turn, call)


def _resumed(turn: Turn, leg: Leg, _fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is not None and leg.role is not LegRole.SUPERVISOR:
        talking.resumed(turn, call)


def _hung_up(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    hung_up = fact.leg_hung_up
    if leg.role is not LegRole.CUSTOMER:
        _leg_ended(turn, leg, hung_up.cause)
        return
    call = turn.state.calls[leg.call_id]
    if call.stage is CallStage.HANDING:
        leaving.hung_up(turn, call, hung_up.cause, hung_up.party)
        return
    is_cut = hung_up.reconciled and hung_up.cause in _CUT and not call.answered_ms and not call.planned_exit
    calls.end(turn, call, hung_up, ev.CALL_EXIT_ERROR if is_cut else ev.CALL_EXIT_UNSPECIFIED)


def _leg_ended(turn: Turn, leg: Leg, cause: str) -> None:
    """Take note that a leg that we made is gone, or never came to be."""
    offer = turn.state.offers.get(leg.offer_id)
    call = turn.state.calls.get(leg.call_id)
    offers.forget_leg(turn, leg.leg_id)
    if offer is not None:
        offers.leg_ended(turn, offer, cause)
    elif call is None or handover.leg_ended(turn, call, leg):
        return
    elif leg.role is LegRole.CUSTOMER:
        calls.end(turn, call, sw.LegHungUp(cause=cause))
    elif leg.role is LegRole.OUTSIDE:
        flow.outside_left(turn, call, leg, cause)
    else:
        talking.agent_left(turn, call, leg)


def _playback_finished(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is not None and call.stage is CallStage.IN_STEP:
        flow.playback_finished(turn, call, fact.playback_finished)


def _digits_collected(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is not None and call.stage is CallStage.IN_STEP:
        flow.digits_collected(turn, call, fact.digits_collected)


def _answer_recorded(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is not None and leg.role is LegRole.CUSTOMER:
        flow.answer_recorded(turn, call, fact.answer_recorded)


def take_recognised(turn: Turn, found: rc.ClipRecognised) -> None:
    """Take in what a recogniser heard; the call may be over."""
    call = turn.state.calls.get(found.call_id)
    if call is not None:
        flow.clip_recognised(turn, call, found)


def _digit_pressed(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is not None and leg.role is LegRole.CUSTOMER:
        flow.digit_pressed(turn, call, fact.digit_pressed.digit)


def _fell_back(turn: Turn, leg: Leg, _fact: sw.SwitchFact) -> None:
    """End a call that FreeSWITCH took from us: what happens to it now is not ours (SPEC 2.4)."""
    if leg.role is not LegRole.CUSTOMER:
        return
    call = turn.state.calls[leg.call_id]
    if call.stage is CallStage.HANDING:
        leaving.hung_up(turn, call, leaving.FELL_BACK, sw.HANGUP_PARTY_UNSPECIFIED)
    else:
        calls.end(turn, call, sw.LegHungUp(), ev.CALL_EXIT_FALLBACK)


def _recording_began(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    recording_id = fact.recording_began.recording_id
    if call is None or recording_id in call.recordings:
        return
    call.recordings.append(recording_id)
    body = turn.call_event(call).recording_started
    body.recording_id = recording_id
    body.agent_id = call.agent_id
    body.queue_id = call.queue_id
    body.node = fact.node
    body.path = fact.recording_began.path
    body.caller, body.line = call.caller_number, call.line
    body.actor = call.recording_asked_by if recording_id == call.recording_id else ""
    body.language = flow.language_of(turn, call)


def _recording_finished(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> None:
    call = turn.state.calls.get(leg.call_id)
    if call is None:
        return
    if not fact.recording_finished.duration_ms and fact.recording_finished.recording_id in call.recordings:
        call.recordings.remove(fact.recording_finished.recording_id)
    _tell_stopped(turn, call, fact)


def _recording_finished_late(turn: Turn, fact: sw.SwitchFact) -> None:
    """Tell a recording that was complete after its leg's end."""
    ended = turn.state.ended.get(fact.leg_id)
    if ended is not None:
        _tell_stopped(turn, ended, fact)


def _tell_stopped(turn: Turn, call: Call | EndedCall, fact: sw.SwitchFact) -> None:
    finished = fact.recording_finished
    if finished.recording_id in call.stopped:
        return
    call.stopped.append(finished.recording_id)
    body = turn.call_event(call).recording_stopped
    body.recording_id = finished.recording_id
    body.duration_ms = finished.duration_ms
    body.node = fact.node
    body.path = finished.path


def _phone_registered(turn: Turn, fact: sw.SwitchFact) -> None:
    configuration = turn.state.configuration
    agent_id = configuration.agent_of_address.get(fact.phone_registered.address, "") if configuration else ""
    agent = turn.state.agents.get(agent_id)
    if agent is None:
        return
    body = turn.subject_event(f"agent:{agent_id}").agent_registered
    body.agent_id = agent_id
    body.user_agent = fact.phone_registered.user_agent
    if fact.node not in agent.registered_at:
        agent.registered_at.append(fact.node)
    agents.set_reachable(turn, agent, is_reachable=True)


def _phone_unregistered(turn: Turn, fact: sw.SwitchFact) -> None:
    configuration = turn.state.configuration
    agent_id = configuration.agent_of_address.get(fact.phone_unregistered.address, "") if configuration else ""
    agent = turn.state.agents.get(agent_id)
    if agent is None:
        return
    if fact.node in agent.registered_at:
        agent.registered_at.remove(fact.node)
    if agent.registered_at:
        return  # the phone has gone to another switch, where its registration is refreshed without a word
    body = turn.subject_event(f"agent:{agent_id}").agent_unregistered
    body.agent_id = agent_id
    body.expired = fact.phone_unregistered.expired
    turn.cancel_timer("reach", agent_id)
    agents.set_reachable(turn, agent, is_reachable=False)


def _switch_connected(turn: Turn, fact: sw.SwitchFact) -> None:
    hearing.note_boot(turn, fact.node, fact.core_uuid)
    for domain in turn.state.domains:  # who calls out must know a switch
        turn.pass_on(domain).input.fact.CopyFrom(fact)
    if turn.state.domain:
        return
    body = turn.subject_event(f"switch:{fact.node}").switch_connected
    body.node = fact.node
    body.core_uuid = fact.core_uuid


def _switch_disconnected(turn: Turn, fact: sw.SwitchFact) -> None:
    body = turn.subject_event(f"switch:{fact.node}").switch_disconnected
    body.node = fact.node
    body.reason = fact.switch_disconnected.reason


def _switch_restarted(turn: Turn, fact: sw.SwitchFact) -> None:
    body = turn.subject_event(f"switch:{fact.node}").switch_restarted
    body.node = fact.node
    body.former_core_uuid = fact.switch_restarted.former_core_uuid


def _switch_gap(turn: Turn, fact: sw.SwitchFact) -> None:
    body = turn.subject_event(f"switch:{fact.node}").switch_gap
    body.node = fact.node
    getattr(body, "from").FromMicroseconds(fact.switch_gap.from_us)
    body.until.FromMicroseconds(fact.switch_gap.until_us)


_OF_LEG: dict[str, Callable[[Turn, Leg, sw.SwitchFact], None]] = {
    "leg_parked": _parked,
    "leg_progressed": _progressed,
    "leg_answered": _answered,
    "leg_bridged": _bridged,
    "leg_unbridged": _unbridged,
    "leg_held": _held,
    "leg_resumed": _resumed,
    "leg_hung_up": _hung_up,
    "playback_finished": _playback_finished,
    "digits_collected": _digits_collected,
    "digit_pressed": _digit_pressed,
    "answer_recorded": _answer_recorded,
    "leg_fell_back": _fell_back,
    "recording_began": _recording_began,
    "recording_finished": _recording_finished,
    "leg_handed_over": lambda turn, _leg, fact: arriving.take(turn, fact),
}
_OTHERS: dict[str, Callable[[Turn, sw.SwitchFact], None]] = {
    "leg_created": _created,
    "leg_handed_over": arriving.take,
    "leg_parked": _parked_unknown,
    "recording_finished": _recording_finished_late,
    "phone_registered": _phone_registered,
    "phone_unregistered": _phone_unregistered,
    "switch_connected": _switch_connected,
    "switch_disconnected": _switch_disconnected,
    "switch_restarted": _switch_restarted,
    "switch_gap": _switch_gap,
}
