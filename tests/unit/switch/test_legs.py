"""Legs on a clock that is moved: digits, sounds, time-outs, holds."""

import pytest

from local.switch.channel import Leg, PrivateCommand
from local.switch.core import Switch
from tests.unit.switch.conftest import LINE, Tape, agent_leg, run


def answered(switch: Switch) -> Leg:
    return switch.call_in("1200", "+4930555", "Caller")


def ask(leg: Leg, data: str) -> None:
    leg.queue_command(PrivateCommand("play_and_get_digits", data, "ask"))


def press(switch: Switch, leg: Leg, digits: str, seconds: float = 0.2) -> None:
    for digit in digits:
        leg.receive_digit(digit)
        switch.scheduler.advance(seconds)


def finished(tape: Tape) -> bool:
    return tape.count("CHANNEL_EXECUTE_COMPLETE") > 1


def test_digits_stop_the_prompt_and_fill_the_variable(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    ask(leg, "1 2 1 5000 # prompts/menu.wav prompts/bad.wav choice [0-9]+ 1000")
    switch.scheduler.advance(0.5)
    press(switch, leg, "42")
    assert leg.variables.get("choice") == "42"
    assert leg.variables.get("read_result") == "success"
    assert tape.last("PLAYBACK_STOP").header("Playback-Status") == "break"
    assert finished(tape)


def test_a_terminator_ends_the_entry_and_is_no_part_of_it(switch: Switch) -> None:
    leg = answered(switch)
    ask(leg, "1 9 1 5000 # prompts/menu.wav prompts/bad.wav choice [0-9]+ 1000")
    switch.scheduler.advance(0.5)
    press(switch, leg, "7#")
    assert leg.variables.get("choice") == "7"
    assert leg.variables.get("read_terminator_used") == "#"


def test_a_wrong_digit_is_complained_about_and_asked_again(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    ask(leg, "1 1 2 3000 none prompts/menu.wav prompts/bad.wav choice [12] 1000")
    switch.scheduler.advance(0.5)
    press(switch, leg, "9")
    switch.scheduler.advance(2.5)
    played = [event.header("Playback-File-Path") for event in tape.events if event.name == "PLAYBACK_START"]
    assert played == ["prompts/menu.wav", "prompts/bad.wav", "prompts/menu.wav"]
    press(switch, leg, "2")
    assert leg.variables.get("choice") == "2"


def test_silence_uses_up_every_try(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    ask(leg, "1 1 2 3000 # prompts/menu.wav prompts/bad.wav choice [12] 1000")
    # Two tries of prompt 2 s, silence 3 s and complaint 2 s.
    switch.scheduler.advance(13.9)
    assert not finished(tape)
    switch.scheduler.advance(0.3)
    assert finished(tape)
    assert leg.variables.get("choice") is None
    assert leg.variables.get("read_result") == "failure"


def test_too_few_digits_fail_after_the_digit_time_out(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    ask(leg, "3 5 1 5000 # prompts/menu.wav '' code [0-9]+ 1000")
    switch.scheduler.advance(0.1)
    press(switch, leg, "12", 0.1)
    switch.scheduler.advance(0.8)
    assert not finished(tape)
    switch.scheduler.advance(0.3)
    assert finished(tape)
    assert leg.variables.get("code") is None


def test_leftover_digits_end_the_next_question(switch: Switch) -> None:
    leg = answered(switch)
    ask(leg, "1 1 1 5000 # prompts/menu.wav '' first [0-9] 1000")
    switch.scheduler.advance(0.1)
    leg.receive_digit("1")
    ask(leg, "1 1 1 5000 # prompts/menu.wav '' second [0-9] 1000")
    leg.receive_digit("2")
    switch.scheduler.advance(0.5)
    assert (leg.variables.get("first"), leg.variables.get("second")) == ("1", "2")


def test_digits_while_parked_are_lost(switch: Switch) -> None:
    leg = answered(switch)
    leg.receive_digit("5")
    switch.scheduler.advance(0.1)
    assert not leg.digits
    assert leg.digits_dialed == "5"


def test_a_missing_file_says_so_and_plays_nothing(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    run(switch, f"uuid_broadcast {leg.uuid} prompts/nosuch.wav")
    switch.scheduler.advance(1)
    assert tape.count("PLAYBACK_START") == 0
    assert leg.variables.get("current_application_response") == "FILE NOT FOUND"


@pytest.mark.parametrize(
    ("sound", "seconds"),
    [
        ("prompts/any.wav", 2.0),
        ("silence_stream://750", 0.75),
        ("file_string://prompts/a.wav!silence_stream://500", 2.5),
        ("tts://engine|voice|five words are said here", 2.0),
    ],
)
def test_a_sound_lasts_as_long_as_it_is(switch: Switch, tape: Tape, sound: str, seconds: float) -> None:
    leg = answered(switch)
    leg.queue_command(PrivateCommand("playback", sound))
    switch.scheduler.advance(0.1)
    started = int(tape.last("PLAYBACK_START").header("Event-Date-Timestamp") or 0)
    switch.scheduler.advance(5)
    stopped = int(tape.last("PLAYBACK_STOP").header("Event-Date-Timestamp") or 0)
    assert abs((stopped - started) / 1e6 - seconds) < 0.05


def test_a_star_stops_a_sound_unless_terminators_say_otherwise(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    leg.queue_command(PrivateCommand("playback", "local_stream://default"))
    switch.scheduler.advance(0.1)
    press(switch, leg, "5")
    assert tape.count("PLAYBACK_STOP") == 0
    press(switch, leg, "*")
    assert tape.count("PLAYBACK_STOP") == 1
    leg.variables.set("playback_terminators", "none")
    leg.queue_command(PrivateCommand("playback", "local_stream://default"))
    switch.scheduler.advance(0.1)
    press(switch, leg, "*")
    assert tape.count("PLAYBACK_STOP") == 1


def test_a_break_of_all_also_forgets_what_waits(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    for _ in range(3):
        run(switch, f"uuid_broadcast {leg.uuid} local_stream://default")
    switch.scheduler.advance(0.5)
    assert tape.count("PLAYBACK_START") == 1
    run(switch, f"uuid_break {leg.uuid} all")
    switch.scheduler.advance(0.5)
    assert tape.count("PLAYBACK_START") == 1
    assert leg.playing is None


def test_music_goes_on_after_a_prompt_that_played_over_it(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    leg.queue_command(PrivateCommand("playback", "local_stream://default", "music"))
    switch.scheduler.advance(0.1)
    leg.queue_command(PrivateCommand("playback", "prompts/you-are-next.wav", "prompt"))
    switch.scheduler.advance(3)
    assert leg.playing == "local_stream://default"
    completed = [e.header("Application-UUID") for e in tape.events if e.name == "CHANNEL_EXECUTE_COMPLETE"]
    assert completed[-1] == "prompt"


def test_the_line_is_exported_and_the_guard_set_before_the_call_is_parked(switch: Switch, tape: Tape) -> None:
    leg = switch.call_in(LINE, "+4930555")
    park = tape.last("CHANNEL_PARK")
    assert park.header("variable_ringmaster_line") == "+" + LINE
    assert park.header("variable_export_vars") == "ringmaster_line"
    assert run(switch, f"sched_del {leg.uuid}") == "+OK Deleted: 1\n"
    switch.scheduler.advance(10)
    assert leg.is_up


def test_an_unclaimed_call_falls_back_between_four_and_five_seconds(switch: Switch, tape: Tape) -> None:
    leg = switch.call_in(LINE, "+4930555")
    switch.scheduler.advance(3.9)
    assert tape.count("CHANNEL_ANSWER") == 0
    switch.scheduler.advance(1.3)
    assert tape.count("CHANNEL_ANSWER") == 1
    switch.scheduler.advance(3)
    assert leg.hangup_cause == "NORMAL_TEMPORARY_FAILURE"


def test_a_hold_plays_music_to_the_other_leg_and_ends_with_it(switch: Switch, tape: Tape) -> None:
    caller = answered(switch)
    agent = switch.find(agent_leg(switch))
    assert agent is not None
    run(switch, f"uuid_bridge {caller.uuid} {agent.uuid}")
    switch.scheduler.advance(1)
    run(switch, f"uuid_hold {agent.uuid}")
    switch.scheduler.advance(0.5)
    assert caller.playing == "local_stream://moh"
    assert agent.callstate.name == "HELD"
    run(switch, f"uuid_hold off {agent.uuid}")
    switch.scheduler.advance(0.5)
    assert caller.playing is None
    assert tape.names(agent.uuid)[-2:] != ["CHANNEL_HOLD", "CHANNEL_HOLD"]
    assert caller.bridge is not None


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_a_hold_that_ends_before_its_music_began_plays_none(switch: Switch, tape: Tape, seconds: float) -> None:
    caller = answered(switch)
    agent = switch.find(agent_leg(switch))
    assert agent is not None
    run(switch, f"uuid_bridge {caller.uuid} {agent.uuid}")
    switch.scheduler.advance(1)
    run(switch, f"uuid_hold {agent.uuid}")
    switch.scheduler.advance(seconds)
    run(switch, f"uuid_hold off {agent.uuid}")
    switch.scheduler.advance(2)
    assert tape.count("PLAYBACK_START") == 0
    assert caller.playing is None


def test_a_heartbeat_comes_every_twenty_seconds(switch: Switch, tape: Tape) -> None:
    switch.scheduler.advance(100.5)
    assert tape.count("HEARTBEAT") == 5
    assert tape.last("HEARTBEAT").header("Event-Info") == "System Ready"


def test_a_crash_says_nothing_and_begins_a_new_boot(switch: Switch, tape: Tape) -> None:
    leg = answered(switch)
    core = switch.bus.identity.core_uuid
    said = len(tape.events)
    assert switch.crash() == [leg]
    switch.scheduler.advance(10)
    assert len(tape.events) == said
    assert switch.bus.identity.core_uuid != core
    assert not switch.legs
    switch.scheduler.advance(15)
    assert tape.last("HEARTBEAT").header("Event-Sequence") == "1"


def test_tables_and_truth_agree_on_a_phone_that_is_busy(switch: Switch) -> None:
    agent_leg(switch, "first")
    pending = switch.api.run("originate", "{origination_uuid=second}user/anna &park()")
    switch.scheduler.advance(2)
    assert not isinstance(pending, str)
    assert pending.result == "-ERR USER_BUSY\n"


def test_a_conference_counts_its_members_and_ends_with_the_last(switch: Switch, tape: Tape) -> None:
    first, second = answered(switch), answered(switch)
    for leg in (first, second):
        leg.queue_command(PrivateCommand("conference", "room@default"))
    switch.scheduler.advance(0.5)
    assert run(switch, "conference room list").startswith("+OK Conference room (2 members rate: 8000")
    assert run(switch, "conference room mute 2") == "+OK mute 2\n"
    assert run(switch, "conference room kick 1") == "+OK kicked 1\n"
    switch.scheduler.advance(0.5)
    assert first.is_up
    assert run(switch, "conference room list").startswith("+OK Conference room (1 member rate: 8000")
    second.hangup_by_phone()
    switch.scheduler.advance(0.5)
    assert run(switch, "conference room list") == "-ERR Conference room not found\n"
    actions = [event.header("Action") for event in tape.events if event.subclass == "conference::maintenance"]
    assert actions == [
        "conference-create",
        "add-member",
        "floor-change",
        "add-member",
        "mute-member",
        "kick-member",
        "del-member",
        "del-member",
        "conference-destroy",
    ]
