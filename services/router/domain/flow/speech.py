"""Menus that callers may answer by speech (SPEC 2.1).

A try is three steps: the prompts, which a digit stops where the menu lets it; then what the caller says, recorded
until silence; then the recogniser's word for it. Each has an end of its own or a time-out, so a recogniser that is
away leaves nobody in silence: the caller is asked again, and takes the exit of who did not answer, or was not
understood, at last.
"""

from services.router.domain.flow.asking import (
    DEFAULT_TRIES,
    DIGITS,
    ask,
    named,
    outcome_of,
    tell_choice,
)
from services.router.domain.flow.kinds import Left, configuration_of
from services.router.domain.flow.trying import lets_barge_in
from services.router.domain.flow.variables import language_of
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import recognition_pb2 as rc
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_MOST_SECONDS = 8
SILENCE_SECONDS = 2
"""FreeSWITCH counts it from the beginning too: who says nothing for so long is asked again."""
LATE_DIGIT_MS = 300
"""Who is about to press a digit at the end of the prompts has so long before the answer is listened to."""
RECORD_SPARE_MS = 5_000
RECOGNISE_MS = 6_000
_ASKING, _LISTENING, _RECOGNISING = "asking", "listening", "recognising"


def begin(turn: Turn, call: Call, step: tn.Step, number: int = 1) -> None:
    """Ask: the number of the try stands in the step's phase."""
    call.step_phase = f"{_ASKING}:{number}"
    prompts = named(turn, call, step.menu.prompts)
    if number > 1:
        prompts = [*named(turn, call, step.menu.invalid_prompts), *prompts]
    question = cm.CollectDigits(prompts=prompts, tries=1, timeout_ms=LATE_DIGIT_MS, valid=_digits(step))
    question.prompts_first = not lets_barge_in(step.menu)
    ask(turn, call, question)


def collected(turn: Turn, call: Call, step: tn.Step, answer: sw.DigitsCollected) -> Left | None:
    """Take a digit, or listen to who pressed none."""
    pressed = outcome_of(answer)
    if pressed in step.exits and pressed in DIGITS:
        return _chosen(turn, call, pressed, "the caller pressed a digit")
    if pressed == "timeout":
        _listen(turn, call, step)
        return None
    return _again(turn, call, step, "invalid")


def pressed(turn: Turn, call: Call, step: tn.Step, digit: str) -> Left | None:
    """Take a digit of who was listened to."""
    if digit not in step.exits or digit not in DIGITS or call.step_phase.startswith(_ASKING):
        return None
    return _chosen(turn, call, digit, "the caller pressed a digit")


def recorded(turn: Turn, call: Call, step: tn.Step) -> None:
    """Have recognised what the caller said."""
    answer_id = call.step_command_id
    command = turn.command(call, call.call_id, RECOGNISE_MS)
    action = command.recognise_answer
    action.answer_id = answer_id
    action.phrases.extend(phrase for _, phrase in _phrases(step))
    chosen = language_of(turn, call)
    action.languages.extend([chosen] if chosen else configuration_of(turn, call).document.languages)
    call.step_command_id = command.command_id
    call.step_phase = f"{_RECOGNISING}:{_number(call)}"
    turn.set_timer("step", call.call_id, RECOGNISE_MS)


def recognised(turn: Turn, call: Call, step: tn.Step, found: rc.ClipRecognised) -> Left | None:
    """Take the exit of the phrase that was said. The caller's own words stand in no event."""
    phrases = _phrases(step)
    if found.outcome == rc.RECOGNITION_OUTCOME_HEARD and found.HasField("phrase") and found.phrase < len(phrases):
        way, phrase = phrases[found.phrase]
        return _chosen(turn, call, way, f"the caller said: {phrase}", spoken=True)
    return _again(turn, call, step, "timeout" if found.outcome == rc.RECOGNITION_OUTCOME_SILENT else "invalid")


def overdue(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    """Go on where an end was not told: without the recogniser's word a caller was not understood."""
    return _again(turn, call, step, "invalid" if call.step_phase.startswith(_RECOGNISING) else "timeout")


def is_recorded(call: Call, fact: sw.AnswerRecorded) -> bool:
    """Whether a fact ends what is listened to now."""
    return call.step_phase.startswith(_LISTENING) and fact.command_id == call.step_command_id


def is_recognised(call: Call, found: rc.ClipRecognised) -> bool:
    """Whether this is the answer that is waited for."""
    return call.step_phase.startswith(_RECOGNISING) and found.clip_id == call.step_command_id


def _listen(turn: Turn, call: Call, step: tn.Step) -> None:
    seconds = step.menu.most_seconds or DEFAULT_MOST_SECONDS
    command = turn.command(call, call.call_id)
    action = command.record_answer
    action.most_seconds, action.digits = seconds, "".join(_digits(step))
    action.silence_seconds = SILENCE_SECONDS
    call.step_command_id = command.command_id
    call.step_phase = f"{_LISTENING}:{_number(call)}"
    turn.set_timer("step", call.call_id, seconds * 1000 + RECORD_SPARE_MS)


def _again(turn: Turn, call: Call, step: tn.Step, why: str) -> Left | None:
    tries = step.menu.tries or DEFAULT_TRIES
    if _number(call) < tries:
        begin(turn, call, step, _number(call) + 1)
        return None
    tell_choice(turn, call, why, tries)
    return why, f"the answer was {why} in {tries} tries"


def _chosen(turn: Turn, call: Call, way: str, why: str, *, spoken: bool = False) -> Left:
    tell_choice(turn, call, way, _number(call), spoken=spoken)
    return way, why


def _number(call: Call) -> int:
    return int(call.step_phase.partition(":")[2] or 1)


def _digits(step: tn.Step) -> list[str]:
    return sorted(way for way in step.exits if way in DIGITS)


def _phrases(step: tn.Step) -> list[tuple[str, str]]:
    """Return exit and phrase, in the order that the recogniser is asked in."""
    return [(choice.exit, phrase) for choice in step.menu.spoken for phrase in choice.phrases]
