"""Questions of several tries, with prompts that a digit stops or prompts that are heard out (SPEC 2.1: barge-in).

FreeSWITCH repeats a question by itself, but any digit stops the prompts of its repetitions. Where they are to be
heard out, each try is a question of its own, and the number of the try stands in the step's phase.
"""

from services.router.domain.flow.asking import DEFAULT_TRIES, ask
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

_TRY = "try"


def lets_barge_in(wish: tn.MenuStep | tn.CollectStep) -> bool:
    """Whether a digit stops the prompts: it does where the document says nothing."""
    return wish.barge_in or not wish.HasField("barge_in")


def begin(turn: Turn, call: Call, wish: tn.MenuStep | tn.CollectStep, question: cm.CollectDigits) -> None:
    """Ask for the first time. The question is whole, with all its tries."""
    if lets_barge_in(wish):
        ask(turn, call, question)
    else:
        _ask_once(turn, call, question, 1)


def again(turn: Turn, call: Call, wish: tn.MenuStep | tn.CollectStep, question: cm.CollectDigits) -> bool:
    """Ask once more after a try that failed; False when no try is left, or when the switch had them all."""
    if lets_barge_in(wish) or number_of(call) >= (wish.tries or DEFAULT_TRIES):
        return False
    _ask_once(turn, call, question, number_of(call) + 1)
    return True


def number_of(call: Call) -> int:
    """Return the number of the try that a call is in; 0 where only the switch knows it."""
    phase, _, number = call.step_phase.partition(":")
    return int(number) if phase == _TRY else 0


def _ask_once(turn: Turn, call: Call, question: cm.CollectDigits, number: int) -> None:
    """Ask with one try. After the last one the switch says by itself that it was wrong; before, the next one does."""
    call.step_phase = f"{_TRY}:{number}"
    single = cm.CollectDigits()
    single.CopyFrom(question)
    if number > 1:
        del single.prompts[:]
        single.prompts.extend([*question.invalid_prompts, *question.prompts])
    if number < (question.tries or DEFAULT_TRIES):
        del single.invalid_prompts[:]
    single.tries, single.prompts_first = 1, True
    ask(turn, call, single)
