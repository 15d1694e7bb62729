"""The collect step: digits into a variable (SPEC 2.1)."""

from services.router.domain.flow import trying, variables
from services.router.domain.flow.asking import named, outcome_of
from services.router.domain.flow.kinds import Kind, Left
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_MOST_DIGITS = 20


def _collect(turn: Turn, call: Call, step: tn.Step) -> None:
    trying.begin(turn, call, step.collect, _question(turn, call, step))


def _question(turn: Turn, call: Call, step: tn.Step) -> cm.CollectDigits:
    wish = step.collect
    return cm.CollectDigits(
        prompts=named(turn, call, wish.prompts),
        invalid_prompts=named(turn, call, wish.invalid_prompts),
        min_digits=wish.min_digits,
        max_digits=wish.max_digits or DEFAULT_MOST_DIGITS,
        tries=wish.tries,
        timeout_ms=wish.timeout_ms,
        digit_timeout_ms=wish.digit_timeout_ms,
        terminators=wish.terminators,
    )


def _kept(turn: Turn, call: Call, step: tn.Step, collected: sw.DigitsCollected) -> Left | None:
    """Keep what was entered. The digits themselves stand in no event: they may be a card's or a secret."""
    entered = outcome_of(collected)
    if entered in ("timeout", "invalid"):
        if trying.again(turn, call, step.collect, _question(turn, call, step)):
            return None
        return entered, f"the answer was {entered}"
    try:
        variables.keep(turn, call, step.collect.variable, entered)
    except variables.Unsuitable as fault:
        return "invalid", str(fault)
    return "next", f"{len(entered)} digits were entered"


KINDS: dict[str, Kind] = {"collect": Kind(_collect, collected=_kept)}
