"""Taking a call from another log of its tenant, with everything that was known of it there (ADR 33)."""

from collections.abc import Callable

import orjson

from services.router.domain import calls, flow, versions, waiting, widening
from services.router.domain.callbacks import joining, opening
from services.router.domain.callbacks.task import Callback
from services.router.domain.control import handover
from services.router.domain.errors import UnreadableInput
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call, Leg, LegRole
from services.router.domain.splitting import leaving, moving
from services.router.domain.splitting.records import built
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw


def take(turn: Turn, fact: sw.SwitchFact) -> None:
    """Take a call that was handed over; one that is known by this hand-over or a later one changes nothing."""
    handed, state = fact.leg_handed_over, turn.state
    if state.configuration is None:
        raise UnreadableInput("a call was handed over to a log without a document")
    if _is_known(turn, fact.leg_id, handed.hop):
        return
    former = state.calls.get(fact.leg_id)
    if former is not None:
        leaving.gone(turn, former)  # it comes back before its leaving was confirmed
    record = orjson.loads(handed.record)
    call, leg = built(Call, record["call"]), built(Leg, record["leg"] or {})
    leg.role = LegRole.CUSTOMER
    how, what = record["how"]
    _settle_in(turn, call, leg)
    if record["task"]:
        moving.take_task(turn, built(Callback, record["task"]), record["told_of_task"])
    if record["metered"]:
        state.metered[call.call_id] = record["metered"]
    if how != leaving.QUEUE:
        calls.lease(turn, call)
    for kind, due_ms in record["timers"].items():
        turn.set_timer(kind, call.call_id, max(1, due_ms - turn.now_ms))
    _HOW[how](turn, call, what)


def _is_known(turn: Turn, call_id: str, hop: int) -> bool:
    state = turn.state
    if call_id in state.ended:
        return True
    kept = state.calls.get(call_id) or state.away.get(call_id) or state.gone.get(call_id)
    return kept is not None and kept.hop >= hop


def _settle_in(turn: Turn, call: Call, leg: Leg) -> None:
    state = turn.state
    if call.version not in state.configurations:
        call.version = state.version
    state.calls[call.call_id], state.legs[call.call_id] = call, leg
    versions.hold(state, call.version)
    state.gone.pop(call.call_id, None)
    away = state.away.pop(call.call_id, None)
    if away is not None and away.version:
        versions.release(turn, away.version)
    if state.domain:
        state.visitors.add(call.call_id)
    opening.caller_came(turn, call)


def _enter_step(turn: Turn, call: Call, step_id: str) -> None:
    call.stage = CallStage.IN_STEP
    flow.go_to(turn, call, step_id)


def _join_queue(turn: Turn, call: Call, queue_id: str) -> None:
    call.stage = CallStage.TRANSFERRING
    queue = waiting.queue_of(turn.state, queue_id)
    if queue is None:
        calls.hang_up(turn, call, ev.CALL_EXIT_ANSWERED if call.answered_ms else ev.CALL_EXIT_ERROR)
    else:
        handover.into_queue(turn, call, queue)


def _wait_on(turn: Turn, call: Call, _what: str) -> None:
    """Let a caller wait on whose queue has come here: at its place, and nobody hears of it."""
    call.stage = CallStage.WAITING
    call.refused, call.last_refused = {}, {}
    index = turn.state.indexes.get(call.queue_id)
    if index is not None:
        widening.widen(turn, call, index)
        waiting.index_call(turn.state, call)
        turn.callers.append(call.call_id)
    elif not waiting.is_here(turn.state, call.queue_id):
        turn.state.strays.add(call.call_id)
        return
    turn.deserted.append(call.queue_id)


def _join_live(turn: Turn, call: Call, _what: str) -> None:
    call.stage = CallStage.CALLING
    joining.wait_live(turn, call)


_HOW: dict[str, Callable[[Turn, Call, str], None]] = {
    leaving.STEP: _enter_step,
    leaving.QUEUE: _join_queue,
    leaving.WAIT: _wait_on,
    leaving.LIVE: _join_live,
}
