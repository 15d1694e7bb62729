"""Giving a call to another log of its tenant: ordered, and settled by what the listener says became of that (ADR 33).

The listener executes a hand-over once, between two facts of the leg. Until it has said whether it did, nothing is
decided of the call here: a hang-up is kept, and counts here only if the leg was never handed over.
"""

from dataclasses import replace
from typing import Final

import orjson

from services.router.domain import calls, offers, versions, waiting
from services.router.domain.callbacks import opening, planning
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Away, Call, Gone, Handing, Leg
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw

STEP, QUEUE, WAIT, LIVE = "step", "queue", "wait", "live"
"""What is done with it there: enter a step of its flow, join a queue after a talk, wait on, or join as one called."""
HAND_MS: Final = 10_000
"""What was not settled in this time is ordered once more."""
MOST_TRIES: Final = 5
"""So often while the leg is known to be gone, or when the listener refuses."""
NO_SUCH_LEG: Final = "NO_SUCH_LEG"
FELL_BACK: Final = "FELL_BACK"
OF_RECORDINGS: Final = frozenset({"recording_began", "recording_finished"})
LATE_MS: Final = 2_000
"""The end of a leg that is gone is told within this time."""


def over(turn: Turn, call: Call, domain: str, how: str, what: str = "") -> None:
    """Give a call towards a domain; `what` is the step or queue there."""
    state, configuration = turn.state, turn.state.configuration
    offers.cancel_all(turn, call, "moved")
    due = {kind: state.timers.get(f"{kind}:{call.call_id}", 0) for kind in waiting.TIMERS}
    for kind in (*calls.TIMERS, *waiting.TIMERS):
        turn.cancel_timer(kind, call.call_id)
    state.strays.discard(call.call_id)
    calls.to_stage(call, CallStage.HANDING)
    call.hop += 1
    handing = call.handing = Handing(configuration.way_to(domain) if configuration else domain, how, what)
    handing.timers = {kind: due_ms for kind, due_ms in due.items() if due_ms and how == WAIT}
    _order(turn, call, handing)


def is_of_hand_over(call: Call, command_id: str) -> bool:
    """Whether a command is one that hands a call over, of which nothing was heard yet."""
    return call.handing is not None and command_id in call.handing.commands


def result(turn: Turn, call: Call, told: cm.CommandResult) -> None:
    """Take in what became of a hand-over."""
    handing = call.handing
    if handing is None:
        return
    handing.commands.remove(told.command_id)
    if told.outcome == cm.COMMAND_OUTCOME_DONE:
        gone(turn, call)
    elif call.stage is not CallStage.HANDING or handing.commands:
        return  # an earlier one may have been executed
    elif handing.farewell:
        _end(turn, call, handing)
    elif told.cause in (NO_SUCH_LEG, FELL_BACK):
        handing.tries = MOST_TRIES
        turn.set_timer("hand", call.call_id, LATE_MS)
    elif handing.tries < MOST_TRIES:
        _order(turn, call, handing)
    else:
        _give_up(turn, call, handing)


def holds_back(turn: Turn, leg: Leg, fact: sw.SwitchFact) -> bool:
    """Keep a fact of a recording for whoever will have its call; False while that stays here."""
    call = turn.state.calls.get(leg.call_id)
    if call is None or call.handing is None or call.stage is not CallStage.HANDING:
        return False
    call.handing.held_back.append(fact.SerializeToString(deterministic=True).hex())
    return True


def hung_up(turn: Turn, call: Call, cause: str, party: "sw.HangupParty.ValueType") -> None:
    """Keep a hang-up that came before it is known whose the leg was by then."""
    handing = call.handing
    if handing is None:
        return
    handing.farewell = handing.farewell or [cause, party]
    if handing.tries >= MOST_TRIES:
        _end(turn, call, handing)


def overdue(turn: Turn, call: Call) -> None:
    """Order a hand-over once more of which nothing was heard; in the end it failed."""
    handing = call.handing
    if handing is None or call.stage is not CallStage.HANDING:
        return
    if handing.tries < MOST_TRIES:
        _order(turn, call, handing)
    elif handing.farewell:
        _end(turn, call, handing)
    else:
        _give_up(turn, call, handing)


def gone(turn: Turn, call: Call) -> None:
    """Let go of a call that another log has now."""
    state, handing = turn.state, call.handing
    if handing is None:
        return
    turn.cancel_timer("hand", call.call_id)
    turn.cancel_timer("end", call.call_id)
    del state.calls[call.call_id]
    state.legs.pop(call.call_id, None)
    state.metered.pop(call.call_id, None)
    state.visitors.discard(call.call_id)
    if state.domain:
        state.gone[call.call_id] = Gone(handing.domain, turn.now_ms, call.hop)
        versions.release(turn, call.version)
    else:
        # Its version is held as long as it lives, wherever that is.
        state.away[call.call_id] = Away(handing.domain, call.caller_number, call.version, call.hop)
    task = state.callbacks.get(call.callback_id)
    if task is not None:
        planning.forget(turn, task)
        state.sequences.pop(f"callback:{task.callback_id}", None)
    opening.caller_went(turn, call)
    for kept in handing.held_back:  # it has the call by now, for we are told after it
        turn.pass_on(handing.domain).input.fact.ParseFromString(bytes.fromhex(kept))


def _stays(turn: Turn, call: Call, handing: Handing) -> None:
    turn.cancel_timer("hand", call.call_id)
    turn.state.held_back += [sw.SwitchFact.FromString(bytes.fromhex(kept)) for kept in handing.held_back]
    handing.held_back = []


def _order(turn: Turn, call: Call, handing: Handing) -> None:
    handing.tries += 1
    command = turn.command(call, call.call_id, HAND_MS)
    command.hand_over_leg.to_domain, command.hand_over_leg.hop = handing.domain, call.hop
    command.hand_over_leg.record = _record(turn, call, handing)
    handing.commands.append(command.command_id)
    turn.set_timer("hand", call.call_id, HAND_MS)


def _record(turn: Turn, call: Call, handing: Handing) -> bytes:
    state = turn.state
    record = {
        "call": replace(call, handing=None, supervisors=[]),
        "how": [handing.how, handing.what],
        "timers": handing.timers,
        "leg": state.legs.get(call.call_id),
        "task": state.callbacks.get(call.callback_id),
        "told_of_task": state.sequences.get(f"callback:{call.callback_id}", 0),
        "metered": state.metered.get(call.call_id),
    }
    return orjson.dumps(record)


def _end(turn: Turn, call: Call, handing: Handing) -> None:
    """End a call whose leg was never handed over."""
    cause, party = handing.farewell
    _stays(turn, call, handing)
    forced = ev.CALL_EXIT_FALLBACK if cause == FELL_BACK else ev.CALL_EXIT_UNSPECIFIED
    told = sw.LegHungUp(cause="" if forced else str(cause), party=sw.HangupParty.ValueType(int(party)))
    calls.end(turn, call, told, forced)


def _give_up(turn: Turn, call: Call, handing: Handing) -> None:
    """End a call that could not be handed over."""
    _stays(turn, call, handing)
    calls.to_stage(call, CallStage.ENDING)
    call.planned_exit = call.planned_exit or ev.CALL_EXIT_ERROR
    calls.order_hang_up(turn, call)
