"""Menus that callers answer by speech, by digits, or by both (SPEC 2.1)."""

import pytest

from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import recognition_pb2 as rc
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import TENANT, Log, document

SALES, BOSS = 0, 2
"""Places of the phrases below, in the document's order."""


def asked() -> Log:
    """Return a log in which c1 hears a menu: 1 or "sales" or "to buy", or "the boss"; two tries."""
    made = document()
    made.languages[:] = ["uk", "en"]
    step = next(step for step in made.flows[0].steps if step.step_id == "ask")
    step.menu.invalid_prompts.append("again")
    step.menu.spoken.add(exit="1", phrases=["sales", "to buy"])
    step.menu.spoken.add(exit="leader", phrases=["the boss"])
    step.exits["leader"], step.exits["invalid"] = "hear", "bye"
    log = Log(made)
    log.ready("olena")
    log.arrive("c1")
    return log


def silent(log: Log) -> Command:
    """Let the prompts end without a digit; returns the order to listen."""
    log.press("c1", "")
    return log.last_command("record_answer", "c1")


def spoken(log: Log) -> Command:
    """Let the caller say something; returns the question to the recogniser."""
    answer = silent(log)
    log.fact("c1", answer_recorded=sw.AnswerRecorded(command_id=answer.command_id))
    question = log.last_command("recognise_answer", "c1")
    assert question.recognise_answer.answer_id == answer.command_id
    return question


def told(log: Log, question: Command, outcome: int = rc.RECOGNITION_OUTCOME_HEARD, phrase: int | None = None) -> None:
    found = rc.ClipRecognised(
        clip_id=question.command_id, call_id="c1", outcome=rc.RecognitionOutcome.ValueType(outcome), text="my own words"
    )
    if phrase is not None:
        found.phrase = phrase
    log.feed(Input(tenant_id=TENANT, clip_recognised=found))


def left(log: Log) -> tuple[str, str]:
    body = log.events("flow_step_left")[-1].flow_step_left
    return body.exit, body.why


def choices(log: Log) -> list[tuple[str, int, bool]]:
    return [(one.ivr_choice.choice, one.ivr_choice.tries, one.ivr_choice.spoken) for one in log.events("ivr_choice")]


@pytest.mark.parametrize(("phrase", "way"), [(SALES, "1"), (SALES + 1, "1"), (BOSS, "leader")])
def test_what_the_caller_says_takes_its_exit(phrase: int, way: str) -> None:
    log = asked()
    question = spoken(log)
    assert list(question.recognise_answer.phrases) == ["sales", "to buy", "the boss"]
    assert list(question.recognise_answer.languages) == ["uk", "en"]
    told(log, question, phrase=phrase)
    exits = {body.flow_step_left.step_id: body.flow_step_left.exit for body in log.events("flow_step_left")}
    assert exits["ask"] == way
    assert choices(log) == [(way, 1, True)]


def test_the_callers_own_words_stand_in_no_event_and_no_command() -> None:
    log = asked()
    told(log, spoken(log), phrase=SALES)
    everything = [*log.all_events(), *log.commands()]
    assert not [one for one in everything if "my own words" in str(one)]


def test_a_digit_is_taken_as_ever_during_the_prompts_and_while_the_caller_is_listened_to() -> None:
    log = asked()
    assert log.last_command("collect_digits").collect_digits.tries == 1
    log.press("c1", "1")
    assert choices(log) == [("1", 1, False)]
    again = asked()
    answer = silent(again)
    assert set(answer.record_answer.digits) >= {"1", "2"}
    again.fact("c1", digit_pressed=sw.DigitPressed(digit="1"))
    assert choices(again) == [("1", 1, False)]
    again.fact("c1", answer_recorded=sw.AnswerRecorded(command_id=answer.command_id))
    assert not again.commands("recognise_answer")


@pytest.mark.parametrize(
    ("outcome", "way"),
    [
        (rc.RECOGNITION_OUTCOME_HEARD, "invalid"),
        (rc.RECOGNITION_OUTCOME_FAILED, "invalid"),
        (rc.RECOGNITION_OUTCOME_LATE, "invalid"),
        (rc.RECOGNITION_OUTCOME_SILENT, "timeout"),
    ],
)
def test_who_is_not_understood_is_asked_again_and_then_leaves_by_what_the_last_try_was(outcome: int, way: str) -> None:
    log = asked()
    told(log, spoken(log), outcome)
    assert [prompt.name for prompt in log.last_command("collect_digits").collect_digits.prompts] == ["again", "welcome"]
    told(log, spoken(log), outcome)
    assert choices(log) == [(way, 2, False)]
    assert log.events("call_ended") or log.commands("hang_up_leg")


@pytest.mark.parametrize("away", ["the prompt's end", "the answer's end", "the recogniser", "the listener"])
def test_whatever_does_not_answer_the_caller_is_asked_again_and_not_left_in_silence(away: str) -> None:
    log = asked()
    if away == "the answer's end":
        silent(log)
    elif away == "the recogniser":
        spoken(log)
    elif away == "the listener":
        log.refused(spoken(log), "the answer can't be read")
    log.wait(400)
    assert len(log.commands("collect_digits")) == 2
    log.wait(400)
    assert choices(log) in ([("timeout", 2, False)], [("invalid", 2, False)])
    assert log.commands("hang_up_leg")


def test_an_answer_that_comes_too_late_or_to_another_question_changes_nothing() -> None:
    log = asked()
    first = spoken(log)
    log.wait(7)
    assert len(log.commands("collect_digits")) == 2
    told(log, first, phrase=SALES)
    assert log.state.calls["c1"].step_id == "ask"
    second = spoken(log)
    told(log, first, phrase=BOSS)
    told(log, second, phrase=99)
    assert choices(log) == [("invalid", 2, False)]
    log.hangs_up("c1")
    told(log, second, phrase=SALES)
    assert len(log.events("call_ended")) == 1


def test_a_menu_without_phrases_is_asked_in_one_question_as_ever() -> None:
    log = Log(document())
    log.arrive("c1")
    assert log.last_command("collect_digits").collect_digits.tries == 2
    log.press("c1", "")
    assert choices(log) == [("timeout", 2, False)]
    assert log.events("call_ended") or log.commands("hang_up_leg")
    assert not log.commands("record_answer")
    assert log.result(log.last_command("hang_up_leg"), cm.COMMAND_OUTCOME_DONE).events == []
    assert log.state.calls["c1"].planned_exit == ev.CALL_EXIT_FLOW_ENDED
