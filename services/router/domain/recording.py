"""What of a talk is recorded: by policy or on demand, with pauses and masks that end by themselves (SPEC 6.1)."""

from zlib import crc32

from services.router.domain.configuration import CONSENT_GIVEN, CONSENT_REFUSED
from services.router.domain.control.asking import ACCEPTED, Answer
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import StartRecording

MASK = "mask"
PAUSE = "pause"
UNMASK = "unmask"
SYSTEM = "system"
"""Who ends a mask that nobody ended."""
MASK_SECONDS = 120
UNMASK_AGAIN_MS = 2_000
_HUNDRED = 100


def policy_of(turn: Turn, call: Call) -> tn.RecordingPolicy:
    """Return the policy of the call's queue, else of its line, else of the company; each counts as a whole."""
    configuration = turn.state.configuration
    if configuration is None:
        return tn.RecordingPolicy(mode=tn.RECORDING_MODE_NONE)
    return configuration.recording_policy(call.line, call.queue_id)


def is_wanted(policy: tn.RecordingPolicy, call_id: str, consent: str) -> bool:
    """Whether an answered call is recorded without anybody's asking; a policy that says nothing records all."""
    if consent == CONSENT_REFUSED or policy.mode in (tn.RECORDING_MODE_NONE, tn.RECORDING_MODE_ON_DEMAND):
        return False
    if policy.mode == tn.RECORDING_MODE_ON_CONSENT:
        return consent == CONSENT_GIVEN
    if policy.mode == tn.RECORDING_MODE_PERCENT:
        return crc32(call_id.encode()) % _HUNDRED < policy.percent
    return True


def begin(turn: Turn, call: Call) -> None:
    """Have a talk recorded where its policy wants that; the switch writes nothing until they hear each other."""
    if is_wanted(policy_of(turn, call), call.call_id, call.consent):
        _start(turn, call)


def go_on_in_room(turn: Turn, call: Call) -> None:
    """Go on recording a call in a room, where FreeSWITCH knows no bridge that it could wait for."""
    if not call.recording_id:
        return
    what, actor = call.masked_by or ["", ""]
    stop(turn, call)
    _start(turn, call).without_bridge = True
    if what:
        _order_mask(turn, call, what, actor)  # what was secret in the bridge is secret in the room


def stop(turn: Turn, call: Call) -> None:
    """Order the end of a call's recording, if there is one; its mask ends with it."""
    if call.recording_id:
        turn.command(call, call.call_id).stop_recording.recording_id = call.recording_id
        call.recording_id = call.recording_asked_by = ""
        _forget_mask(turn, call)


def control(turn: Turn, call: Call, actor: str, wanted: "rq.RecordingControl.ValueType") -> Answer:
    """Do what somebody asks of a talk's recording; it is told when the switch has done it."""
    if wanted == rq.RECORDING_CONTROL_START:
        return _start_on_demand(turn, call, actor)
    if not call.recording_id:
        return "not-recorded", "This call is not recorded."
    if wanted == rq.RECORDING_CONTROL_STOP:
        return _stop_on_demand(turn, call)
    if wanted == rq.RECORDING_CONTROL_RESUME:
        _order_unmask(turn, call, actor)
    elif wanted in (rq.RECORDING_CONTROL_MASK, rq.RECORDING_CONTROL_PAUSE):
        _order_mask(turn, call, MASK if wanted == rq.RECORDING_CONTROL_MASK else PAUSE, actor)
    else:
        return "unknown-control", "The recording can be started, stopped, masked, paused or resumed."
    return ACCEPTED


def mask_over(turn: Turn, call: Call) -> None:
    """Write voices again when the longest mask is over: an agent who forgets it loses no more of the talk."""
    if call.recording_id:
        _order_unmask(turn, call, SYSTEM)


def mask_ended(turn: Turn, call: Call, command_id: str, *, is_done: bool) -> None:
    """Tell a recording's silence or voices once the switch has done it; an unmask that failed is tried again."""
    what, actor = call.masking.pop(command_id)
    if not call.recording_id:
        return
    if not is_done:
        if what == UNMASK and call.masked_by:
            turn.set_timer("mask", call.call_id, UNMASK_AGAIN_MS)
        elif call.masked_by == [what, actor]:
            _forget_mask(turn, call)
        return
    event = turn.call_event(call)
    if what == UNMASK:
        _forget_mask(turn, call)
        event.recording_resumed.recording_id, event.recording_resumed.actor = call.recording_id, actor
        return
    body = event.recording_masked if what == MASK else event.recording_paused
    body.recording_id, body.actor = call.recording_id, actor
    body.limit_seconds = _limit_seconds(turn, call)


def _start(turn: Turn, call: Call, actor: str = "") -> StartRecording:
    call.recording_id, call.recording_asked_by = turn.new_id(), actor
    action = turn.command(call, call.call_id).start_recording
    action.recording_id = call.recording_id
    return action


def _start_on_demand(turn: Turn, call: Call, actor: str) -> Answer:
    if call.recording_id:
        return "recorded-already", "This call is recorded already."
    if call.consent == CONSENT_REFUSED:
        return "consent-refused", "The customer did not agree to a recording."
    if policy_of(turn, call).mode == tn.RECORDING_MODE_NONE:
        return "recording-forbidden", "The policy forbids recordings here."
    _start(turn, call, actor)
    return ACCEPTED


def _stop_on_demand(turn: Turn, call: Call) -> Answer:
    if not call.recording_asked_by:
        return "recorded-by-policy", "This recording is the policy's; it can be masked or paused."
    stop(turn, call)
    return ACCEPTED


def _order_mask(turn: Turn, call: Call, what: str, actor: str) -> None:
    command = turn.command(call, call.call_id)
    command.mask_recording.recording_id = call.recording_id
    call.masking[command.command_id] = [what, actor]
    call.masked_by = [what, actor]
    turn.set_timer("mask", call.call_id, _limit_seconds(turn, call) * 1000)


def _order_unmask(turn: Turn, call: Call, actor: str) -> None:
    command = turn.command(call, call.call_id)
    command.unmask_recording.recording_id = call.recording_id
    call.masking[command.command_id] = [UNMASK, actor]


def _forget_mask(turn: Turn, call: Call) -> None:
    call.masked_by = []
    turn.cancel_timer("mask", call.call_id)


def _limit_seconds(turn: Turn, call: Call) -> int:
    return policy_of(turn, call).mask_seconds or MASK_SECONDS
