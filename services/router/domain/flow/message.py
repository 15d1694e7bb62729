"""The voicemail step: a greeting, then the caller's message, recorded and kept as any other recording (SPEC 2.1, 6)."""

from services.router.domain.flow.asking import named, play
from services.router.domain.flow.kinds import Kind, Left
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_SECONDS = 120
DEFAULT_END = "#"
_RECORDING = "recording"


def _voicemail(turn: Turn, call: Call, step: tn.Step) -> None:
    play(turn, call, named(turn, call, step.voicemail.prompts))


def _greeted(turn: Turn, call: Call, step: tn.Step, _completed: bool) -> None:  # noqa: FBT001 - as Kind.played says
    seconds = step.voicemail.max_seconds or DEFAULT_SECONDS
    recording_id = turn.new_id()
    command = turn.command(call, call.call_id)
    command.start_recording.recording_id = recording_id
    # The switch ends it by itself should we be away; we are a little earlier.
    command.start_recording.limit_seconds = seconds + 1
    command.start_recording.without_bridge = True
    call.messages.append(recording_id)
    call.step_phase, call.step_command_id = _RECORDING, command.command_id
    turn.set_timer("step", call.call_id, seconds * 1000)


def _pressed(turn: Turn, call: Call, step: tn.Step, digit: str) -> Left | None:
    if call.step_phase != _RECORDING or digit != (step.voicemail.end_digit or DEFAULT_END):
        return None
    return _end(turn, call, "the caller ended the message")


def _overdue(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    if call.step_phase != _RECORDING:
        _greeted(turn, call, step, False)  # noqa: FBT003 - as Kind.played says
        return None
    return _end(turn, call, "the message reached its longest, or could not be recorded")


def _end(turn: Turn, call: Call, why: str) -> Left:
    turn.command(call, call.call_id).stop_recording.recording_id = call.messages[-1]
    return "next", why


KINDS: dict[str, Kind] = {"voicemail": Kind(_voicemail, played=_greeted, pressed=_pressed, overdue=_overdue)}
