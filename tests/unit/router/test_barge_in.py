"""Menus and entries whose prompts are heard out: a digit during them is no answer (SPEC 2.1)."""

import pytest

from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits
from tests.unit.router.flow_log import heard, left, log_of, step, told
from tests.unit.router.world import Log

EXITS = {"timeout": "late", "invalid": "wrong"}


def menu(*, barge_in: bool | None, tries: int = 2) -> Log:
    wish = tn.MenuStep(prompts=["which"], invalid_prompts=["no"], tries=tries, timeout_ms=900, barge_in=barge_in)
    log = log_of(
        step("ask", {"1": "one", **EXITS}, menu=wish),
        *(told(name, name) for name in ("one", "late", "wrong")),
    )
    log.arrive("c1")
    return log


def question(log: Log) -> CollectDigits:
    return log.last_command("collect_digits", "c1").collect_digits


def names(log: Log) -> list[str]:
    return [prompt.name for prompt in question(log).prompts]


def fails(log: Log, outcome: "sw.CollectOutcome.ValueType") -> None:
    """End the question without a right answer."""
    command_id = log.last_command("collect_digits", "c1").command_id
    log.fact("c1", digits_collected=sw.DigitsCollected(command_id=command_id, outcome=outcome))


@pytest.mark.parametrize("barge_in", [None, True])
def test_a_digit_stops_the_prompts_unless_the_document_says_otherwise(barge_in: bool | None) -> None:  # noqa: FBT001 - a parameter of the case
    log = menu(barge_in=barge_in)
    assert (question(log).prompts_first, question(log).tries) == (False, 2)
    fails(log, sw.COLLECT_OUTCOME_INVALID)
    assert heard(log) == ["wrong"]


def test_each_try_has_its_prompts_heard_out_and_the_switch_says_what_was_wrong_after_the_last() -> None:
    log = menu(barge_in=False)
    assert (question(log).prompts_first, question(log).tries, question(log).timeout_ms) == (True, 1, 900)
    assert (names(log), list(question(log).invalid_prompts)) == (["which"], [])
    fails(log, sw.COLLECT_OUTCOME_INVALID)
    assert (question(log).prompts_first, question(log).tries) == (True, 1)
    assert names(log) == ["no", "which"]
    assert [prompt.name for prompt in question(log).invalid_prompts] == ["no"]
    fails(log, sw.COLLECT_OUTCOME_TIMEOUT)
    assert heard(log) == ["late"]
    assert left(log, "ask") == ("timeout", "the answer was timeout")
    assert [(one.ivr_choice.choice, one.ivr_choice.tries) for one in log.events("ivr_choice")] == [("timeout", 2)]


def test_the_answer_of_a_later_try_is_taken_and_its_number_told() -> None:
    log = menu(barge_in=False)
    fails(log, sw.COLLECT_OUTCOME_TIMEOUT)
    log.press("c1", "1")
    assert heard(log) == ["one"]
    assert [(one.ivr_choice.choice, one.ivr_choice.tries) for one in log.events("ivr_choice")] == [("1", 2)]


def test_the_end_of_a_former_try_is_no_answer_to_this_one() -> None:
    log = menu(barge_in=False)
    first = log.last_command("collect_digits", "c1").command_id
    fails(log, sw.COLLECT_OUTCOME_TIMEOUT)
    late = sw.DigitsCollected(command_id=first, digits="1", outcome=sw.COLLECT_OUTCOME_MATCHED)
    log.fact("c1", digits_collected=late)
    assert heard(log) == []


def test_an_entry_is_asked_for_again_until_its_tries_are_used_up() -> None:
    wish = tn.CollectStep(prompts=["enter"], variable="account", max_digits=6, tries=2, barge_in=False)
    log = log_of(
        step("ask", {"next": "yes", **EXITS}, collect=wish), *(told(name, name) for name in ("yes", "late", "wrong"))
    )
    log.arrive("c1")
    assert (question(log).prompts_first, question(log).tries, question(log).max_digits) == (True, 1, 6)
    fails(log, sw.COLLECT_OUTCOME_TIMEOUT)
    fails(log, sw.COLLECT_OUTCOME_INVALID)
    assert heard(log) == ["wrong"]


@pytest.mark.parametrize("barge_in", [None, False])
def test_a_spoken_menu_has_its_prompts_heard_out_too(barge_in: bool | None) -> None:  # noqa: FBT001 - a parameter of the case
    wish = tn.MenuStep(prompts=["which"], barge_in=barge_in, spoken=[tn.SpokenChoice(exit="1", phrases=["sales"])])
    log = log_of(step("ask", {"1": "hear", **EXITS}, menu=wish), *(told(way, way) for way in ("hear", "late", "wrong")))
    log.arrive("c1")
    assert question(log).prompts_first is (barge_in is False)
