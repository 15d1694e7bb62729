"""Steps that play, speak and ask: play, say, consent, survey; and what others play and ask with (SPEC 2.1)."""

from collections.abc import Sequence

from services.router.domain import calls
from services.router.domain.configuration import CONSENT_GIVEN, CONSENT_REFUSED
from services.router.domain.flow import variables
from services.router.domain.flow.kinds import Kind, Left, configuration_of
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

PROMPT_MS = 300_000
"""No prompt is longer; a step whose end is not told by then goes on without it."""
DEFAULT_TRIES = 3
DEFAULT_TIMEOUT_MS = 5_000
AGREES = "1"
DIGITS = frozenset("0123456789*#")


def play(turn: Turn, call: Call, prompts: Sequence[cm.Prompt]) -> None:
    """Order prompts; `played` of the step's kind is asked at their end."""
    calls.answer(turn, call)
    calls.to_stage(call, CallStage.IN_STEP)
    command = turn.command(call, call.call_id)
    command.play_prompt.SetInParent()
    command.play_prompt.prompts.extend(prompts)
    call.step_command_id = command.command_id
    turn.set_timer("step", call.call_id, PROMPT_MS)


def ask(turn: Turn, call: Call, question: cm.CollectDigits) -> None:
    """Order a question for digits; `collected` of the step's kind is asked at its end."""
    calls.answer(turn, call)
    calls.to_stage(call, CallStage.IN_STEP)
    question.min_digits = question.min_digits or 1
    question.max_digits = max(question.min_digits, question.max_digits)
    question.tries = question.tries or DEFAULT_TRIES
    question.timeout_ms = question.timeout_ms or DEFAULT_TIMEOUT_MS
    command = turn.command(call, call.call_id)
    command.collect_digits.CopyFrom(question)
    call.step_command_id = command.command_id
    turn.set_timer("step", call.call_id, PROMPT_MS + question.tries * question.timeout_ms)


def named(turn: Turn, call: Call, names: Sequence[str]) -> list[cm.Prompt]:
    """Return prompts by their names, in the call's language: a file of that name, or the document's text."""
    spoken, chosen = configuration_of(turn, call).spoken_prompts, variables.language_of(turn, call)
    return [
        cm.Prompt(text=spoken[name].text, language=spoken[name].language or chosen)
        if name in spoken
        else cm.Prompt(name=name, language=chosen)
        for name in names
    ]


def _play(turn: Turn, call: Call, step: tn.Step) -> None:
    play(turn, call, named(turn, call, step.play.prompts))


def _say(turn: Turn, call: Call, step: tn.Step) -> None:
    text = configuration_of(turn, call).scripts.texts[call.flow_id, call.step_id]
    spoken = text.filled(variables.for_texts(turn, call))
    play(turn, call, [cm.Prompt(text=spoken, language=step.say.language or variables.language_of(turn, call))])


def _heard(_turn: Turn, _call: Call, _step: tn.Step, completed: bool) -> Left:  # noqa: FBT001 - as Kind.played says
    return "next", "played" if completed else "the prompt could not be played"


def _unheard(_turn: Turn, _call: Call, _step: tn.Step) -> Left:
    return "next", "the end of the prompt was not told"


def tell_choice(turn: Turn, call: Call, choice: str, tries: int, *, spoken: bool = False) -> None:
    """Tell what the caller chose in a menu; tries are 0 where only the switch knows them."""
    body = turn.call_event(call).ivr_choice
    body.flow_id, body.step_id, body.choice = call.flow_id, call.step_id, choice
    body.tries, body.spoken = tries, spoken


def outcome_of(collected: sw.DigitsCollected) -> str:
    """Return what was pressed, or timeout, or invalid."""
    if collected.outcome == sw.COLLECT_OUTCOME_MATCHED and collected.digits:
        return collected.digits
    return "timeout" if collected.outcome == sw.COLLECT_OUTCOME_TIMEOUT else "invalid"


def _consent(turn: Turn, call: Call, step: tn.Step) -> Left | None:
    if step.consent.mode == tn.CONSENT_MODE_DO_NOT_RECORD:
        return _settled(call, CONSENT_REFUSED, "the flow forbids recording")
    if step.consent.mode == tn.CONSENT_MODE_PRESS_KEY:
        prompts, timeout_ms = named(turn, call, step.consent.prompts), step.consent.timeout_ms
        ask(turn, call, cm.CollectDigits(prompts=prompts, tries=1, timeout_ms=timeout_ms, valid=[AGREES]))
    else:
        play(turn, call, named(turn, call, step.consent.prompts))
    return None


def _announced(_turn: Turn, call: Call, _step: tn.Step, completed: bool) -> Left:  # noqa: FBT001 - as Kind.played says
    """Who was not told has not agreed."""
    if completed:
        return _settled(call, CONSENT_GIVEN, "the announcement was played")
    return _settled(call, CONSENT_REFUSED, "the announcement could not be played")


def _answered(_turn: Turn, call: Call, _step: tn.Step, collected: sw.DigitsCollected) -> Left:
    if outcome_of(collected) == AGREES:
        return _settled(call, CONSENT_GIVEN, "the caller agreed by a key")
    return _settled(call, CONSENT_REFUSED, "the caller did not agree")


def _unsettled(_turn: Turn, call: Call, _step: tn.Step) -> Left:
    return _settled(call, CONSENT_REFUSED, "the end of the question was not told")


def _settled(call: Call, consent: str, why: str) -> Left:
    call.consent = consent
    return consent, why


def _survey(turn: Turn, call: Call, step: tn.Step) -> None:
    wish = step.survey
    question = cm.CollectDigits(
        prompts=named(turn, call, wish.prompts),
        invalid_prompts=named(turn, call, wish.invalid_prompts),
        tries=wish.tries,
        timeout_ms=wish.timeout_ms,
        valid=[str(rating) for rating in range(wish.lowest, wish.highest + 1)],
    )
    ask(turn, call, question)


def _rated(turn: Turn, call: Call, step: tn.Step, collected: sw.DigitsCollected) -> Left:
    rating = outcome_of(collected)
    if rating in ("timeout", "invalid"):
        return "skipped", f"the answer was {rating}"
    body = turn.call_event(call).form_answered
    body.form_id, body.agent_id = step.survey.survey_id, call.agent_id
    body.answers["rating"] = rating
    return "next", f"the caller gave {rating}"


def _unrated(_turn: Turn, _call: Call, _step: tn.Step) -> Left:
    return "skipped", "the end of the question was not told"


KINDS: dict[str, Kind] = {
    "play": Kind(_play, played=_heard, overdue=_unheard),
    "say": Kind(_say, played=_heard, overdue=_unheard),
    "consent": Kind(_consent, played=_announced, collected=_answered, overdue=_unsettled),
    "survey": Kind(_survey, collected=_rated, overdue=_unrated),
}
