"""SIPp's callers and agents: their files, their voices, and what their logs tell."""

import math
import os
import signal
import struct
from pathlib import Path

import numpy as np
import pytest
from gevent import socket
from hypothesis import given
from hypothesis import strategies as st

from local.phones.diary import read_calls, read_ringings, truth
from local.phones.people import caller_rows, phone_rows
from local.phones.sipp import Sipp
from local.phones.telephone_events import KEYS, capture
from local.phones.translator import Translator
from local.phones.voices import alaw
from local.stack.balance import balance
from local.stack.expected import Due
from local.switch.scenario import parse_scenario
from services.console.domain.phone_password import phone_password
from services.shared.testing.waiting import wait_until

SCENARIO = parse_scenario(
    {
        "pool": {"hostile": 1},
        "lines": [{"number": "+380441000001", "calls_per_hour": 10, "digits": [{"1": 1, "#": 1}, "2"]}],
    }
)
CALLER_LOG = [
    "calls a@host 2026-01-01\t10:00:00.000000\t1000.0 +38050 +38044",
    "answered a@host 2026-01-01\t10:00:01.000000\t1001.0",
    "calls b@host 2026-01-01\t10:00:02.000000\t1002.0 +38051 +38044",
    "gone a@host 2026-01-01\t10:00:30.000000\t1030.0 platform",
    "gone a@host 2026-01-0",
]
AGENT_LOG = [
    "rings x@switch 2026-01-01\t10:00:05.000000\t1005.0 +38050 olena",
    "rings y@switch 2026-01-01\t10:00:05.000000\t1005.0 +38050 taras",
    "answered x@switch 2026-01-01\t10:00:08.000000\t1008.0",
    "gone y@switch 2026-01-01\t10:00:08.000000\t1008.5 platform",
]


def test_no_name_adds_a_field_a_line_or_a_keyword_to_the_callers_file() -> None:
    rows = list(caller_rows(SCENARIO, 1, by_events=True))
    assert rows[0] == "SEQUENTIAL"
    for row in rows[1:]:
        assert len(row.split(";")) == 8
        assert not set(row) & set('\n\r[]"')


def test_keys_that_no_capture_has_go_by_info() -> None:
    rows = [row.split(";") for row in caller_rows(SCENARIO, 1, by_events=True)][1:]
    assert {row[6] for row in rows if row[3] == "#"} == {"info"}
    assert {row[6] for row in rows if row[3] == "1"} == {"events", "info"}
    assert {row[5] for row in rows if row[6] == "events"} == {" 101"}
    assert not [row for row in caller_rows(SCENARIO, 1, by_events=False) if "events" in row]


def test_each_caller_has_a_number_of_its_own() -> None:
    numbers = [row.split(";")[1] for row in list(caller_rows(SCENARIO, 1, by_events=True))[1:]]
    assert len(set(numbers)) == len(numbers)


def test_a_phone_proves_itself_with_the_password_of_the_directory() -> None:
    tenants = [{"domain": "acme.example", "agents": [{"phone": "olena"}, {"phone": "taras"}]}]
    rows = phone_rows(tenants, "secret")
    password = phone_password("secret", "olena", "acme.example")
    assert rows[1] == f"olena;acme.example;[authentication username=olena password={password}]"
    assert len(rows) == 3


def test_phones_are_seen_at_one_address_and_both_ways_go_through_it() -> None:
    switch, phones = udp(), udp()
    translator = Translator("127.0.0.1", free := _free_port(), switch.getsockname(), phones.getsockname())
    translator.start()
    registering = udp()
    registering.sendto(b"REGISTER", translator.inside)
    assert switch.recvfrom(100) == (b"REGISTER", ("127.0.0.1", free))
    switch.sendto(b"INVITE", ("127.0.0.1", free))
    request, door = phones.recvfrom(100)
    phones.sendto(b"200 OK", door)
    assert (request, door) == (b"INVITE", translator.inside)
    assert switch.recvfrom(100) == (b"200 OK", ("127.0.0.1", free))
    translator.stop()
    for link in (switch, phones, registering):
        link.close()


def udp() -> socket.socket:
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(("127.0.0.1", 0))
    link.settimeout(60)
    return link


def _free_port() -> int:
    with udp() as link:
        return int(link.getsockname()[1])


def test_a_talk_is_a_phone_that_answered_while_its_caller_was_there() -> None:
    seen = truth(read_calls(CALLER_LOG).values(), read_ringings(AGENT_LOG).values())
    first, second = seen["calls"]
    assert [talk["agent"] for talk in first["talks"]] == ["olena"]
    assert (first["arrived"], first["answered"], first["hungup"]) == (1000.0, 1001.0, 1030.0)
    assert second["talks"] == []
    assert second["hungup"] is None
    assert [offer["ended"] for offer in seen["offers"]] == [None, 1008.5]


def test_a_phone_that_answers_after_its_caller_is_gone_does_not_talk() -> None:
    late = [line.replace("1008.0", "1031.0") for line in AGENT_LOG]
    seen = truth(read_calls(CALLER_LOG).values(), read_ringings(late).values())
    assert seen["calls"][0]["talks"] == []


# The platform calls +38050 back when he is gone, from +38044; olena is rung for it, and shown his number.
CALLBACK_LOG = [
    "gone x@switch 2026-01-01\t10:00:30.000000\t1030.0 platform",
    "rings z@switch 2026-01-01\t10:02:00.000000\t1120.0 +38044 +38050",
    "answered z@switch 2026-01-01\t10:02:04.000000\t1124.0",
    "rings w@switch 2026-01-01\t10:02:05.000000\t1125.0 +38050 olena",
    "answered w@switch 2026-01-01\t10:02:08.000000\t1128.0",
    "gone w@switch 2026-01-01\t10:02:20.000000\t1140.0 agent",
    "gone z@switch 2026-01-01\t10:02:20.000000\t1140.1 platform",
]


def test_somebody_outside_who_is_rung_with_no_caller_there_was_dialled_by_the_platform() -> None:
    seen = truth(read_calls(CALLER_LOG).values(), read_ringings(AGENT_LOG + CALLBACK_LOG).values())
    [dial] = seen["dials"]
    assert (dial["number"], dial["dialled"], dial["answered"], dial["ended"]) == ("+38050", 1120.0, 1124.0, 1140.1)
    assert dial["talked_with"] == ["olena"]
    assert [offer["agent"] for offer in seen["offers"]] == ["olena", "taras", "olena"]
    assert len(seen["calls"][0]["talks"]) == 1


def test_a_customer_who_is_gone_before_an_agent_answers_has_talked_with_nobody() -> None:
    short = [line.replace("1140.1", "1127.0") for line in CALLBACK_LOG]
    [dial] = truth([], read_ringings(short).values())["dials"]
    assert dial["talked_with"] == []


def test_a_caller_who_is_forwarded_talks_with_no_agent_and_dials_nobody() -> None:
    forwarded = [
        "rings z@switch 2026-01-01\t10:00:05.000000\t1005.0 +38050 +38067",
        "answered z@switch 2026-01-01\t10:00:09.000000\t1009.0",
    ]
    seen = truth(read_calls(CALLER_LOG).values(), read_ringings(forwarded).values())
    assert (seen["dials"], seen["offers"]) == ([], [])
    assert [talk["agent"] for talk in seen["calls"][0]["talks"]] == [""]


def test_the_phones_account_has_everything_that_the_books_are_balanced_with() -> None:
    seen = truth(read_calls(CALLER_LOG).values(), read_ringings(AGENT_LOG + CALLBACK_LOG).values())
    outbound = {"dialled": 1, "answered": 1, "not_ended": 0}
    summary = {"by_exit": {"answered": 1}, "called_back": outbound, "calls_in": 1, "answered": 1, "calls_ended": 1}
    rows = balance(seen, summary | {"recordings_stored": 2}, {"distinct": 0, "invalid": 0}, 2, Due(0, 0, 0))
    found = {row.what: (row.expected, row.found) for row in rows}
    assert found["customers called back"] == (1, 1)
    assert found["recordings stored = calls answered"] == (2, 2)


def _linear(code: int) -> int:
    """Decode A-law by the table of ITU-T G.711: the middle of the interval that a code stands for."""
    code ^= 0x55
    segment, place = (code >> 4) & 7, code & 15
    loudness = (2 * place + 1) * 8 if segment == 0 else (2 * place + 33) * (8 << (segment - 1))
    return loudness if code & 0x80 else -loudness


@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=50))
def test_a_law_keeps_each_sample_to_the_width_of_its_interval(samples: list[int]) -> None:
    for sample, code in zip(samples, alaw(np.array(samples, dtype=np.int16)), strict=True):
        width = 16 if abs(sample) < 256 else 2 ** (math.floor(math.log2(abs(sample))) - 4)
        assert abs(_linear(code) - max(-32_635, min(32_635, sample))) <= width


def test_a_key_press_grows_by_20_ms_and_ends_three_times() -> None:
    for key in KEYS:
        packets = _packets(capture(int(key), 1))
        assert {packet[12] for packet in packets} == {int(key)}
        assert [struct.unpack("!H", packet[14:16])[0] for packet in packets] == [160, 320, 480, 640, 800, 960, 960, 960]
        assert [bool(packet[13] & 0x80) for packet in packets] == [False] * 5 + [True] * 3
        assert [bool(packet[1] & 0x80) for packet in packets] == [True] + [False] * 7
        assert {packet[1] & 0x7F for packet in packets} == {101}
        assert len({packet[4:8] for packet in packets}) == 1


def test_two_key_presses_of_a_call_differ_in_their_timestamp() -> None:
    first, second = (_packets(capture(1, place))[0][4:8] for place in (1, 2))
    assert first != second


def _packets(file: bytes) -> list[bytes]:
    """Return the RTP packets of a capture."""
    found, at = [], 24
    while at < len(file):
        length = struct.unpack("<I", file[at + 8 : at + 12])[0]
        found.append(file[at + 16 + 42 : at + 16 + length])
        at += 16 + length
    return found


def test_the_scenarios_name_files_that_are_written() -> None:
    text = (Path(__file__).parents[3] / "local" / "phones" / "caller.xml").read_text()
    for place in (1, 2):
        for key in KEYS:
            assert f'"events-{place}-{key}.pcap"' in text


def test_callers_are_asked_to_finish_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sipp"
    program.write_text(
        "#!/bin/sh\ntrap 'echo asked >>asked' USR1\ntrap 'touch looked' USR2\ntouch ready\n"
        "while :; do sleep 0.01; done\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    callers = Sipp("callers", "caller.xml", tmp_path, [])
    callers.start()
    try:
        wait_until((tmp_path / "ready").exists, "the callers ring")
        callers.finish()
        wait_until((tmp_path / "asked").exists, "the callers were asked")
        callers.finish()
        assert callers.process is not None
        callers.process.send_signal(signal.SIGUSR2)
        # The shell looks at what it was sent in the order of the numbers, SIGUSR1 first.
        wait_until((tmp_path / "looked").exists, "the callers looked at every signal")
    finally:
        callers.stop()
    assert (tmp_path / "asked").read_text() == "asked\n"
