"""What a leg hears and answers: the ends of prompts and questions that our commands began, and single digits."""

from services.listener.domain.facts import FactBuilder
from services.listener.domain.headers import (
    EXECUTED,
    MASKED_DIGIT,
    PROBE_PREFIX,
    PROMPTS_PREFIX,
    SwitchEvent,
    number,
)
from services.listener.domain.legs import Asked, Leg, LegTable
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import (
    COLLECT_OUTCOME_INVALID,
    COLLECT_OUTCOME_MATCHED,
    COLLECT_OUTCOME_TIMEOUT,
    CollectOutcome,
)

_DIGITS = frozenset("0123456789*#ABCD")
_MATCHED_WORD = "success"
_PLAYED_WORD = "FILE PLAYED"


class Dialogue:
    """Knows what each leg was asked by the table of legs, and which of it may not be told (SPEC 6.1)."""

    def __init__(self, facts: FactBuilder, legs: LegTable) -> None:
        self._facts = facts
        self._legs = legs

    def ended(self, leg: Leg, values: list[str], event: SwitchEvent) -> Input | None:
        """Tell the end of what was asked; nobody is told of music's, nor of what we did not ask for."""
        command_id, response, result, digits = event.select(EXECUTED)
        asked = leg.asked.pop(command_id, None)
        if asked is None:
            if command_id.removeprefix(PROMPTS_PREFIX) in leg.asked:
                leg.has_pressed = False  # prompts that are heard out have ended: what was pressed so far is no answer
            return self._probed(leg, command_id.removeprefix(PROBE_PREFIX), number(values[2]))
        if leg.leg_id in self._legs.live:
            self._legs.touch(leg)
        if asked is Asked.MUSIC:
            return None
        told = self._facts.of_leg(leg, number(values[1]), number(values[2]))
        if asked is Asked.PLAYBACK:
            finished = told.fact.playback_finished
            finished.command_id = command_id
            finished.completed = response == _PLAYED_WORD
            if not finished.completed:
                finished.error = response
        elif asked is Asked.ANSWER:
            told.fact.answer_recorded.command_id = command_id
        else:
            collected = told.fact.digits_collected
            collected.command_id = command_id
            collected.outcome = _collect_outcome(leg, result, digits)
            if collected.outcome == COLLECT_OUTCOME_MATCHED and not self._legs.is_masked(leg):
                collected.digits = digits
        return told

    def _probed(self, leg: Leg, command_id: str, occurred_us: int) -> Input | None:
        """Tell the end of a question behind which a probe has run: it was never written, or has ended in the gap."""
        asked = leg.asked.pop(command_id, None)
        if asked is None:
            return None
        self._legs.touch(leg)
        return self._facts.of_missed_end(leg, command_id, asked, occurred_us)

    def pressed(self, leg: Leg, values: list[str]) -> Input | None:
        """Read a DTMF: told outside a question; inside one it belongs to the answer."""
        if values[4] not in _DIGITS:
            return None
        if Asked.DIGITS in leg.asked.values():
            leg.has_pressed = True
            return None
        told = self._facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.digit_pressed.digit = MASKED_DIGIT if self._legs.is_masked(leg) else values[4]
        return told


def _collect_outcome(leg: Leg, result: str, digits: str) -> "CollectOutcome.ValueType":
    """Tell a right answer, a wrong one and none apart; FreeSWITCH says only success or failure."""
    if result == _MATCHED_WORD and digits:
        return COLLECT_OUTCOME_MATCHED
    return COLLECT_OUTCOME_INVALID if leg.has_pressed else COLLECT_OUTCOME_TIMEOUT
