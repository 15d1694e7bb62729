"""Faults that only the simulated switch can play on demand: restart, freeze, slow readers, shutdown."""

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared.testing.waiting import wait_until
from tests.switch.conftest import ROOT, SimulatedSwitch
from tests.switch.oracle import EventSocket, SwitchTimeoutError

pytestmark = pytest.mark.stack


def connect(switch: SimulatedSwitch) -> EventSocket:
    return EventSocket(switch.host, switch.port, switch.password)


def connect_again(switch: SimulatedSwitch) -> EventSocket | None:
    try:
        return connect(switch)
    except OSError:
        return None


def test_a_restart_is_a_new_boot_without_a_word_about_the_lost_calls(simulated: SimulatedSwitch) -> None:
    events = connect(simulated)
    events.command("event plain ALL")
    core = events.api("global_getvar core_uuid")
    caller = simulated.call("1200")
    events.event_of(caller, "CHANNEL_PARK")
    path = simulated.recordings / "lost.wav"
    events.api(f"uuid_record {caller} start {path}")
    wait_until(lambda: path.stat().st_size > 44, "growth of the recording")
    simulated.control("/faults", {"fault": "restart", "down_seconds": 0.2})
    with pytest.raises(OSError, match=r"closed|reset"):
        events.read_to_the_end()
    assert not [event for event in events.of_leg(caller) if event["Event-Name"].startswith("CHANNEL_HANGUP")]
    again = wait_until(lambda: connect_again(simulated), "a new connection")
    assert again.api("global_getvar core_uuid") != core
    assert again.api(f"uuid_exists {caller}") == "false"
    assert again.api("show channels as json") == '{"row_count": 0}\n'
    data = path.read_bytes()
    assert struct.unpack("<I", data[40:44])[0] == 0
    call = next(call for call in simulated.control("/truth")["calls"] if call["uuid"] == caller)
    assert call["outcome"] == "lost"
    again.close()
    events.close()


def test_phones_register_again_after_a_restart(simulated: SimulatedSwitch) -> None:
    wait_until(lambda: simulated.control("/status")["registered"] == 1, "registration")
    simulated.control("/faults", {"fault": "restart", "down_seconds": 0.1})
    assert simulated.control("/status")["registered"] == 0
    again = wait_until(lambda: connect_again(simulated), "a new connection")
    wait_until(lambda: simulated.control("/status")["registered"] == 1, "registration after the restart")
    rows = json.loads(again.api("show registrations as json"))["rows"]
    assert [(row["reg_user"], row["realm"]) for row in rows] == [("desk", "127.0.0.1")]
    again.close()


def test_shutdown_now_by_command_is_a_restart_here(simulated: SimulatedSwitch) -> None:
    connection = connect(simulated)
    connection.send("api fsctl shutdown now\n\n")
    with pytest.raises(OSError, match=r"closed|reset"):
        connection.read_to_the_end()
    again = wait_until(lambda: connect_again(simulated), "a new connection")
    again.close()
    connection.close()


def test_sigterm_is_a_clean_end(tmp_path: Path) -> None:
    switch = SimulatedSwitch(tmp_path)
    events = connect(switch)
    events.command("event plain ALL")
    caller = switch.call("1200")
    events.event_of(caller, "CHANNEL_PARK")
    path = tmp_path / "clean.wav"
    events.api(f"uuid_record {caller} start {path}")
    switch.terminate()
    events.wait_for(lambda event: event.name == "SHUTDOWN", "SHUTDOWN")
    assert events.event_of(caller, "CHANNEL_HANGUP").get("Hangup-Cause") == "SYSTEM_SHUTDOWN"
    events.event_of(caller, "RECORD_STOP")
    events.event_of(caller, "CHANNEL_DESTROY")
    frame = events.reply()
    assert frame.kind == "text/disconnect-notice"
    assert frame.body == b"The system is being shut down.\n"
    assert switch.stop() == 0
    events.close()


def test_a_slow_reader_freezes_every_connection_until_it_goes(simulated: SimulatedSwitch) -> None:
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((simulated.host, simulated.port))
    slow.sendall(f"auth {simulated.password}\n\nevent plain ALL\n\n".encode())
    other = connect(simulated)

    def is_frozen() -> bool:
        other.send("api uptime s\n\n" * 200)
        try:
            for _ in range(200):
                other.reply(patience=1.0)
        except SwitchTimeoutError:
            return True
        return False

    wait_until(is_frozen, "the freeze", 60.0)
    slow.close()
    assert other.reply(patience=10.0).kind == "api/response"
    other.close()


def test_a_frozen_switch_says_nothing_and_goes_on_afterwards(simulated: SimulatedSwitch) -> None:
    connection = connect(simulated)
    simulated.control("/faults", {"fault": "freeze", "seconds": 1.0})
    connection.send("api uptime s\n\n")
    with pytest.raises(SwitchTimeoutError):
        connection.reply(patience=0.5)
    assert connection.reply(patience=5.0).kind == "api/response"
    connection.close()


def test_dropped_connections_end_without_a_notice(simulated: SimulatedSwitch) -> None:
    connection = connect(simulated)
    simulated.control("/faults", {"fault": "drop_connections"})
    with pytest.raises(OSError, match=r"closed|reset"):
        connection.read_to_the_end()
    connection.close()
    connect(simulated).close()


def test_a_swallowed_record_stop_never_comes_but_the_file_is_complete(simulated: SimulatedSwitch) -> None:
    simulated.control("/faults", {"fault": "swallow", "event": "RECORD_STOP"})
    events = connect(simulated)
    events.command("event plain ALL")
    caller = simulated.call("1200")
    events.event_of(caller, "CHANNEL_PARK")
    path = simulated.recordings / "swallowed.wav"
    events.api(f"uuid_record {caller} start {path}")
    wait_until(lambda: path.stat().st_size > 44, "growth of the recording")
    simulated.hang_up(caller)
    events.event_of(caller, "CHANNEL_DESTROY")
    names = [event["Event-Name"] for event in events.of_leg(caller)]
    assert "MEDIA_BUG_STOP" in names
    assert "RECORD_STOP" not in names
    assert path.exists()
    events.close()


def test_an_unknown_fault_is_refused_with_the_known_ones(simulated: SimulatedSwitch) -> None:
    status, body = simulated.try_control("/faults", {"fault": "earthquake"})
    assert status == 400
    assert "there is no fault 'earthquake'" in body["error"]


def test_an_agents_phone_can_be_changed_while_it_runs(simulated: SimulatedSwitch) -> None:
    connection = connect(simulated)
    connection.command("event plain ALL")
    simulated.control("/agents/desk", {"does": "busy"})
    assert connection.result_of(connection.bgapi("originate user/desk &park()")) == "-ERR USER_BUSY\n"
    simulated.control("/agents/desk", {"registered": False})
    gone = connection.wait_for(lambda event: event.get("Event-Subclass") == "sofia::unregister", "unregister")
    assert gone.get("from-user") == "desk"
    assert connection.result_of(connection.bgapi("originate user/desk &park()")) == "-ERR USER_NOT_REGISTERED\n"
    simulated.control("/agents/desk", {"registered": True})
    assert connection.result_of(connection.bgapi("originate user/desk &park()")).startswith("+OK ")
    connection.close()


def test_a_bad_scenario_is_one_sentence_and_a_failed_start(tmp_path: Path) -> None:
    scenario = tmp_path / "bad.yaml"
    scenario.write_text("lines:\n  - {number: 1, calls_per_hour: -3}\n")
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "local.switch", "--port", "0", "--http-port", "0", "--scenario", str(scenario)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == ("The scenario can't be played: scenario.lines[0].calls_per_hour: -3 is out of range")


def test_settings_are_read_from_the_environment(tmp_path: Path) -> None:
    scenario = tmp_path / "bad.yaml"
    scenario.write_text("nonsense: 1\n")
    environment = {**os.environ, "SWITCH_PORT": "0", "SWITCH_HTTP_PORT": "0", "SWITCH_SCENARIO": str(scenario)}
    done = subprocess.run(
        [sys.executable, "-m", "local.switch"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown nonsense" in done.stderr
