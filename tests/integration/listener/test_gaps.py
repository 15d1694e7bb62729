"""The listener, the switch and the connection die at bad moments; the tenant's log tells the truth afterwards."""

from collections.abc import Callable
from typing import NoReturn

import gevent
import pytest

from services.listener.adapters.switch_port import Pending
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.contracts.ringmaster.v1.switch_pb2 import COLLECT_OUTCOME_TIMEOUT
from services.shared.esl.commands import Command
from services.shared.esl.errors import OutcomeUnknown
from services.shared.testing.waiting import wait_until
from tests.integration.listener.conftest import Platform, SwitchProcess


def test_what_happened_while_the_listener_was_dead_is_told_by_its_next_life(
    platform: Platform, switch: SwitchProcess
) -> None:
    platform.start()
    ending, staying = platform.call_in(), platform.call_in()
    platform.crash()
    switch.move_phone(ending, does="hang_up")
    wait_until(lambda: switch.status()["legs"] == 1, "the leg has ended")
    coming = switch.call()
    platform.start()
    assert platform.fact(ending, "leg_hung_up").leg_hung_up.reconciled
    assert platform.fact(coming, "leg_created").leg_created.reconciled
    assert platform.fact(coming, "leg_parked").leg_parked.line == "+442079460001"
    wait_until(platform.is_ready, "the listener is ready again")
    assert platform.kinds(staying) == ["leg_created", "leg_parked"]
    assert platform.of_switch("switch_gap")
    switch.move_phone(staying, does="hang_up")
    assert not platform.fact(staying, "leg_hung_up").leg_hung_up.reconciled


def test_a_call_that_came_and_went_while_the_listener_was_dead_is_told_once(
    platform: Platform, switch: SwitchProcess
) -> None:
    platform.start()
    before = platform.call_in()
    switch.move_phone(before, does="hang_up")
    platform.fact(before, "leg_hung_up")
    platform.crash()
    missed = switch.call(number="+380501112233", name="${system(id)}, Ltd", patience=0.2)
    fallen_back = switch.call(number="a,b,${uuid}", patience=8)
    wait_until(lambda: switch.status()["legs"] == 0, "both are over")
    platform.start()
    hung_up = platform.fact(missed, "leg_hung_up").leg_hung_up
    assert hung_up.reconciled
    assert 0 < hung_up.created_us < hung_up.ended_us
    created = platform.fact(missed, "leg_created").leg_created
    assert (created.line, created.caller_number, created.reconciled) == ("+442079460001", "+380501112233", True)
    platform.fact(fallen_back, "leg_hung_up")
    assert platform.kinds(fallen_back) == ["leg_created", "leg_fell_back", "leg_hung_up"]
    assert platform.fact(fallen_back, "leg_created").leg_created.caller_number == ""
    platform.crash()
    platform.start()
    later = platform.call_in()
    switch.move_phone(later, does="hang_up")
    platform.fact(later, "leg_hung_up")
    platform.let_records_be_read()
    for leg_id, kinds in ((missed, 2), (fallen_back, 3), (before, 3), (later, 3)):
        assert len(platform.kinds(leg_id)) == kinds


def test_a_switch_that_dies_takes_its_legs_along_and_says_so_when_it_is_back(
    platform: Platform, switch: SwitchProcess
) -> None:
    platform.start()
    leg = platform.call_in()
    former = platform.of_switch("switch_connected")[0].core_uuid
    switch.kill()
    wait_until(lambda: platform.of_switch("switch_disconnected"), "the loss is told")
    switch.start()
    hung_up = platform.fact(leg, "leg_hung_up").leg_hung_up
    assert (hung_up.cause, hung_up.reconciled) == ("SYSTEM_SHUTDOWN", True)
    assert platform.of_switch("switch_restarted")[0].switch_restarted.former_core_uuid == former
    wait_until(platform.is_ready, "the listener is ready again")
    assert platform.kinds(platform.call_in())[:2] == ["leg_created", "leg_parked"]


def test_a_phone_that_vanished_during_the_gap_is_told(platform: Platform, switch: SwitchProcess) -> None:
    platform.start()
    wait_until(lambda: platform.of_switch("phone_registered"), "anna's phone is told")
    platform.crash()
    switch.change_agent("anna@acme.example", registered=False)
    platform.start()
    gone = wait_until(lambda: platform.of_switch("phone_unregistered"), "its end is told")
    assert gone[0].phone_unregistered.address == "anna@acme.example"


def test_nobody_rings_again_when_the_listener_dies_while_a_phone_rings(
    platform: Platform, switch: SwitchProcess
) -> None:
    switch.change_agent("anna@acme.example", answer=2.0)
    platform.start()
    leg = platform.call_in()
    ring = pb.OriginateLeg(phone="anna@acme.example", ring_timeout_ms=20_000)
    platform.command(command_id="c1", call_id=leg, leg_id="agent-leg", originate_leg=ring)
    platform.fact("agent-leg", "leg_progressed")
    platform.crash()
    platform.start()
    assert platform.result("c1").outcome == pb.COMMAND_OUTCOME_UNKNOWN
    platform.fact("agent-leg", "leg_answered")
    assert platform.kinds("agent-leg").count("leg_created") == 1


def test_a_ringing_phone_stops_when_its_leg_is_hung_up(platform: Platform, switch: SwitchProcess) -> None:
    switch.change_agent("anna@acme.example", answer=30.0)
    platform.start()
    leg = platform.call_in()
    ring = pb.OriginateLeg(phone="anna@acme.example", ring_timeout_ms=25_000)
    platform.command(command_id="c1", call_id=leg, leg_id="agent-leg", originate_leg=ring)
    platform.command(command_id="c2", call_id=leg, leg_id="agent-leg", hang_up_leg=pb.HangUpLeg(cause="LOSE_RACE"))
    assert platform.fact("agent-leg", "leg_hung_up").leg_hung_up.cause == "LOSE_RACE"
    assert platform.result("c2").outcome == pb.COMMAND_OUTCOME_DONE
    result = platform.result("c1")
    assert (result.outcome, result.cause) == (pb.COMMAND_OUTCOME_FAILED, "LOSE_RACE")


def test_a_wrong_password_is_said_and_tried_again(platform: Platform) -> None:
    listener = platform.start(password="wrong")
    wait_until(lambda: "password" in listener.ready()[1], "the sentence about the password")
    assert not listener.ready()[0]
    assert platform.inputs() == []


SILENCE = pb.Prompt(silence_ms=400)
QUESTION = "execute-app-name: play_and_get_digits"


class Lossy:
    """Sends to the switch, until a command is lost with its connection: written here, never read there.

    What is written behind it is lost too. The writer does not stand still meanwhile, as it wouldn't at a true break.
    """

    def __init__(self, submit: Callable[[Command], Pending], first: str, switch: SwitchProcess) -> None:
        self._submit = submit
        self._first = first
        self._left = [first] if first == QUESTION else [first, QUESTION]
        self._switch = switch

    def __call__(self, command: Command) -> Pending:
        if not self._left or self._left[0] not in command.decode():
            return self._submit(command)
        if self._left.pop(0) == self._first:
            gevent.spawn(self._switch.break_connections)
        return self

    def get(self, timeout: float) -> NoReturn:
        raise OutcomeUnknown(f"the session ended within {timeout:g} s")


@pytest.mark.parametrize("lost", ["execute-app-name: playback", QUESTION])
def test_a_question_that_is_lost_with_the_connection_while_it_is_written_is_told_as_unanswered(
    platform: Platform, switch: SwitchProcess, lost: str
) -> None:
    listener = platform.start()
    leg = platform.call_in()
    listener.client.submit = Lossy(listener.client.submit, lost, switch)  # type: ignore[assignment,method-assign]
    question = pb.CollectDigits(prompts=[SILENCE], max_digits=1, tries=1, timeout_ms=60_000, prompts_first=True)
    platform.command(command_id="c1", call_id=leg, leg_id=leg, collect_digits=question)
    collected = platform.fact(leg, "digits_collected").digits_collected
    assert (collected.command_id, collected.outcome) == ("c1", COLLECT_OUTCOME_TIMEOUT)
    assert platform.result("c1").outcome == pb.COMMAND_OUTCOME_UNKNOWN


def test_prompts_and_questions_that_end_in_a_gap_are_told_after_it_and_those_that_go_on_are_answered(
    platform: Platform, switch: SwitchProcess
) -> None:
    platform.start()
    asked, heard, going = (platform.call_in(digits=[]) for _ in range(3))
    question = pb.CollectDigits(prompts=[SILENCE], max_digits=1, tries=1, timeout_ms=300)
    patient = pb.CollectDigits(prompts=[SILENCE], max_digits=1, tries=1, timeout_ms=60_000, prompts_first=True)
    platform.command(command_id="c1", call_id=asked, leg_id=asked, collect_digits=question)
    platform.command(command_id="c2", call_id=heard, leg_id=heard, play_prompt=pb.PlayPrompt(prompts=[SILENCE]))
    platform.command(command_id="c3", call_id=going, leg_id=going, collect_digits=patient)
    assert {platform.result(each).outcome for each in ("c1", "c2", "c3")} == {pb.COMMAND_OUTCOME_DONE}
    platform.crash()
    wait_until(lambda: switch.leg(asked)["response"] and switch.leg(heard)["response"], "both are over")
    platform.start()
    assert platform.fact(asked, "digits_collected").digits_collected.outcome == COLLECT_OUTCOME_TIMEOUT
    assert platform.fact(heard, "playback_finished").playback_finished.command_id == "c2"
    wait_until(lambda: switch.leg(going)["application"] == "play_and_get_digits", "the question is asked")
    switch.move_phone(going, does="press", digit="2")
    assert platform.fact(going, "digits_collected").digits_collected.digits == "2"
