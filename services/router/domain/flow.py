"""Runs a call through the steps of its flow, by the document that it started with (SPEC 2.1, 2.3)."""

from collections.abc import Callable
from zoneinfo import ZoneInfoNotFoundError

from services.router.domain import calls, offers, queueing, talking, waiting
from services.router.domain.configuration import Configuration
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call, Leg, LegRole
from services.router.domain.opening_hours import is_listed, schedule_exit
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

MOST_STEPS = 50
"""A flow that takes so many steps without anybody hearing anything goes round in circles."""
PROMPT_MS = 300_000
"""No prompt is longer; a step whose end is not told by then goes on without it."""
LATE_MS = 1_500
"""After a refused command the leg's own end may be on its way: it is waited for so long."""
DEFAULT_TRIES = 3
DEFAULT_TIMEOUT_MS = 5_000
DEFAULT_FORWARD_SECONDS = 30
_DIGITS = frozenset("0123456789*#")

Left = tuple[str, str]
"""The exit that was taken, and one sentence why."""


class FlowFault(Exception):
    """A flow can't go on; the call is ended politely. Caught in this file."""


def start(turn: Turn, call: Call) -> None:
    """Take over a parked call and run its flow; a call that may not be taken is refused."""
    if call.refusal_cause:
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR, call.refusal_cause)
        return
    if queueing.refuse_blacklisted(turn, call):
        calls.hang_up(turn, call, ev.CALL_EXIT_BLACKLISTED, "CALL_REJECTED")
        return
    calls.lease(turn, call)
    flow = _configuration(turn, call).flows.get(call.flow_id)
    if flow is None:
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR, "UNALLOCATED_NUMBER")
        return
    _enter(turn, call, flow.start)


def advance(turn: Turn, call: Call, left: Left) -> None:
    """Leave the step that a call waits in and go on."""
    turn.cancel_timer("step", call.call_id)
    call.step_command_id = ""
    _enter(turn, call, _leave(turn, call, left))


def playback_finished(turn: Turn, call: Call, finished: sw.PlaybackFinished) -> None:
    """Go on after a prompt, whatever became of it."""
    if finished.command_id == call.step_command_id and call.step_type == "play":
        advance(turn, call, ("next", "played" if finished.completed else "the prompt could not be played"))


def digits_collected(turn: Turn, call: Call, collected: sw.DigitsCollected) -> None:
    """Go on after a menu by what was pressed."""
    if collected.command_id != call.step_command_id or call.step_type != "menu":
        return
    step = _step(turn, call)
    choice = {sw.COLLECT_OUTCOME_MATCHED: collected.digits, sw.COLLECT_OUTCOME_TIMEOUT: "timeout"}.get(
        collected.outcome, "invalid"
    )
    if choice not in step.exits and choice != "timeout":
        choice = "invalid"
    body = turn.call_event(call).ivr_choice
    body.flow_id = call.flow_id
    body.step_id = call.step_id
    body.choice = choice
    if choice in ("timeout", "invalid"):
        body.tries = step.menu.tries or DEFAULT_TRIES
    advance(turn, call, (choice, "the caller pressed a digit" if choice in _DIGITS else f"the answer was {choice}"))


def command_refused(turn: Turn, call: Call) -> None:
    """Wait a little for the leg's own end when what a step ordered was refused."""
    turn.set_timer("step", call.call_id, LATE_MS)


def step_overdue(turn: Turn, call: Call) -> None:
    """Go on with a step whose end was not told."""
    if call.stage is CallStage.FORWARDING:
        forward_failed(turn, call, "it did not answer in time")
    elif call.stage is CallStage.IN_STEP and call.step_type == "play":
        advance(turn, call, ("next", "the end of the prompt was not told"))
    elif call.stage is CallStage.IN_STEP:
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR)


def queue_exit(turn: Turn, call: Call, kind: "ev.QueueExit.ValueType", left: Left) -> None:
    """Take a waiting caller out of the queue and go on with the flow; one who is being connected stays."""
    if not call.is_waiting or call.stage is not CallStage.WAITING:
        return
    offers.cancel_all(turn, call, left[1])
    waiting.leave(turn, call, kind)
    turn.command(call, call.call_id).stop_playback.SetInParent()
    advance(turn, call, left)


def digit_pressed(turn: Turn, call: Call, digit: str) -> None:
    """Let a waiting caller leave the queue who presses a key that the queue offers."""
    if queueing.may_leave_by(turn, call, digit):
        queue_exit(turn, call, queueing.exit_of_key(turn, call, digit), (digit, "the caller pressed a key to leave"))


def check_deserted(turn: Turn, queue_id: str) -> None:
    """Send callers on whose queue nobody serves any more."""
    queue = waiting.queue_of(turn.state, queue_id)
    if queue is None:
        _leave_removed_queue(turn, queue_id)
        return
    if _is_served(turn, queue):
        return
    for entry in list(turn.state.indexes[queue_id].waiting):
        call = turn.state.calls[entry[3]]
        queue_exit(turn, call, ev.QUEUE_EXIT_NO_AGENT, ("no_agent", "the last agent of the queue went offline"))


def _leave_removed_queue(turn: Turn, queue_id: str) -> None:
    for call in [call for call in turn.state.calls.values() if call.is_waiting and call.queue_id == queue_id]:
        queue_exit(turn, call, ev.QUEUE_EXIT_ERROR, ("error", "the queue was removed"))


def forward_failed(turn: Turn, call: Call, why: str) -> None:
    """Go on after an outside number that could not be reached."""
    if call.stage is not CallStage.FORWARDING:
        return
    turn.cancel_timer("bridge", call.call_id)
    leg_id, call.other_leg_id, call.bridge_command_id = call.other_leg_id, "", ""
    call.bridge_tries, call.is_bridge_done = 0, False
    offers.release_leg(turn, leg_id, "NO_ANSWER")
    advance(turn, call, ("failed", why))


def _enter(turn: Turn, call: Call, step_id: str) -> None:
    try:
        _run(turn, call, step_id)
    except FlowFault as fault:
        if call.step_id:
            _leave(turn, call, ("error", str(fault)))
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR)


def _run(turn: Turn, call: Call, step_id: str) -> None:
    configuration = _configuration(turn, call)
    for _ in range(MOST_STEPS):
        if not step_id:
            _finish(turn, call)
            return
        step = configuration.steps.get((call.flow_id, step_id))
        if step is None:
            raise FlowFault(f"there is no step {step_id}")
        kind = step.WhichOneof("step") or ""
        call.step_id, call.step_type, call.step_from_ms = step_id, kind, turn.now_ms
        body = turn.call_event(call).flow_step_entered
        body.flow_id, body.flow_version = call.flow_id, call.version
        body.step_id, body.step_type = step_id, kind
        run = _STEPS.get(kind)
        if run is None:
            raise FlowFault("the step has no known type")
        left = run(turn, call, step)
        if left is None:
            return
        step_id = _leave(turn, call, left)
    raise FlowFault("the flow goes round in circles")


def _leave(turn: Turn, call: Call, left: Left) -> str:
    following = ""
    if left[0] != "error":
        following = _step(turn, call).exits.get(left[0], "")
    body = turn.call_event(call).flow_step_left
    body.flow_id, body.flow_version = call.flow_id, call.version
    body.step_id, body.step_type = call.step_id, call.step_type
    body.exit, body.why = left
    body.next_step_id = following
    body.duration_ms = turn.now_ms - call.step_from_ms
    call.step_id = call.step_type = ""
    return following


def _finish(turn: Turn, call: Call, cause: str = "") -> None:
    """End a call at the end of its flow: what the queue did to it before counts more than the flow's end."""
    by_queue = {
        ev.QUEUE_EXIT_TIMEOUT: ev.CALL_EXIT_TIMEOUT,
        ev.QUEUE_EXIT_NO_AGENT: ev.CALL_EXIT_NO_AGENT,
        ev.QUEUE_EXIT_ERROR: ev.CALL_EXIT_ERROR,
        ev.QUEUE_EXIT_BLACKLISTED: ev.CALL_EXIT_BLACKLISTED,
    }
    kind = ev.QueueExit.ValueType(call.queue_exit)
    calls.hang_up(turn, call, by_queue.get(kind, ev.CALL_EXIT_FLOW_ENDED), cause)


def _schedule(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    configuration = _configuration(turn, call)
    schedule = configuration.schedules.get(step.schedule.schedule_id)
    if schedule is None:
        raise FlowFault(f"there is no schedule {step.schedule.schedule_id}")
    try:
        way = schedule_exit(schedule, configuration.document.time_zone, turn.now_ms)
    except (ZoneInfoNotFoundError, ValueError) as fault:
        raise FlowFault("the time zone does not exist") from fault
    return way, f"schedule {schedule.schedule_id} says {way}"


def _check_list(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    numbers = _configuration(turn, call).lists.get(step.check_list.list_id)
    if numbers is None:
        raise FlowFault(f"there is no list {step.check_list.list_id}")
    if is_listed(numbers, call.caller_number):
        return "listed", f"the caller is in list {numbers.list_id}"
    return "not_listed", f"the caller is not in list {numbers.list_id}"


def _play(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    calls.answer(turn, call)
    calls.to_stage(call, CallStage.IN_STEP)
    command = turn.command(call, call.call_id)
    command.play_prompt.SetInParent()
    for name in step.play.prompts:
        command.play_prompt.prompts.add(name=name)
    call.step_command_id = command.command_id
    turn.set_timer("step", call.call_id, PROMPT_MS)
    return None


def _menu(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    calls.answer(turn, call)
    calls.to_stage(call, CallStage.IN_STEP)
    command = turn.command(call, call.call_id)
    ask = command.collect_digits
    for name in step.menu.prompts:
        ask.prompts.add(name=name)
    for name in step.menu.invalid_prompts:
        ask.invalid_prompts.add(name=name)
    ask.min_digits = ask.max_digits = 1
    ask.tries = step.menu.tries or DEFAULT_TRIES
    ask.timeout_ms = step.menu.timeout_ms or DEFAULT_TIMEOUT_MS
    ask.valid.extend(sorted(way for way in step.exits if way in _DIGITS))
    call.step_command_id = command.command_id
    turn.set_timer("step", call.call_id, PROMPT_MS + ask.tries * ask.timeout_ms)
    return None


def _queue(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    queue = waiting.queue_of(turn.state, step.queue.queue_id)
    if queue is None:
        raise FlowFault(f"there is no queue {step.queue.queue_id}")
    return queueing.enter(turn, call, queue, step.queue)


def _forward(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    number = step.forward.number
    allowed = _configuration(turn, call).document.limits.allowed_prefixes
    if not any(number.startswith(prefix) for prefix in allowed):
        turn.call_event(call).limit_exceeded.limit = "allowed_prefixes"
        return "failed", "the number may not be dialled"
    calls.answer(turn, call)
    calls.to_stage(call, CallStage.FORWARDING)
    turn.command(call, call.call_id).start_music.SetInParent()
    ring_ms = (step.forward.ring_timeout_seconds or DEFAULT_FORWARD_SECONDS) * 1000
    leg_id = turn.new_leg_id()
    command = turn.command(call, leg_id, ring_ms)
    command.originate_leg.number = number
    command.originate_leg.ring_timeout_ms = ring_ms
    command.originate_leg.caller_number = call.line
    call.other_leg_id = leg_id
    turn.state.legs[leg_id] = Leg(leg_id, call.call_id, LegRole.OUTSIDE, call.node, command_id=command.command_id)
    turn.set_timer("step", call.call_id, ring_ms)
    return None


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
        calls.hang_up(turn, call, ev.CALL_EXIT_FORWARDED)
    else:
        forward_failed(turn, call, f"the number could not be reached: {cause}")


def _hangup(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    _leave(turn, call, ("hangup", "the flow ends the call"))
    _finish(turn, call, step.hangup.cause)
    return None


def _is_served(turn: Turn, queue: tn.Queue) -> bool:
    return any(turn.state.indexes[queue.queue_id].logged_in.values())


def _configuration(turn: Turn, call: Call) -> Configuration:
    return turn.state.configurations[call.version]


def _step(turn: Turn, call: Call) -> tn.Step:
    return _configuration(turn, call).steps[call.flow_id, call.step_id]


_STEPS: dict[str, Callable[[Turn, Call, tn.Step], Left | None]] = {
    "schedule": _schedule,
    "menu": _menu,
    "play": _play,
    "check_list": _check_list,
    "queue": _queue,
    "forward": _forward,
    "hangup": _hangup,
}
