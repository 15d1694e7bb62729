"""Every leg's events, in order, are those that a real FreeSWITCH made in the same scenario."""

import json
import re
import wave
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.switch.conftest import Bench
from tests.switch.legs import by_leg, line_of
from tests.switch.oracle import EventSocket

FIXTURES = Path(__file__).parent.parent / "fixtures" / "switch"
MUSIC = "local_stream://moh"
# These depend on a phone's own doing (a re-INVITE) or on which thread was quicker, so the real switch varies too.
# COMMAND is how PRIVATE_COMMAND begins; it is missing when the command came within 20 ms after the answer.
# CONSUME_MEDIA of an answered leg is told or not, with its own number or that of the state which follows: two
# threads race. UNHOLD and the call state after it race too.
VARYING = re.compile(
    r"CODEC |COMMAND |CHANNEL_STATE CONSUME_MEDIA [57] ACTIVE|CALL_UPDATE |CHANNEL_CALLSTATE EXCHANGE_MEDIA 5 ACTIVE"
)
RACING_STATE = re.compile(r"(CHANNEL_UNHOLD EXCHANGE_MEDIA 5) \w+")


def expected(scenario: str, role: str) -> list[str]:
    document = json.loads((FIXTURES / f"{scenario}.json").read_text())
    lines: list[str] = document["legs"][role]
    return steady(lines)


def steady(lines: Iterable[str]) -> list[str]:
    return [RACING_STATE.sub(r"\1", line) for line in lines if not VARYING.match(line)]


def seen(events: EventSocket, leg: str) -> list[str]:
    """Wait for the leg's end and return its lines."""
    events.event_of(leg, "CHANNEL_STATE", Channel_State="CS_DESTROY")
    return steady(line_of(event) for event in by_leg(_firsts(events))[leg])


def _firsts(events: EventSocket) -> Iterable[Mapping[str, str]]:
    return (event.first for event in events.events)


def originate(commands: EventSocket, dial: str, app: str = "&park()", **variables: str) -> tuple[str, str]:
    """Start calling an agent; returns (leg, job)."""
    leg = str(uuid4())
    given = {"ignore_early_media": "true", "originate_timeout": "3", "origination_uuid": leg, **variables}
    text = ",".join(f"{name}={value}" for name, value in given.items())
    return leg, commands.bgapi(f"originate {{{text}}}{dial} {app}")


def answered_agent(bench: Bench, commands: EventSocket, events: EventSocket) -> str:
    leg, job = originate(commands, bench.dial("answer"), originate_timeout="10")
    events.event_of(leg, "CHANNEL_PARK")
    assert events.result_of(job) == f"+OK {leg}\n"
    return leg


def bridged(bench: Bench, commands: EventSocket, events: EventSocket) -> tuple[str, str]:
    """Return a caller and an agent who talk."""
    caller = bench.call("1200")
    events.event_of(caller, "CHANNEL_PARK")
    agent = answered_agent(bench, commands, events)
    assert commands.api(f"uuid_bridge {caller} {agent}") == f"+OK {agent}\n"
    events.event_of(caller, "CHANNEL_BRIDGE")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    return caller, agent


def sound(bench: Bench, name: str, seconds: float) -> str:
    """Return the path of a silent file of some length."""
    path = bench.recordings / f"{name}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(seconds * 16_000)))
    return str(path)


def test_a_whole_call_under_control_looks_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    short, prompt = sound(bench, "short", 0.5), sound(bench, "prompt", 3.0)
    caller = bench.call("1000")
    events.event_of(caller, "CHANNEL_PARK")
    _play_and_collect(bench, commands, events, caller, short, prompt)
    recording = f"{bench.recordings}/whole.wav"
    assert commands.api(f"uuid_record {caller} start {recording}") == "+OK Success\n"
    events.event_of(caller, "MEDIA_BUG_START")
    commands.api(f"uuid_broadcast {caller} playback::{MUSIC} aleg")
    events.event_of(caller, "PLAYBACK_START", Playback_File_Path=MUSIC)
    agent, job = originate(commands, bench.dial("answer"), originate_timeout="15", park_after_bridge="true")
    assert events.result_of(job) == f"+OK {agent}\n"
    events.event_of(agent, "CHANNEL_PARK")
    commands.api(f"uuid_setvar {caller} park_after_bridge true")
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    bench.press(agent, "9")
    events.event_of(agent, "DTMF", DTMF_Digit="9")
    # In the first moments of a bridge the real switch forgets to play music to who is held.
    commands.let_pass(2)
    _hold_and_resume(bench, commands, events, caller, agent)
    assert commands.api(f"uuid_record {caller} stop {recording}") == "+OK Success\n"
    events.event_of(caller, "MEDIA_BUG_STOP")
    assert commands.api(f"uuid_record {caller} stop {recording}") == "-ERR Cannot stop record session!\n"
    commands.api(f"uuid_transfer {caller} 1000 XML default")
    events.times(caller, "CHANNEL_PARK", 2)
    events.event_of(agent, "CHANNEL_PARK", Channel_State="CS_PARK")
    commands.api(f"uuid_bridge {caller} {agent}")
    events.times(caller, "CHANNEL_BRIDGE", 2)
    events.wait_for(lambda event: event.get("Unique-ID") == agent and _is_exchanging_again(events, agent), "bridge")
    commands.api(f"uuid_kill {caller} CALL_REJECTED")
    events.event_of(caller, "CHANNEL_DESTROY")
    events.times(agent, "CHANNEL_PARK", 3)
    commands.api(f"uuid_kill {agent}")
    assert seen(events, caller) == expected("whole_call", "caller")
    assert seen(events, agent) == expected("whole_call", "agent")


def _is_exchanging_again(events: EventSocket, leg: str) -> bool:
    states = [event.get("Channel-State") for event in events.of_leg(leg) if event["Event-Name"] == "CHANNEL_STATE"]
    return states.count("CS_EXCHANGE_MEDIA") > 1


def _play_and_collect(
    bench: Bench, commands: EventSocket, events: EventSocket, caller: str, short: str, prompt: str
) -> None:
    commands.api(f"uuid_answer {caller}")
    assert commands.api(f"uuid_answer {caller}") == "+OK\n"
    parked_with = sum(1 for event in events.of_leg(caller) if event["Event-Name"] == "CHANNEL_EXECUTE_COMPLETE")
    for number, sound_name in enumerate((f"playback::{short}", short, f"{bench.recordings}/nosuch.wav"), 1):
        assert commands.api(f"uuid_broadcast {caller} {sound_name} aleg") == "+OK Message sent\n"
        events.times(caller, "CHANNEL_EXECUTE_COMPLETE", parked_with + number)
    commands.execute(caller, "playback", prompt, **{"Event-UUID": "play-1", "event-lock": "true"})
    events.event_of(caller, "PLAYBACK_START", Playback_File_Path=prompt)
    commands.api(f"uuid_break {caller}")
    events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID="play-1")
    commands.execute(
        caller,
        "play_and_get_digits",
        f"1 4 2 5000 # {prompt} silence_stream://250 pin \\d+ 3000",
        **{"Event-UUID": "ask-1"},
    )
    events.times(caller, "PLAYBACK_START", 4)
    for number, digit in enumerate("1234", 1):
        bench.press(caller, digit)
        events.times(caller, "DTMF", number)
    events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID="ask-1")
    assert commands.api(f"uuid_getvar {caller} pin") == "1234"
    commands.execute(
        caller,
        "play_and_get_digits",
        f"1 2 1 1500 # {short} silence_stream://250 pin2 \\d+",
        **{"Event-UUID": "ask-2"},
    )
    events.times(caller, "PLAYBACK_START", 5)
    bench.press(caller, "#")
    events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID="ask-2")
    assert commands.api(f"uuid_getvar {caller} pin2") == "_undef_"
    assert commands.api(f"uuid_recv_dtmf {caller} 77@2000") == f"+OK {caller} received DTMF 77@2000.\n"
    events.times(caller, "DTMF", 7)


def _hold_and_resume(bench: Bench, commands: EventSocket, events: EventSocket, caller: str, agent: str) -> None:
    """Hold by command and then by the phone; the caller hears music both times."""
    played = sum(1 for event in events.of_leg(caller) if event["Event-Name"] == "PLAYBACK_START")
    assert commands.api(f"uuid_hold {agent}") == "+OK Success\n"
    events.times(caller, "PLAYBACK_START", played + 1)
    assert commands.api(f"uuid_hold off {agent}") == "+OK Success\n"
    events.times(agent, "CHANNEL_UNHOLD", 1)
    events.times(caller, "PLAYBACK_STOP", played + 1)
    bench.hold(agent, on=True)
    events.times(caller, "PLAYBACK_START", played + 2)
    commands.let_pass(2)
    bench.hold(agent, on=False)
    events.times(agent, "CHANNEL_UNHOLD", 2)
    events.times(caller, "PLAYBACK_STOP", played + 2)


def test_a_caller_who_cancels_while_parked_looks_like_the_capture(bench: Bench, events: EventSocket) -> None:
    caller = bench.call("1000")
    events.event_of(caller, "CHANNEL_PARK")
    bench.hang_up(caller)
    assert seen(events, caller) == expected("caller_cancels_while_parked", "caller")


def test_a_caller_who_hangs_up_during_music_looks_like_the_capture(bench: Bench, events: EventSocket) -> None:
    caller = bench.call("1300")
    events.event_of(caller, "PLAYBACK_START")
    bench.hang_up(caller)
    assert seen(events, caller) == expected("caller_hangs_up_during_music", "caller")


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        ("no_answer", "NO_ANSWER"),
        ("busy", "USER_BUSY"),
        ("reject", "CALL_REJECTED"),
        ("unavailable", "NO_USER_RESPONSE"),
        ("not_found", "UNALLOCATED_NUMBER"),
        ("broken", "NORMAL_TEMPORARY_FAILURE"),
        ("incompatible", "INCOMPATIBLE_DESTINATION"),
        ("early_media", "NO_ANSWER"),
        ("black_hole", "NO_ANSWER"),
    ],
)
def test_an_agent_leg_that_fails_looks_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket, behaviour: str, cause: str
) -> None:
    leg, job = originate(commands, bench.dial(behaviour))
    assert events.result_of(job) == f"-ERR {cause}\n"
    assert seen(events, leg) == expected(f"agent_{behaviour}", "agent")


def test_an_agent_leg_that_is_killed_while_it_rings_looks_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    leg, job = originate(commands, bench.dial("no_answer"))
    events.event_of(leg, "CHANNEL_PROGRESS")
    assert commands.api(f"uuid_kill {leg} LOSE_RACE") == "+OK\n"
    assert events.result_of(job) == "-ERR LOSE_RACE\n"
    assert seen(events, leg) == expected("agent_killed_while_ringing", "agent")


def test_an_agent_leg_that_parks_and_is_killed_looks_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    leg = answered_agent(bench, commands, events)
    commands.api(f"uuid_kill {leg}")
    assert seen(events, leg) == expected("agent_answers_parks_and_is_killed", "agent")


def test_a_uuid_that_is_alive_is_refused_and_may_be_used_again_later(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    leg = answered_agent(bench, commands, events)
    second = commands.bgapi(f"originate {{origination_uuid={leg}}}{bench.dial('answer')} &park()")
    assert events.result_of(second) == "-ERR DESTINATION_OUT_OF_ORDER\n"
    commands.api(f"uuid_kill {leg}")
    events.event_of(leg, "CHANNEL_DESTROY")
    events.events.clear()
    third = commands.bgapi(f"originate {{origination_uuid={leg}}}{bench.dial('answer')} &park()")
    assert events.result_of(third) == f"+OK {leg}\n"
    commands.api(f"uuid_kill {leg}")
    events.event_of(leg, "CHANNEL_DESTROY")


def test_a_caller_who_leaves_while_the_agent_rings_leaves_the_agent_alive(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = bench.call("1200")
    events.event_of(caller, "CHANNEL_PARK")
    agent, job = originate(commands, bench.dial("answer"), originate_timeout="10")
    events.event_of(agent, "CHANNEL_PROGRESS")
    bench.hang_up(caller)
    assert events.result_of(job) == f"+OK {agent}\n"
    events.event_of(caller, "CHANNEL_DESTROY")
    assert commands.api(f"uuid_bridge {caller} {agent}") == "-ERR Invalid uuid\n"
    assert commands.api(f"uuid_exists {agent}") == "true"
    commands.api(f"uuid_kill {agent}")
    assert seen(events, caller) == expected("caller_leaves_while_the_agent_rings", "caller")
    assert seen(events, agent) == expected("caller_leaves_while_the_agent_rings", "agent")


def test_a_bridge_by_command_that_the_caller_ends_looks_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller, agent = bridged(bench, commands, events)
    bench.hang_up(caller)
    assert seen(events, caller) == expected("bridge_by_command_caller_ends", "caller")
    assert seen(events, agent) == expected("bridge_by_command_caller_ends", "agent")


def test_a_caller_with_park_after_bridge_parks_when_the_agent_hangs_up(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller, agent = bridged(bench, commands, events)
    commands.api(f"uuid_setvar {caller} park_after_bridge true")
    bench.hang_up(agent)
    events.event_of(caller, "CHANNEL_PARK", Channel_State="CS_PARK")
    assert commands.api(f"uuid_exists {caller}") == "true"
    commands.api(f"uuid_kill {caller}")
    scenario = "bridge_by_command_agent_ends_caller_parks"
    assert seen(events, caller) == expected(scenario, "caller")
    assert seen(events, agent) == expected(scenario, "agent")


@pytest.mark.parametrize("who", ["caller", "agent"])
def test_a_bridge_by_dialplan_looks_like_the_capture(bench: Bench, events: EventSocket, who: str) -> None:
    caller = bench.call("1400")
    bridge = events.event_of(caller, "CHANNEL_BRIDGE")
    legs = {"caller": caller, "agent": bridge.first["Bridge-B-Unique-ID"]}
    events.event_of(legs["agent"], "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    bench.hang_up(legs[who])
    for role, leg in legs.items():
        assert seen(events, leg) == expected(f"dialplan_bridge_{who}_ends", role), role


def test_an_attended_transfer_by_commands_looks_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = bench.call("1200")
    events.event_of(caller, "CHANNEL_PARK")
    agent, _ = originate(commands, bench.dial("answer"), originate_timeout="10")
    events.event_of(agent, "CHANNEL_PARK")
    for leg in (caller, agent):
        commands.api(f"uuid_setvar {leg} park_after_bridge true")
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    target = answered_agent(bench, commands, events)
    commands.api(f"uuid_setvar {target} park_after_bridge true")
    commands.api(f"uuid_bridge {agent} {target}")
    events.event_of(target, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    events.event_of(caller, "CHANNEL_PARK", Channel_State="CS_PARK")
    commands.api(f"uuid_broadcast {caller} {MUSIC} aleg")
    events.event_of(caller, "PLAYBACK_START")
    commands.api(f"uuid_bridge {caller} {target}")
    events.wait_for(
        lambda event: (
            event.name == "CHANNEL_BRIDGE"
            and event.get("Bridge-B-Unique-ID") == target
            and event.get("Unique-ID") == caller
        ),
        "bridge of the caller and the target",
    )
    commands.api(f"uuid_kill {agent}")
    events.event_of(agent, "CHANNEL_DESTROY")
    bench.hang_up(target)
    events.event_of(target, "CHANNEL_DESTROY")
    bench.hang_up(caller)
    for role, leg in {"caller": caller, "target": target}.items():
        assert seen(events, leg) == expected("attended_transfer_by_commands", role), role


def test_a_supervisor_who_listens_in_looks_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller, agent = bridged(bench, commands, events)
    supervisor, job = originate(commands, bench.dial("answer"), f"&eavesdrop({agent})", originate_timeout="10")
    assert events.result_of(job) == f"+OK {supervisor}\n"
    bug = events.event_of(agent, "MEDIA_BUG_START")
    assert bug.get("Media-Bug-Function") == "eavesdrop"
    commands.api(f"uuid_kill {supervisor}")
    events.event_of(agent, "MEDIA_BUG_STOP")
    assert seen(events, supervisor) == expected("eavesdrop", "supervisor")
    assert not [event for event in events.of_leg(supervisor) if event["Event-Name"] == "CHANNEL_BRIDGE"]
    bench.hang_up(caller)
    events.event_of(caller, "CHANNEL_DESTROY")


def test_listening_to_nobody_ends_at_once_like_the_capture(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    supervisor, _ = originate(commands, bench.dial("answer"), f"&eavesdrop({uuid4()})", originate_timeout="10")
    assert seen(events, supervisor) == expected("eavesdrop_on_nobody", "supervisor")


def test_recording_a_call_that_is_not_answered_opens_early_media(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = bench.call("1000")
    events.event_of(caller, "CHANNEL_PARK")
    assert commands.api(f"uuid_record {caller} start {bench.recordings}/unanswered.wav") == "+OK Success\n"
    events.event_of(caller, "RECORD_START")
    bench.hang_up(caller)
    assert seen(events, caller) == expected("recording_of_an_unanswered_call", "caller")


def test_a_recording_survives_a_transfer_and_ends_with_the_leg(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = bench.call("1200")
    events.event_of(caller, "CHANNEL_PARK")
    commands.api(f"uuid_setvar {caller} RECORD_STEREO true")
    agent = answered_agent(bench, commands, events)
    for leg in (caller, agent):
        commands.api(f"uuid_setvar {leg} park_after_bridge true")
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    commands.api(f"uuid_record {caller} start {bench.recordings}/transfer.wav")
    events.event_of(caller, "MEDIA_BUG_START")
    assert commands.api(f"uuid_transfer {caller} 1200 XML default") == "+OK\n"
    events.wait_for(lambda event: _parked_again(event.first, caller), "second park of the caller")
    bench.hang_up(caller)
    events.event_of(caller, "CHANNEL_DESTROY")
    commands.api(f"uuid_kill {agent} MANAGER_REQUEST")
    assert seen(events, caller) == expected("recording_until_hangup_after_transfer", "caller")


def _parked_again(event: Mapping[str, str], leg: str) -> bool:
    return (
        event["Event-Name"] == "CHANNEL_PARK"
        and event.get("Unique-ID") == leg
        and event.get("Caller-RDNIS") is not None
    )
