"""The callback step: offer to call back, and agree on the number (SPEC 2.1, 4.1)."""

from services.router.domain.callbacks import opening
from services.router.domain.flow.asking import ask, named, outcome_of
from services.router.domain.flow.kinds import Kind, Left
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.phone_number import normalised

YES = "1"
ANOTHER = "2"
MOST_NUMBERS = 3
"""So many numbers are taken down before the caller is let go on."""
FEWEST_DIGITS = 3
MOST_DIGITS = 15
_OFFERED = "offered"
_ENTERING = "entering"
_CONFIRMING = "confirming"


def _callback(turn: Turn, call: Call, step: tn.Step) -> None:
    call.step_phase, call.typed_number = _OFFERED, ""
    _choose(turn, call, step, named(turn, call, step.callback.prompts))


def _collected(turn: Turn, call: Call, step: tn.Step, collected: sw.DigitsCollected) -> Left | None:
    answer = outcome_of(collected)
    phase, _, count = call.step_phase.partition(":")
    if phase == _OFFERED:
        return _offered(turn, call, step, answer)
    if phase == _CONFIRMING and answer == YES:
        return _requested(turn, call, step, call.typed_number)
    if phase == _CONFIRMING and answer == ANOTHER:
        return _enter_number(turn, call, step, int(count) + 1)
    if phase == _ENTERING and answer not in ("timeout", "invalid"):
        return _entered(turn, call, step, answer, int(count))
    return "declined", "the caller did not agree on a number"


def _offered(turn: Turn, call: Call, step: tn.Step, answer: str) -> Left | None:
    own = normalised(call.caller_number, call.line)
    if answer == YES and own:
        return _requested(turn, call, step, own)
    if answer in (ANOTHER, YES):
        return _enter_number(turn, call, step, 1)
    return "declined", "the caller did not want it"


def _enter_number(turn: Turn, call: Call, step: tn.Step, count: int) -> Left | None:
    if not step.callback.number_prompts:
        return "declined", "no other number is taken"
    if count > MOST_NUMBERS:
        return "declined", f"{MOST_NUMBERS} numbers were entered and none was right"
    call.step_phase = f"{_ENTERING}:{count}"
    question = cm.CollectDigits(
        prompts=named(turn, call, step.callback.number_prompts),
        min_digits=FEWEST_DIGITS,
        max_digits=MOST_DIGITS,
        tries=1,
        timeout_ms=step.callback.timeout_ms,
        terminators="#",
    )
    ask(turn, call, question)
    return None


def _entered(turn: Turn, call: Call, step: tn.Step, answer: str, count: int) -> Left | None:
    number = normalised(answer, call.line)
    if not number:
        return _enter_number(turn, call, step, count + 1)
    call.step_phase, call.typed_number = f"{_CONFIRMING}:{count}", number
    # Digit by digit: read as one number it would be billions.
    spoken = cm.Prompt(text=" ".join(number.removeprefix("+")))
    _choose(turn, call, step, [spoken, *named(turn, call, step.callback.confirm_prompts)])
    return None


def _choose(turn: Turn, call: Call, step: tn.Step, prompts: list[cm.Prompt]) -> None:
    timeout_ms = step.callback.timeout_ms
    ask(turn, call, cm.CollectDigits(prompts=prompts, tries=1, timeout_ms=timeout_ms, valid=[YES, ANOTHER]))


def _requested(turn: Turn, call: Call, step: tn.Step, number: str) -> Left:
    call.typed_number = ""
    if not opening.ask(turn, call, step.callback.queue_id, number):
        return "declined", "the tenant has too many open callbacks"
    return "requested", "the caller agreed to be called back"


def _overdue(_turn: Turn, _call: Call, _step: tn.Step) -> Left:
    return "declined", "the end of the question was not told"


KINDS: dict[str, Kind] = {"callback": Kind(_callback, collected=_collected, overdue=_overdue)}
