"""The menu step: answered by digits, by speech, or by both (SPEC 2.1)."""

from services.router.domain import calls
from services.router.domain.flow import asking, speech
from services.router.domain.flow.kinds import Kind, Left
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn


def _enter(turn: Turn, call: Call, step: tn.Step) -> None:
    if step.menu.spoken:
        speech.begin(turn, call, step)
    else:
        asking.menu(turn, call, step)


def _collected(turn: Turn, call: Call, step: tn.Step, collected: sw.DigitsCollected) -> Left | None:
    choose = speech.collected if step.menu.spoken else asking.chosen
    return choose(turn, call, step, collected)


def _pressed(turn: Turn, call: Call, step: tn.Step, digit: str) -> Left | None:
    return speech.pressed(turn, call, step, digit) if step.menu.spoken else None


def _overdue(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    if step.menu.spoken:
        return speech.overdue(turn, call, step)
    calls.hang_up(turn, call, ev.CALL_EXIT_ERROR)
    return None


KINDS: dict[str, Kind] = {"menu": Kind(_enter, collected=_collected, pressed=_pressed, overdue=_overdue)}
