"""A customer's call from its first fact to call.ended: leases, hang-ups, the one exit."""

from services.router.domain import offers, outbound, versions, waiting
from services.router.domain.callbacks import opening, planning
from services.router.domain.control import letting_go
from services.router.domain.lifecycle import CallStage, check_call
from services.router.domain.model import Call, EndedCall, Leg, LegRole
from services.router.domain.splitting import telling
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.phone_number import as_known

LEASE_SECONDS = 30
RENEW_MS = 10_000
HANG_UP_MS = 10_000
HANG_UP_TRIES = 3
"""A hang-up is ordered so often; then the leg is taken for gone, so that no call stays for ever."""
KEPT_AFTER_END_MS = 15 * 60_000
MOST_ENDED = 5_000
TIMERS = ("lease", "step", "wait", "retry", "bridge", "unbridged", "transfer", "end", "dial", "mask", "hand")
_LOST = frozenset({ev.CALL_EXIT_ABANDONED, ev.CALL_EXIT_SHORT_ABANDONED, ev.CALL_EXIT_TIMEOUT, ev.CALL_EXIT_NO_AGENT})
_BY_QUEUE_EXIT: dict[int, "ev.CallExit.ValueType"] = {
    ev.QUEUE_EXIT_ABANDONED: ev.CALL_EXIT_ABANDONED,
    ev.QUEUE_EXIT_SHORT_ABANDONED: ev.CALL_EXIT_SHORT_ABANDONED,
    ev.QUEUE_EXIT_TIMEOUT: ev.CALL_EXIT_TIMEOUT,
    ev.QUEUE_EXIT_NO_AGENT: ev.CALL_EXIT_NO_AGENT,
    ev.QUEUE_EXIT_ERROR: ev.CALL_EXIT_ERROR,
    ev.QUEUE_EXIT_BLACKLISTED: ev.CALL_EXIT_BLACKLISTED,
}


def begin(turn: Turn, fact: sw.SwitchFact, line: str) -> Call | None:
    """Start a call with an inbound leg; None when the tenant has no document, then the switch helps itself."""
    state = turn.state
    configuration = state.configuration
    if configuration is None:
        return None
    created = fact.leg_created
    call = Call(
        fact.leg_id,
        fact.node,
        line,
        as_known(created.caller_number, line),
        created.caller_name,
        configuration.version,
        configuration.lines.get(line, ""),
        turn.now_ms,
    )
    state.legs[call.call_id] = Leg(call.call_id, call.call_id, LegRole.CUSTOMER, fact.node)
    open_call(turn, call)
    _check_limits(turn, call, configuration.limits)
    opening.caller_came(turn, call)
    return call


def open_call(turn: Turn, call: Call) -> None:
    """Take a new call in and tell that it started."""
    state = turn.state
    state.calls[call.call_id] = call
    versions.hold(state, call.version)
    _tell_started(turn, call)


def live_calls(state: TenantState) -> int:
    """Return how many calls count against the limit here; the reception counts those too that it gave to domains."""
    return len(state.calls) - len(state.absent) - len(state.visitors) + len(state.away)


def to_stage(call: Call, wanted: CallStage) -> None:
    """Bring a call to a stage; raises IllegalTransition."""
    if call.stage is not wanted:
        check_call(call.call_id, call.stage, wanted)
        call.stage = wanted


def lease(turn: Turn, call: Call) -> None:
    """Keep the caller out of the local fallback for a while longer."""
    turn.command(call, call.call_id).lease_leg.seconds = LEASE_SECONDS
    turn.set_timer("lease", call.call_id, RENEW_MS)


def unlease(turn: Turn, call: Call) -> None:
    """Tell that the leg needs no guard: it is bridged."""
    turn.cancel_timer("lease", call.call_id)
    turn.command(call, call.call_id).lease_leg.seconds = 0


def answer(turn: Turn, call: Call) -> None:
    """Answer the caller before the first thing to be heard."""
    if not call.is_leg_answered:
        call.is_leg_answered = True
        turn.command(call, call.call_id).answer_leg.SetInParent()


def hang_up(turn: Turn, call: Call, call_exit: "ev.CallExit.ValueType", cause: str = "") -> None:
    """Order the end of a call; how it ended is decided here, it is told when the leg is gone."""
    if call.stage is CallStage.ENDING:
        return
    if call.stage is CallStage.HANDING:  # who has it when its leg ends will tell so
        turn.command(call, call.call_id).hang_up_leg.cause = cause
        return
    is_unreached = call.is_outbound and not call.is_leg_answered
    call.planned_exit = ev.CALL_EXIT_NOT_REACHED if is_unreached else call_exit
    offers.cancel_all(turn, call, "call ended")
    if call.is_waiting:
        waiting.leave(turn, call, ev.QUEUE_EXIT_ERROR)
    for kind in TIMERS:
        turn.cancel_timer(kind, call.call_id)
    _release_others(turn, call)
    to_stage(call, CallStage.ENDING)
    call.hang_up_cause = cause
    if call.call_id not in turn.state.legs:  # its customer was not dialled
        end(turn, call, sw.LegHungUp(cause=cause))
        return
    order_hang_up(turn, call)


def order_hang_up(turn: Turn, call: Call) -> None:
    """Order the hang-up once more; after HANG_UP_TRIES the leg is taken for gone."""
    if call.hang_up_tries >= HANG_UP_TRIES:
        end(turn, call, sw.LegHungUp(cause=call.hang_up_cause or "NORMAL_CLEARING", reconciled=True))
        return
    call.hang_up_tries += 1
    turn.command(call, call.call_id).hang_up_leg.cause = call.hang_up_cause
    turn.set_timer("end", call.call_id, HANG_UP_MS)


def end(
    turn: Turn, call: Call, hung_up: sw.LegHungUp, forced: "ev.CallExit.ValueType" = ev.CALL_EXIT_UNSPECIFIED
) -> None:
    """End a call whose leg is gone: everything that it held is let go, and its one exit is told."""
    offers.cancel_all(turn, call, "caller gone")
    if call.is_waiting:
        waiting.leave(turn, call, ev.QUEUE_EXIT_ERROR if forced else waiting.abandon_exit(turn, call))
    stop_talk(turn, call)
    call_exit = _exit_of(call, forced)
    _release_others(turn, call)
    for kind in TIMERS:
        turn.cancel_timer(kind, call.call_id)
    if call_exit in _LOST:
        _tell_lost(turn, call, call_exit)
    opening.lost(turn, call, call_exit)
    planning.attempt_over(turn, call, hung_up.cause)
    opening.caller_went(turn, call)
    if call.sequence:  # nobody was told of a callback that never had its turn
        _tell_ended(turn, call, call_exit, hung_up, fell_back=forced == ev.CALL_EXIT_FALLBACK)
    _forget(turn, call)


def stop_talk(turn: Turn, call: Call) -> None:
    """Count the talk and the hold that end now."""
    close_hold(turn, call)
    if call.talk_from_ms:
        call.talk_ms += turn.now_ms - call.talk_from_ms
        call.talk_from_ms = 0


def close_hold(turn: Turn, call: Call) -> None:
    """Count the hold that ends now."""
    if call.held_from_ms:
        call.hold_ms += turn.now_ms - call.held_from_ms
        call.held_from_ms = 0


def purge_ended(turn: Turn) -> None:
    """Forget calls that ended long ago, oldest first."""
    ended = turn.state.ended
    while ended:
        oldest = next(iter(ended.values()))
        if oldest.ended_ms + KEPT_AFTER_END_MS >= turn.now_ms and len(ended) <= MOST_ENDED:
            break
        del ended[oldest.call_id]
    gone = turn.state.gone
    while gone and gone[call_id := next(iter(gone))].at_ms + KEPT_AFTER_END_MS < turn.now_ms:
        del gone[call_id]


def _release_others(turn: Turn, call: Call) -> None:
    """Hang up the legs at the other end, if they live, and send their agents on."""
    letting_go.end_transfer(turn, call)
    letting_go.end_supervision(turn, call)
    if call.other_leg_id:
        stop_talk(turn, call)
        letting_go.let_agent_go(turn, call)


def _exit_of(call: Call, forced: "ev.CallExit.ValueType") -> "ev.CallExit.ValueType":
    if call.answered_ms:  # before all others: whom an agent served nobody lost, whatever befell the call afterwards
        return ev.CALL_EXIT_ANSWERED
    if forced or call.planned_exit:
        return forced or ev.CallExit.ValueType(call.planned_exit)
    if call.stage is CallStage.FORWARDED:
        return ev.CALL_EXIT_FORWARDED
    otherwise = ev.CALL_EXIT_NOT_REACHED if call.is_outbound else ev.CALL_EXIT_FLOW_ABANDONED
    return _BY_QUEUE_EXIT.get(call.queue_exit, otherwise)


def _forget(turn: Turn, call: Call) -> None:
    state = turn.state
    state.ended[call.call_id] = EndedCall(
        call.call_id,
        turn.now_ms,
        call.sequence,
        call.agent_id,
        call.queue_id,
        call.stopped,
        call.node,
        call.line,
        call.caller_number,
        call.caller_name,
        state.configurations[call.version].scripts.mail_address(call.variables),
    )
    del state.calls[call.call_id]
    state.absent.discard(call.call_id)
    state.legs.pop(call.call_id, None)
    outbound.ended(turn, call.call_id)
    state.visitors.discard(call.call_id)
    if call.sequence:  # nobody was told of a callback that never had its turn
        telling.call_over(turn, call)
    versions.release(turn, call.version)


def _tell_started(turn: Turn, call: Call) -> None:
    body = turn.call_event(call).call_started
    body.direction = sw.DIRECTION_OUTBOUND if call.is_outbound else sw.DIRECTION_INBOUND
    body.line = call.line
    body.caller.number = call.caller_number
    body.caller.name = call.caller_name
    body.leg_id = call.call_id
    body.flow_id = call.flow_id
    body.tenant_version = call.version
    body.node = call.node


def _check_limits(turn: Turn, call: Call, limits: tn.Limits) -> None:
    """Refuse a caller who is one too many, at once or within a second."""
    live = live_calls(turn.state)
    is_full = 0 < limits.concurrent_calls < live
    refused = outbound.Refusal("concurrent_calls", live, limits.concurrent_calls) if is_full else None
    refused = refused or outbound.too_fast(turn, limits)
    if refused is None:
        outbound.note_begun(turn, limits)
        return
    call.refusal_cause = "NORMAL_CIRCUIT_CONGESTION"
    refused.tell(turn.call_event(call))


def _tell_lost(turn: Turn, call: Call, call_exit: "ev.CallExit.ValueType") -> None:
    body = turn.call_event(call).call_lost
    body.exit = call_exit
    body.line = call.line
    body.caller.number = call.caller_number
    body.caller.name = call.caller_name
    body.queue_id = call.queue_id
    body.wait_ms = call.wait_ms


def _tell_ended(
    turn: Turn, call: Call, call_exit: "ev.CallExit.ValueType", hung_up: sw.LegHungUp, *, fell_back: bool
) -> None:
    body = turn.call_event(call).call_ended
    body.exit = call_exit
    body.line = call.line
    body.caller.number = call.caller_number
    body.caller.name = call.caller_name
    body.queue_id = call.queue_id
    body.agent_id = call.agent_id
    body.started_at.FromMilliseconds(call.started_ms)
    if call.answered_ms:
        body.answered_at.FromMilliseconds(call.answered_ms)
    body.wait_ms = call.wait_ms
    body.talk_ms = call.talk_ms
    body.hold_ms = call.hold_ms
    body.hangup_cause = hung_up.cause
    body.hangup_party = hung_up.party
    body.fell_back = fell_back
    kept = call.recordings if call.answered_ms else [one for one in call.recordings if one in call.messages]
    body.recording_ids.extend(kept)  # without a talk only a message holds anything
    body.disposition = call.disposition
    body.callback_id = call.callback_id
    body.direction = sw.DIRECTION_OUTBOUND if call.is_outbound else sw.DIRECTION_INBOUND
