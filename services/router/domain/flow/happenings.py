"""What is told while a call is in a step, and what it means for the step."""

from services.router.domain import calls, offers, queueing, talking, waiting
from services.router.domain.flow import lookup, speech
from services.router.domain.flow.engine import KINDS, advance, after_talk
from services.router.domain.flow.kinds import Left, step_of
from services.router.domain.flow.people import is_served
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call, Leg
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import recognition_pb2 as rc
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw

LATE_MS = 1_500
"""After a refused command the leg's own end may be on its way: it is waited for so long."""


def playback_finished(turn: Turn, call: Call, finished: sw.PlaybackFinished) -> None:
    """Go on after a prompt, whatever became of it."""
    kind = KINDS.get(call.step_type)
    if kind is not None and kind.played is not None and finished.command_id == call.step_command_id:
        advance(turn, call, kind.played(turn, call, step_of(turn, call), finished.completed))


def digits_collected(turn: Turn, call: Call, collected: sw.DigitsCollected) -> None:
    """Go on after a question by what was pressed."""
    kind = KINDS.get(call.step_type)
    if kind is not None and kind.collected is not None and collected.command_id == call.step_command_id:
        advance(turn, call, kind.collected(turn, call, step_of(turn, call), collected))


def digit_pressed(turn: Turn, call: Call, digit: str) -> None:
    """Let a step that listens have a digit outside of any question; by a key of the queue's a caller leaves it."""
    kind = KINDS.get(call.step_type)
    if queueing.may_leave_by(turn, call, digit):
        queue_exit(turn, call, queueing.exit_of_key(turn, call, digit), (digit, "the caller pressed a key to leave"))
        return
    if call.stage is CallStage.IN_STEP and kind is not None and kind.pressed is not None:
        advance(turn, call, kind.pressed(turn, call, step_of(turn, call), digit))


def answer_recorded(turn: Turn, call: Call, recorded: sw.AnswerRecorded) -> None:
    """Go on when a caller has spoken."""
    if call.stage is CallStage.IN_STEP and speech.is_recorded(call, recorded):
        speech.recorded(turn, call, step_of(turn, call))


def clip_recognised(turn: Turn, call: Call, found: rc.ClipRecognised) -> None:
    """Go on by what a caller said."""
    if call.stage is CallStage.IN_STEP and speech.is_recognised(call, found):
        advance(turn, call, speech.recognised(turn, call, step_of(turn, call), found))


def lookup_answered(turn: Turn, call: Call, found: rq.TakeLookup) -> None:
    """Go on after what the tenant's CRM answered."""
    if call.stage is CallStage.IN_STEP:
        advance(turn, call, lookup.answered(turn, call, found))


def command_refused(turn: Turn, call: Call) -> None:
    """Wait a little for the leg's own end when what a step ordered was refused."""
    turn.set_timer("step", call.call_id, LATE_MS)


def step_overdue(turn: Turn, call: Call) -> None:
    """Go on with a step whose end was not told."""
    kind = KINDS.get(call.step_type)
    if call.stage is CallStage.FORWARDING:
        forward_failed(turn, call, "it did not answer in time")
    elif call.stage is CallStage.IN_STEP and kind is not None and kind.overdue is not None:
        advance(turn, call, kind.overdue(turn, call, step_of(turn, call)))
    elif call.stage is CallStage.IN_STEP:
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR)


def queue_exit(turn: Turn, call: Call, kind: "ev.QueueExit.ValueType", left: Left) -> None:
    """Take a waiting caller out of the queue and go on with the flow; one who is being connected stays."""
    if not call.is_waiting or call.is_absent or call.stage is not CallStage.WAITING:
        return
    offers.cancel_all(turn, call, left[1])
    waiting.leave(turn, call, kind)
    turn.command(call, call.call_id).stop_playback.SetInParent()
    advance(turn, call, left)


def check_deserted(turn: Turn, queue_id: str) -> None:
    """Send callers on whose queue nobody serves any more."""
    queue = waiting.queue_of(turn.state, queue_id)
    if queue is None:
        _leave_removed_queue(turn, queue_id)
        return
    if not waiting.is_here(turn.state, queue_id) or is_served(turn, queue):
        return
    for entry in list(turn.state.indexes[queue_id].waiting):
        call = turn.state.calls[entry[3]]
        queue_exit(turn, call, ev.QUEUE_EXIT_NO_AGENT, ("no_agent", "the last agent of the queue went offline"))


def _leave_removed_queue(turn: Turn, queue_id: str) -> None:
    for call in [call for call in turn.state.calls.values() if call.is_waiting and call.queue_id == queue_id]:
        queue_exit(turn, call, ev.QUEUE_EXIT_ERROR, ("error", "the queue was removed"))


def check_unoffered(turn: Turn, call: Call) -> None:
    """Send a caller on whom a named agent did not take; one who waits in a queue is not meant."""
    if call.step_type == "agent" and call.stage is CallStage.WAITING and not call.is_waiting and not call.offers:
        advance(turn, call, ("unavailable", "the agent did not take the call"))


def parked_again(turn: Turn, call: Call) -> None:
    """Take note that the switch gave the caller back after a talk."""
    if call.goes_on and call.stage is CallStage.TALKING:
        call.is_parked_again = True
        after_talk(turn, call)


def forward_failed(turn: Turn, call: Call, why: str) -> None:
    """Go on after an outside number that could not be reached."""
    if call.stage is not CallStage.FORWARDING:
        return
    turn.cancel_timer("bridge", call.call_id)
    leg_id, call.other_leg_id, call.bridge_command_id = call.other_leg_id, "", ""
    call.bridge_tries, call.is_bridge_done = 0, False
    offers.release_leg(turn, leg_id, "NO_ANSWER")
    advance(turn, call, ("failed", why))


def outside_answered(turn: Turn, call: Call, leg: Leg) -> None:
    """Connect the caller with the outside number that answered."""
    if call.stage is CallStage.FORWARDING and not call.bridge_command_id and call.other_leg_id == leg.leg_id:
        turn.cancel_timer("step", call.call_id)
        talking.bridge(turn, call, leg.leg_id)


def outside_left(turn: Turn, call: Call, leg: Leg, cause: str) -> None:
    """Go on, or end the call, after the outside number's leg ended."""
    if call.other_leg_id != leg.leg_id:
        return
    if call.stage is CallStage.FORWARDED:
        calls.stop_talk(turn, call)
        call.other_leg_id = ""
        calls.hang_up(turn, call, ev.CALL_EXIT_ANSWERED if call.answered_ms else ev.CALL_EXIT_FORWARDED)
    else:
        forward_failed(turn, call, f"the number could not be reached: {cause}")
