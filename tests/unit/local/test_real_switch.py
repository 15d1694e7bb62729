"""Which FreeSWITCH a stack is asked to use, and what is said when it can't."""

from pathlib import Path

import pytest

from local.broker import fallback, kafka
from local.stack.layout import Layout
from local.stack.part import PartFailed
from local.stack.real_switch import asked_for

LAYOUT = Layout(Path("unused"), 18100)


def test_the_simulated_switch_is_the_usual_one() -> None:
    assert asked_for(LAYOUT, {}) is None
    assert asked_for(LAYOUT, {"SWITCH": "simulated"}) is None


def test_an_unknown_switch_is_refused_by_name() -> None:
    with pytest.raises(PartFailed, match="SWITCH=asterisk is unknown"):
        asked_for(LAYOUT, {"SWITCH": "asterisk"})


def test_a_missing_freeswitch_is_one_sentence_that_says_what_to_do() -> None:
    with pytest.raises(PartFailed, match=r"install FreeSWITCH 1\.10 .* FREESWITCH_BIN="):
        asked_for(LAYOUT, {"SWITCH": "real", "FREESWITCH_BIN": "/nowhere/freeswitch"})


def test_an_installed_freeswitch_gets_the_stacks_own_ports(tmp_path: Path) -> None:
    program = tmp_path / "freeswitch"
    program.touch(mode=0o755)
    switch = asked_for(LAYOUT, {"SWITCH": "real", "FREESWITCH_BIN": str(program)})
    assert switch is not None
    assert (switch.program, switch.host) == (str(program), "127.0.0.1")
    assert switch.event_socket_port == LAYOUT.port("event_socket")
    assert (switch.carrier_port, switch.phone_port) == (LAYOUT.port("carriers"), LAYOUT.port("telephones"))


def test_a_freeswitch_elsewhere_is_only_connected_with() -> None:
    environment = {"FREESWITCH_HOST": "10.0.0.7:8999", "FREESWITCH_PASSWORD": "p", "FREESWITCH_RECORDINGS": "/mnt/r"}
    switch = asked_for(LAYOUT, environment)
    assert switch is not None
    assert switch.program is None
    assert (switch.host, switch.event_socket_port, switch.password) == ("10.0.0.7", 8999, "p")
    assert (switch.carrier_port, switch.phone_port, switch.recordings) == (5080, 5060, "/mnt/r")


def test_a_port_that_is_none_is_said() -> None:
    with pytest.raises(PartFailed, match="a port is not a number"):
        asked_for(LAYOUT, {"FREESWITCH_HOST": "10.0.0.7:esl"})


def test_a_cluster_that_is_there_takes_the_brokers_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LAYOUT.address("kafka") == "127.0.0.1:18100"
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")
    assert LAYOUT.address("kafka") == "kafka.example:9092"
    assert LAYOUT.address("stats").startswith("127.0.0.1:")


def test_the_fallback_is_no_kafka_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RINGMASTER_BROKER", "fallback")
    with pytest.raises(kafka.BrokerMissing, match="RINGMASTER_BROKER=fallback"):
        kafka.ensure_jars()
    command = fallback.prepare(tmp_path / "broker", 9092)
    assert command[1:2] == ["start"]
    assert command[-2:] == ["--kafka-port", "9092"]
    assert Path(command[0]).is_file()


def test_without_java_kafka_is_missing_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RINGMASTER_BROKER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(kafka.BrokerMissing, match="java is missing"):
        kafka.ensure_jars()
