"""The menu step: answered by digits, by speech, or by both (SPEC 2.1)."""

from services.router.domain import calls
from services.router.domain.flow import speech, trying
from services.router.domain.flow.asking import DEFAULT_TRIES, DIGITS, named, outcome_of, tell_choice
from services.router.domain.flow.kinds import Kind, Left
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn


def _enter(turn: Turn, call: Call, step: tn.Step) -> None:
    if step.menu.spoken:
        speech.begin(turn, call, step)
    else:
        trying.begin(turn, call, step.menu, _question(turn, call, step))


def _question(turn: Turn, call: Call, step: tn.Step) -> cm.CollectDigits:
    return cm.CollectDigits(
        prompts=named(turn, call, step.menu.prompts),
        invalid_prompts=named(turn, call, step.menu.invalid_prompts),
        tries=step.menu.tries,
        timeout_ms=step.menu.timeout_ms,
        valid=sorted(way for way in step.exits if way in DIGITS),
    )


def _collected(turn: Turn, call: Call, step: tn.Step, collected: sw.DigitsCollected) -> Left | None:
    choose = speech.collected if step.menu.spoken else _chosen
    return choose(turn, call, step, collected)


def _chosen(turn: Turn, call: Call, step: tn.Step, collected: sw.DigitsCollected) -> Left | None:
    """Take the exit of the digit that was pressed."""
    choice = outcome_of(collected)
    if choice not in step.exits and choice != "timeout":
        choice = "invalid"
    if choice in DIGITS:
        tell_choice(turn, call, choice, trying.number_of(call))
        return choice, "the caller pressed a digit"
    if trying.again(turn, call, step.menu, _question(turn, call, step)):
        return None
    tell_choice(turn, call, choice, step.menu.tries or DEFAULT_TRIES)
    return choice, f"the answer was {choice}"


def _pressed(turn: Turn, call: Call, step: tn.Step, digit: str) -> Left | None:
    return speech.pressed(turn, call, step, digit) if step.menu.spoken else None


def _overdue(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    if step.menu.spoken:
        return speech.overdue(turn, call, step)
    calls.hang_up(turn, call, ev.CALL_EXIT_ERROR)
    return None


KINDS: dict[str, Kind] = {"menu": Kind(_enter, collected=_collected, pressed=_pressed, overdue=_overdue)}
