"""Questions as the listener writes them: digits during prompts that may be interrupted, and that are heard out."""

from services.listener.adapters.sip_route import SipRoute
from services.listener.adapters.switch_plan import Planner
from services.listener.domain.directory import Directory
from services.listener.domain.headers import (
    DIGITS_VARIABLE,
    PROBE_PREFIX,
    PROBE_VARIABLE,
    PROMPTS_PREFIX,
    RESPONSE_VARIABLE,
)
from services.listener.domain.prompts import PromptLibrary
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.esl import commands as esl
from services.shared.outbound.address import AddressGuard
from tests.switch.conftest import Bench
from tests.switch.oracle import Event, EventSocket
from tests.switch.test_truths import ends, parked_caller

PROMPT_MS = 60_000
"""Longer than any test: the test says when the prompt ends."""


def ask(commands: EventSocket, leg: str, *, heard_out: bool, timeout_ms: int = 10_000, tries: int = 1) -> None:
    """Write a question for 1 or 2 as the listener does."""
    library = PromptLibrary("/prompts", lambda _path: False, "flite|kal")
    planner = Planner(library, Directory(), "/rec", "carrier", SipRoute(AddressGuard(), _resolve))
    question = pb.CollectDigits(
        prompts=[pb.Prompt(silence_ms=PROMPT_MS)],
        max_digits=1,
        invalid_prompts=[pb.Prompt(silence_ms=PROMPT_MS)] if tries > 1 else [],
        tries=tries,
        timeout_ms=timeout_ms,
        valid=["1", "2"],
        prompts_first=heard_out,
    )
    command = pb.Command(command_id="question", tenant_id="acme", leg_id=leg, collect_digits=question)
    for step in planner.plan(command):
        if not step.only_while_playing:
            commands.send(step.wire.decode())
            commands.reply()


def _resolve(host: str, _port: int) -> list[tuple[int, tuple[str, int]]]:
    raise OSError(f"nobody is called here: {host}")


def type_during_the_prompt(bench: Bench, commands: EventSocket, events: EventSocket, leg: str, digits: str) -> None:
    """Press digits while the prompt plays; then end it, when it was seen that they did not."""
    events.event_of(leg, "PLAYBACK_START")
    for number, digit in enumerate(digits, 1):
        bench.press(leg, digit)
        events.times(leg, "DTMF", number)
    events.api(f"uuid_exists {leg}")  # what had happened is told before the reply
    events.api(f"uuid_exists {leg}")  # what has happened by now is told before the reply
    assert "PLAYBACK_STOP" not in [event["Event-Name"] for event in events.of_leg(leg)]
    commands.api(f"uuid_break {leg}")
    events.event_of(leg, "CHANNEL_EXECUTE_COMPLETE", Application_UUID=f"{PROMPTS_PREFIX}question")


def answer_of(events: EventSocket, leg: str) -> Event:
    return events.event_of(leg, "CHANNEL_EXECUTE_COMPLETE", Application_UUID="question")


def test_a_digit_stops_prompts_that_may_be_interrupted_and_is_the_answer(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    ask(commands, caller, heard_out=False)
    events.event_of(caller, "PLAYBACK_START")
    bench.press(caller, "11")
    assert events.event_of(caller, "PLAYBACK_STOP").get("Playback-Status") == "break"
    assert answer_of(events, caller).get(f"variable_{DIGITS_VARIABLE}") == "1"
    ends(commands, events, caller)


def test_a_digit_during_prompts_that_are_heard_out_is_forgotten_and_the_next_one_is_the_answer(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    ask(commands, caller, heard_out=True)
    type_during_the_prompt(bench, commands, events, caller, "1*#")
    events.event_of(caller, "CHANNEL_EXECUTE", Application_UUID="question")
    bench.press(caller, "2")
    assert answer_of(events, caller).get(f"variable_{DIGITS_VARIABLE}") == "2"
    ends(commands, events, caller)


def test_who_pressed_only_during_prompts_that_are_heard_out_has_not_answered(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    ask(commands, caller, heard_out=True, timeout_ms=600)
    type_during_the_prompt(bench, commands, events, caller, "11")
    done = answer_of(events, caller)
    assert (done.get("variable_read_result"), done.get(f"variable_{DIGITS_VARIABLE}")) == ("failure", None)
    ends(commands, events, caller)


def test_a_digit_that_is_pressed_while_the_caller_hears_what_was_wrong_is_the_next_answer(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    ask(commands, caller, heard_out=False, tries=2)
    events.event_of(caller, "PLAYBACK_START")
    bench.press(caller, "9")
    events.times(caller, "PLAYBACK_START", 2)
    bench.press(caller, "2")
    commands.api(f"uuid_break {caller}")
    assert answer_of(events, caller).get(f"variable_{DIGITS_VARIABLE}") == "2"
    ends(commands, events, caller)


def test_what_is_executed_locked_behind_a_question_runs_when_that_is_over(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    """So the listener learns after a gap of a question whose end it did not see."""
    caller = parked_caller(bench, events)
    ask(commands, caller, heard_out=True, timeout_ms=600)
    value, event_id = f"{PROBE_VARIABLE}=question", f"{PROBE_PREFIX}question"
    commands.send(esl.execute(caller, "set", value, event_id=event_id, lock=True).decode())
    commands.reply()
    type_during_the_prompt(bench, commands, events, caller, "1")
    events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID=event_id)
    ended = [event["Application-UUID"] for event in events.of_leg(caller) if "COMPLETE" in event["Event-Name"]]
    assert ended.index("question") < ended.index(event_id)
    ends(commands, events, caller)


def test_a_prompt_has_no_response_while_it_plays_and_one_when_it_has_ended(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    for prompt in ("first", "second"):
        commands.send(esl.execute(caller, "playback", f"silence_stream://{PROMPT_MS}", event_id=prompt).decode())
        commands.reply()
        started = len([event for event in events.of_leg(caller) if event["Event-Name"] == "PLAYBACK_START"])
        events.times(caller, "PLAYBACK_START", started + 1)
        assert commands.api(f"uuid_getvar {caller} {RESPONSE_VARIABLE}").strip() == "_undef_"
        commands.api(f"uuid_break {caller}")
        events.times(caller, "PLAYBACK_STOP", started + 1)
        events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID=prompt)
        assert commands.api(f"uuid_getvar {caller} {RESPONSE_VARIABLE}").strip() == "FILE PLAYED"
    ends(commands, events, caller)
