"""What surprises people about FreeSWITCH, held true: races, lags, causes, files."""

import json
import struct
import time
import wave
from pathlib import Path
from uuid import uuid4

import pytest

from tests.switch.conftest import Bench, SimulatedSwitch
from tests.switch.oracle import EventSocket


def answered(bench: Bench, commands: EventSocket, events: EventSocket, phone: str = "answer", **variables: str) -> str:
    """Return an agent's leg that is parked."""
    leg = str(uuid4())
    given = {"ignore_early_media": "true", "origination_uuid": leg, **variables}
    text = ",".join(f"{name}={value}" for name, value in given.items())
    commands.bgapi(f"originate {{{text}}}{bench.dial(phone)} &park()")
    events.event_of(leg, "CHANNEL_PARK")
    return leg


def parked_caller(bench: Bench, events: EventSocket, number: str = "1200") -> str:
    caller = bench.call(number)
    events.event_of(caller, "CHANNEL_PARK")
    return caller


def ends(commands: EventSocket, events: EventSocket, *legs: str) -> None:
    for leg in legs:
        commands.api(f"uuid_kill {leg}")
        events.event_of(leg, "CHANNEL_DESTROY")


def test_early_media_that_is_not_ignored_counts_as_success(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    leg = str(uuid4())
    job = commands.bgapi(f"originate {{origination_uuid={leg},originate_timeout=2}}{bench.dial('early_media')} &park()")
    assert events.result_of(job) == f"+OK {leg}\n"
    events.event_of(leg, "CHANNEL_PARK")
    commands.let_pass(3)
    assert commands.api(f"uuid_exists {leg}") == "true"
    ends(commands, events, leg)


def test_a_time_out_of_two_seconds_fires_after_one_to_two(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    leg = str(uuid4())
    given = f"origination_uuid={leg},ignore_early_media=true,originate_timeout=2"
    commands.bgapi(f"originate {{{given}}}{bench.dial('no_answer')} &park()")
    created = events.event_of(leg, "CHANNEL_CREATE")
    hung = events.event_of(leg, "CHANNEL_HANGUP")
    seconds = (int(hung.first["Event-Date-Timestamp"]) - int(created.first["Event-Date-Timestamp"])) / 1e6
    assert 0.9 < seconds < 2.2
    assert hung.get("Hangup-Cause") == "NO_ANSWER"


def test_bridging_a_ringing_leg_says_ok_and_kills_both(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    agent = str(uuid4())
    given = f"origination_uuid={agent},ignore_early_media=true,originate_timeout=30"
    commands.bgapi(f"originate {{{given}}}{bench.dial('no_answer')} &park()")
    events.event_of(agent, "CHANNEL_PROGRESS")
    assert commands.api(f"uuid_bridge {caller} {agent}") == f"+OK {agent}\n"
    events.event_of(caller, "CHANNEL_DESTROY")
    events.event_of(agent, "CHANNEL_DESTROY")


def test_an_unknown_application_says_ok_and_kills_the_call(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    assert commands.execute(caller, "nosuchapp").headers["Reply-Text"] == "+OK"
    assert events.event_of(caller, "CHANNEL_HANGUP").get("Hangup-Cause") == "DESTINATION_OUT_OF_ORDER"


def test_an_unknown_cause_silently_becomes_normal_clearing(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    assert commands.api(f"uuid_kill {caller} BOGUS_CAUSE") == "+OK\n"
    assert events.event_of(caller, "CHANNEL_HANGUP").get("Hangup-Cause") == "NORMAL_CLEARING"


def test_the_list_of_channels_lags_but_the_live_table_does_not(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    assert commands.api(f"uuid_exists {caller}") == "true"
    commands.let_pass(1)
    rows = json.loads(commands.api("show channels as json"))["rows"]
    row = next(row for row in rows if row["uuid"] == caller)
    assert row["direction"] == "inbound"
    assert row["dest"] == "1200"
    assert row["callstate"] == "ACTIVE"
    assert row["application"] == "park"
    ends(commands, events, caller)
    assert commands.api(f"uuid_exists {caller}") == "false"
    commands.let_pass(2)
    assert caller not in commands.api("show channels as json")


def test_a_bridged_pair_is_one_call_under_its_a_leg(bench: Bench, commands: EventSocket, events: EventSocket) -> None:
    caller, agent = parked_caller(bench, events), answered(bench, commands, events)
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    commands.let_pass(2)
    rows = json.loads(commands.api("show calls as json"))["rows"]
    assert [(row["uuid"], row["b_uuid"]) for row in rows if row["uuid"] in {caller, agent}] == [(caller, agent)]
    ends(commands, events, caller)
    events.event_of(agent, "CHANNEL_DESTROY")


def test_the_list_of_channels_says_who_is_on_hold_and_who_was_sent_elsewhere(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    """By this the listener learns after a gap what no event will tell it any more."""

    def row(leg: str) -> dict[str, str]:
        commands.let_pass(2)
        rows = json.loads(commands.api("show channels as json"))["rows"]
        return next(row for row in rows if row["uuid"] == leg)

    caller, agent = parked_caller(bench, events), answered(bench, commands, events)
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    bench.hold(agent, on=True)
    events.event_of(agent, "CHANNEL_HOLD")
    assert row(agent)["callstate"] == "HELD"
    bench.hold(agent, on=False)
    events.event_of(agent, "CHANNEL_UNHOLD")
    assert row(agent)["callstate"] in {"ACTIVE", "UNHELD"}
    commands.api(f"uuid_transfer {caller} 1300 XML default")
    events.event_of(caller, "CHANNEL_EXECUTE", Application="playback")
    assert row(caller)["dest"] == "1300"
    ends(commands, events, caller)


def test_a_command_that_is_scheduled_runs_and_one_that_is_deleted_does_not(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    first, second = parked_caller(bench, events), parked_caller(bench, events)
    for leg in (first, second):
        assert commands.api(f"sched_api +2 {leg} uuid_kill {leg} ALLOTTED_TIMEOUT").startswith("+OK Added: ")
    assert commands.api(f"sched_del {second}") == "+OK Deleted: 1\n"
    assert events.event_of(first, "CHANNEL_HANGUP").get("Hangup-Cause") == "ALLOTTED_TIMEOUT"
    assert commands.api(f"uuid_exists {second}") == "true"
    ends(commands, events, second)


def test_a_command_is_expanded_by_the_headers_that_a_leg_has_when_it_runs(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    """`bridge_to` is there on both legs while they are bridged, and at no other time (docs/adr/0057)."""
    caller = parked_caller(bench, events)
    agent = answered(bench, commands, events, park_after_bridge="true")
    asked = "expand uuid:{0} echo ${{Unique-ID}} ${{variable_bridge_to}}."
    assert commands.api(asked.format(caller)) == f"{caller} ."
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(caller, "CHANNEL_BRIDGE")
    commands.let_pass(1)  # the event comes a moment before the variables
    assert commands.api(asked.format(caller)) == f"{caller} {agent}."
    assert commands.api(asked.format(agent)) == f"{agent} {caller}."
    ends(commands, events, caller)
    events.event_of(agent, "CHANNEL_PARK")
    assert commands.api(asked.format(agent)) == f"{agent} ."
    assert commands.api(asked.format(caller)) == "."
    ends(commands, events, agent)


def test_a_park_time_out_hangs_up_with_its_cause(bench: Bench, commands: EventSocket, events: EventSocket) -> None:
    leg = answered(bench, commands, events, park_timeout="2:USER_BUSY")
    assert events.event_of(leg, "CHANNEL_HANGUP").get("Hangup-Cause") == "USER_BUSY"


def test_executes_without_a_lock_nest_and_complete_last_in_first_out(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    commands.execute(caller, "playback", "silence_stream://-1", **{"Event-UUID": "outer"})
    events.event_of(caller, "PLAYBACK_START")
    commands.execute(caller, "playback", "silence_stream://300", **{"Event-UUID": "inner"})
    events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID="inner")
    commands.api(f"uuid_break {caller}")
    events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID="outer")
    done = [e for e in events.of_leg(caller) if e["Event-Name"] == "CHANNEL_EXECUTE_COMPLETE"]
    assert [e["Application-UUID"] for e in done][-2:] == ["inner", "outer"]
    ends(commands, events, caller)


def test_a_locked_execute_makes_the_next_one_wait(bench: Bench, commands: EventSocket, events: EventSocket) -> None:
    caller = parked_caller(bench, events)
    for ticket in ("first", "second"):
        lock = {"Event-UUID": ticket, "event-lock": "true"}
        commands.execute(caller, "playback", "silence_stream://400", **lock)
    events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application_UUID="second")
    order = [
        (e["Event-Name"], e.get("Application-UUID"))
        for e in events.of_leg(caller)
        if e.get("Application-UUID") in {"first", "second"}
    ]
    assert order == [
        ("CHANNEL_EXECUTE", "first"),
        ("CHANNEL_EXECUTE_COMPLETE", "first"),
        ("CHANNEL_EXECUTE", "second"),
        ("CHANNEL_EXECUTE_COMPLETE", "second"),
    ]
    ends(commands, events, caller)


def test_digits_of_a_pin_are_in_later_events(bench: Bench, commands: EventSocket, events: EventSocket) -> None:
    caller = parked_caller(bench, events)
    commands.execute(caller, "play_and_get_digits", "4 4 1 5000 # silence_stream://-1 silence_stream://250 pin \\d+")
    events.event_of(caller, "PLAYBACK_START")
    for number, digit in enumerate("2580", 1):
        bench.press(caller, digit)
        events.times(caller, "DTMF", number)
    done = events.event_of(caller, "CHANNEL_EXECUTE_COMPLETE", Application="play_and_get_digits")
    assert done.get("variable_pin") == "2580"
    commands.api(f"uuid_kill {caller}")
    assert events.event_of(caller, "CHANNEL_HANGUP_COMPLETE").get("variable_digits_dialed") == "2580"


@pytest.mark.parametrize("stereo", [True, False])
def test_a_stopped_recording_is_a_complete_file(
    bench: Bench, commands: EventSocket, events: EventSocket, *, stereo: bool
) -> None:
    caller, agent = parked_caller(bench, events), answered(bench, commands, events)
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    if stereo:
        commands.api(f"uuid_setvar {caller} RECORD_STEREO true")
    path = bench.recordings / f"complete-{stereo}.wav"
    assert commands.api(f"uuid_record {caller} start {path}") == "+OK Success\n"
    commands.let_pass(3)
    assert commands.api(f"uuid_record {caller} stop {path}") == "+OK Success\n"
    stopped = events.event_of(caller, "RECORD_STOP")
    assert stopped.get("Record-File-Path") == str(path)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2 if stereo else 1, 8000, 2)
        assert file.getnframes() == int(stopped.first["variable_record_samples"])
        assert file.getnframes() > 1.5 * 8000
    ends(commands, events, caller)
    events.event_of(agent, "CHANNEL_DESTROY")


def test_a_recording_that_asks_for_a_bridge_holds_the_talk_only(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller, agent = parked_caller(bench, events), answered(bench, commands, events)
    commands.api(f"uuid_setvar {caller} RECORD_BRIDGE_REQ true")
    path = bench.recordings / "bridge.wav"
    assert commands.api(f"uuid_record {caller} start {path}") == "+OK Success\n"
    events.event_of(caller, "RECORD_START")
    commands.let_pass(4)
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    commands.let_pass(2)
    bench.hang_up(agent)
    stopped = events.event_of(caller, "RECORD_STOP")
    assert 1.0 * 8000 < int(stopped.first["variable_record_samples"]) < 3.5 * 8000
    with wave.open(str(path)) as file:
        assert file.getnframes() == int(stopped.first["variable_record_samples"])
    events.event_of(caller, "CHANNEL_DESTROY")


def test_a_recording_that_asks_for_a_bridge_and_gets_none_leaves_no_file(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    commands.api(f"uuid_setvar {caller} RECORD_BRIDGE_REQ true")
    path = bench.recordings / "nobody.wav"
    assert commands.api(f"uuid_record {caller} start {path}") == "+OK Success\n"
    events.event_of(caller, "RECORD_START")
    commands.let_pass(2)
    ends(commands, events, caller)
    stopped = events.event_of(caller, "RECORD_STOP")
    assert stopped.get("Record-File-Path") == str(path)
    assert stopped.get("Record-Completion-Cause") == "empty-file"
    assert stopped.get("variable_record_ms") == "0"
    assert not path.exists()


def test_a_growing_recording_says_zero_bytes_in_its_header(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    commands.api(f"uuid_setvar {caller} RECORD_STEREO true")
    path = bench.recordings / "growing.wav"
    commands.api(f"uuid_record {caller} start {path}")
    deadline = time.monotonic() + 10
    while not path.exists() or path.stat().st_size <= 44:
        assert time.monotonic() < deadline, "the file did not grow"
        commands.let_pass(1)
    data = path.read_bytes()
    assert data[:4] == b"RIFF"
    at = data.index(b"data") + 4
    assert struct.unpack("<I", data[at : at + 4])[0] == 0
    ends(commands, events, caller)
    with wave.open(str(path)) as file:
        assert file.getnframes() > 8000


def test_a_recording_that_can_not_be_written_is_an_error(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller = parked_caller(bench, events)
    for path in ("/proc/nope/x.wav", f"{bench.recordings}/x.nosuchext"):
        assert commands.api(f"uuid_record {caller} start {path}") == "-ERR Cannot record session!\n"
    assert commands.api(f"uuid_record {caller} mask /nosuch.wav") == "-ERR Cannot mask recording session!\n"
    ends(commands, events, caller)


def test_the_other_leg_hangs_up_when_a_bridge_ends_and_nothing_else_is_asked(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller, agent = parked_caller(bench, events), answered(bench, commands, events)
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    bench.hang_up(agent)
    assert events.event_of(caller, "CHANNEL_HANGUP").get("Hangup-Cause") == "NORMAL_CLEARING"
    events.event_of(caller, "CHANNEL_DESTROY")


def talk_with_park_after_bridge(bench: Bench, commands: EventSocket, events: EventSocket) -> tuple[str, str]:
    """Return a caller who would park, and an agent, who have talked for a second."""
    caller, agent = parked_caller(bench, events), answered(bench, commands, events)
    commands.api(f"uuid_setvar {caller} park_after_bridge true")
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    commands.let_pass(2)
    return caller, agent


@pytest.mark.parametrize("by_phone", [True, False])
def test_a_caller_on_hold_is_hung_up_with_the_agent_in_spite_of_park_after_bridge(
    bench: Bench, commands: EventSocket, events: EventSocket, *, by_phone: bool
) -> None:
    caller, agent = talk_with_park_after_bridge(bench, commands, events)
    if by_phone:
        bench.hold(agent, on=True)
    else:
        commands.api(f"uuid_hold {agent}")
    events.event_of(caller, "PLAYBACK_START")
    commands.let_pass(1)
    bench.hang_up(agent)
    for leg in (caller, agent):
        events.event_of(leg, "CHANNEL_DESTROY")
    names = [event["Event-Name"] for event in events.of_leg(agent)]
    assert names.index("CHANNEL_UNHOLD") < names.index("CHANNEL_HANGUP")
    parks = [event for event in events.of_leg(caller) if event["Event-Name"] == "CHANNEL_PARK"]
    assert len(parks) == 1


def test_a_bridge_ends_only_when_the_callers_broadcast_ends(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    caller, agent = talk_with_park_after_bridge(bench, commands, events)
    commands.api(f"uuid_broadcast {caller} silence_stream://-1 aleg")
    events.event_of(caller, "PLAYBACK_START")
    commands.let_pass(1)
    bench.hang_up(agent)
    events.event_of(agent, "CHANNEL_HANGUP_COMPLETE")
    commands.let_pass(2)
    # The agent's leg is not destroyed yet, but a leg that is hung up can't be found any more.
    assert commands.api(f"uuid_exists {agent}") == "false"
    assert "CHANNEL_DESTROY" not in {event["Event-Name"] for event in events.of_leg(agent)}
    assert "CHANNEL_UNBRIDGE" not in {event["Event-Name"] for event in events.of_leg(caller)}
    commands.api(f"uuid_break {caller}")
    events.event_of(caller, "CHANNEL_PARK", Channel_State="CS_PARK")
    events.event_of(agent, "CHANNEL_DESTROY")
    ends(commands, events, caller)


def test_transfer_after_bridge_sends_the_caller_on(bench: Bench, commands: EventSocket, events: EventSocket) -> None:
    caller, agent = parked_caller(bench, events), answered(bench, commands, events)
    commands.api(f"uuid_setvar {caller} transfer_after_bridge 1300:XML:default")
    commands.api(f"uuid_bridge {caller} {agent}")
    events.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    bench.hang_up(agent)
    started = events.event_of(caller, "PLAYBACK_START")
    assert started.get("Caller-Destination-Number") == "1300"
    ends(commands, events, caller)


def test_a_number_that_is_no_line_is_unallocated(bench: Bench, events: EventSocket) -> None:
    caller = bench.call("1999")
    assert events.event_of(caller, "CHANNEL_HANGUP").get("Hangup-Cause") == "UNALLOCATED_NUMBER"
    events.event_of(caller, "CHANNEL_DESTROY")


def test_an_unclaimed_line_falls_back_by_itself(bench: Bench, events: EventSocket) -> None:
    caller = bench.call("4930100001")
    parked = events.event_of(caller, "CHANNEL_PARK")
    assert parked.get("variable_ringmaster_line") == "+4930100001"
    hung = events.event_of(caller, "CHANNEL_HANGUP")
    assert hung.get("Hangup-Cause") == "NORMAL_TEMPORARY_FAILURE"
    seconds = (int(hung.first["Event-Date-Timestamp"]) - int(parked.first["Event-Date-Timestamp"])) / 1e6
    assert 4 < seconds < 10
    events.event_of(caller, "CHANNEL_DESTROY")


def test_an_unknown_user_is_absent_and_an_unregistered_one_not_registered(
    bench: Bench, commands: EventSocket, events: EventSocket
) -> None:
    job = commands.bgapi("originate user/nobody@127.0.0.1 &park()")
    assert events.result_of(job) == "-ERR SUBSCRIBER_ABSENT\n"
    bad = commands.bgapi("originate sofia/internal &park()")
    assert events.result_of(bad) == "-ERR INVALID_URL\n"
    if not bench.is_real:
        job = commands.bgapi("originate user/away@127.0.0.1 &park()")
        assert events.result_of(job) == "-ERR USER_NOT_REGISTERED\n"


def test_the_loser_of_two_bridges_at_once_stays_in_reset(simulated: SimulatedSwitch) -> None:
    events = EventSocket(simulated.host, simulated.port, simulated.password)
    events.command("event plain CHANNEL_PARK CHANNEL_BRIDGE")
    commands = EventSocket(simulated.host, simulated.port, simulated.password)
    caller = parked_caller(simulated, events)
    first, second = (answered(simulated, commands, events) for _ in range(2))
    commands.send(f"api uuid_bridge {caller} {first}\n\napi uuid_bridge {caller} {second}\n\n")
    assert [commands.reply().body for _ in range(2)] == [f"+OK {first}\n".encode(), f"+OK {second}\n".encode()]
    events.event_of(caller, "CHANNEL_BRIDGE")
    commands.let_pass(2)
    rows = {row["uuid"]: row["state"] for row in json.loads(commands.api("show channels as json"))["rows"]}
    assert rows[first] == "CS_RESET"
    assert rows[second] == "CS_EXCHANGE_MEDIA"
    for connection in (events, commands):
        connection.close()


def test_a_name_can_hold_line_breaks_and_bytes_that_are_not_utf8(simulated: SimulatedSwitch) -> None:
    plain = EventSocket(simulated.host, simulated.port, simulated.password)
    as_json = EventSocket(simulated.host, simulated.port, simulated.password)
    plain.command("event plain CHANNEL_CREATE")
    as_json.command("event json CHANNEL_CREATE")
    forged = simulated.call("1200", name="x\nEvent-Name: CHANNEL_HANGUP\nUnique-ID: victim")
    latin = simulated.call("1200", name="M\udcfcller")
    assert plain.event_of(forged, "CHANNEL_CREATE").get("Caller-Caller-ID-Name") == (
        "x\nEvent-Name: CHANNEL_HANGUP\nUnique-ID: victim"
    )
    assert plain.event_of(latin, "CHANNEL_CREATE").get("Caller-Caller-ID-Name") == "M\udcfcller"
    assert as_json.event_of(latin, "CHANNEL_CREATE").get("Caller-Caller-ID-Name") == "M\ufffdller"
    plain.close()
    as_json.close()


@pytest.mark.parametrize(("said", "stays"), [("", True), (",set:park_after_bridge=false", False)])
def test_a_leg_that_bridges_by_itself_is_parked_after_it_by_what_was_said_for_an_earlier_bridge(
    bench: Bench, commands: EventSocket, events: EventSocket, said: str, *, stays: bool
) -> None:
    """Why the fallback takes it back: nobody would ever come to who is parked there."""
    caller = parked_caller(bench, events)
    commands.api(f"uuid_setvar {caller} park_after_bridge true")
    steps = f"set:hangup_after_bridge=true{said},bridge:{bench.dial('answer')},hangup:NORMAL_CLEARING"
    commands.api(f"uuid_transfer {caller} '{steps}' inline")
    other = events.wait_for(
        lambda event: event.name == "CHANNEL_BRIDGE" and event.get("Unique-ID") == caller, "the bridge"
    ).first["Other-Leg-Unique-ID"]
    events.events.clear()
    bench.hang_up(other)
    events.event_of(caller, "CHANNEL_PARK" if stays else "CHANNEL_DESTROY")
    assert commands.api(f"uuid_exists {caller}") == str(stays).lower()
    if stays:
        ends(commands, events, caller)


@pytest.mark.parametrize(("seconds", "longest"), [(2, 3.0), (8, 9.0)])
def test_how_long_a_call_waits_to_be_claimed_may_be_changed_while_the_switch_runs(
    bench: Bench, commands: EventSocket, events: EventSocket, seconds: int, longest: float
) -> None:
    """What a listener that is restarted relies on (docs/adr/0058). The switch's schedule counts in whole seconds."""
    usual = commands.api("global_getvar usual_fallback_seconds")
    assert commands.api("global_getvar fallback_seconds") == usual
    commands.api(f"global_setvar fallback_seconds={seconds}")
    try:
        caller = bench.call("4930100001")
        parked = events.event_of(caller, "CHANNEL_PARK").first["Event-Date-Timestamp"]
        taken = events.event_of(caller, "CHANNEL_EXECUTE", Application="answer").first["Event-Date-Timestamp"]
        assert seconds - 1.1 <= (int(taken) - int(parked)) / 1_000_000 <= longest
        ends(commands, events, caller)
    finally:
        commands.api(f"global_setvar fallback_seconds={usual}")


def test_a_global_variable_may_be_set_by_the_schedule(commands: EventSocket) -> None:
    commands.api("global_setvar patience=15")
    assert commands.api("sched_api +1 tests_patience global_setvar patience=5").startswith("+OK")
    assert commands.api("global_getvar patience") == "15"
    commands.let_pass(3)
    assert commands.api("global_getvar patience") == "5"
    assert commands.api("sched_del tests_patience") == "+OK Deleted: 0\n"


def test_recordings_go_where_their_path_says(bench: Bench, commands: EventSocket, events: EventSocket) -> None:
    caller = parked_caller(bench, events)
    path = bench.recordings / "sub" / "dir" / "x.wav"
    assert commands.api(f"uuid_record {caller} start {path}") == "+OK Success\n"
    commands.let_pass(1)
    assert commands.api(f"uuid_record {caller} stop all") == "+OK Success\n"
    events.event_of(caller, "RECORD_STOP")
    assert Path(path).exists()
    ends(commands, events, caller)
