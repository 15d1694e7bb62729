"""Events carry the headers that a real FreeSWITCH's events carry, in its order, in both formats."""

import json
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest

from tests.switch.conftest import Bench
from tests.switch.from_captures import WITH_HEADERS
from tests.switch.oracle import Event, EventSocket

FIXTURES = Path(__file__).parent.parent / "fixtures" / "switch"
# What the phone or the dialplan of the captures brought along, not the switch.
BROUGHT_ALONG = {
    "variable_sip_h_X-Tenant",
    "variable_sip_h_X-Trace",
    "variable_tenant_id",
    "variable_note",
    "variable_sip_P-Asserted-Identity",
    "variable_sip_cid_type",
    "variable_sip_h_X-Work-Item",
    "variable_work_item",
    "variable_pin",
    "variable_crm_note",
    "variable_a",
    "variable_b",
    "variable_origination_caller_id_name",
    "variable_origination_caller_id_number",
    "variable_hangup_after_bridge",
}


@pytest.fixture(scope="module")
def talk(bench: Bench) -> tuple[list[Event], list[Event]]:
    """One talk, listened to in plain and in json format."""
    plain, as_json = (EventSocket(bench.host, bench.port, bench.password) for _ in range(2))
    plain.command("event plain ALL")
    as_json.command("event json ALL")
    commands = EventSocket(bench.host, bench.port, bench.password)
    caller = bench.call("1200", name="Jürgen Größe", caller="+4915112345678")
    plain.event_of(caller, "CHANNEL_PARK")
    agent = str(uuid4())
    commands.bgapi(f"originate {{origination_uuid={agent},ignore_early_media=true}}{bench.dial('answer')} &park()")
    plain.event_of(agent, "CHANNEL_PARK")
    commands.api(f"uuid_bridge {caller} {agent}")
    plain.event_of(agent, "CHANNEL_STATE", Channel_State="CS_EXCHANGE_MEDIA")
    for leg in (agent, caller):
        plain.event_of(leg, "CALL_UPDATE", Direction="SEND")
    bench.hang_up(caller)
    for connection in (plain, as_json):
        for leg in (caller, agent):
            connection.event_of(leg, "CHANNEL_STATE", Channel_State="CS_DESTROY")
    for connection in (plain, as_json, commands):
        connection.close()
    legs = {caller, agent}
    return tuple([e for e in c.events if e.get("Unique-ID") in legs] for c in (plain, as_json))  # type: ignore[return-value] # two of them


@pytest.mark.parametrize("key", sorted(WITH_HEADERS))
def test_an_event_has_every_header_of_the_captures_in_their_order(
    talk: tuple[list[Event], list[Event]], key: str
) -> None:
    name, direction = key.split()
    always = json.loads((FIXTURES / "header_names.json").read_text())[key].split()
    wanted = [header for header in always if header not in BROUGHT_ALONG]
    events = [event for event in talk[0] if event.name == name and event.get("Call-Direction") == direction]
    assert events
    for event in events:
        missing = [header for header in wanted if event.get(header) is None]
        assert not missing
        headers = [header for header in event.first if header in wanted and not header.startswith("variable_")]
        assert headers == [header for header in wanted if not header.startswith("variable_")]


def test_plain_and_json_say_the_same(talk: tuple[list[Event], list[Event]]) -> None:
    plain, as_json = ({event.first["Event-Sequence"]: event for event in events} for events in talk)
    common = plain.keys() & as_json.keys()
    assert len(common) > 30
    for sequence in common:
        assert [name for name, _ in plain[sequence].pairs] == [name for name, _ in as_json[sequence].pairs]
        assert plain[sequence].get("Caller-Caller-ID-Name") == as_json[sequence].get("Caller-Caller-ID-Name")


def test_events_are_as_big_as_real_ones(talk: tuple[list[Event], list[Event]]) -> None:
    sizes = [event.raw_size for event in talk[0] if event.name not in {"CHANNEL_STATE", "CHANNEL_CALLSTATE", "CODEC"}]
    assert 5_000 < sum(sizes) / len(sizes) < 9_000


def test_within_one_leg_the_sequence_never_goes_back(talk: tuple[list[Event], list[Event]]) -> None:
    for leg in {event.first["Unique-ID"] for event in talk[0]}:
        numbers = [int(event.first["Event-Sequence"]) for event in talk[0] if event.first["Unique-ID"] == leg]
        assert numbers == sorted(numbers)


def test_time_stamps_move_in_steps_of_20_ms(talk: tuple[list[Event], list[Event]]) -> None:
    stamps = sorted({int(event.first["Event-Date-Timestamp"]) for event in talk[0]})
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    assert steps
    assert min(steps) > 15_000


def test_who_hung_up_is_told_by_the_disposition(talk: tuple[list[Event], list[Event]]) -> None:
    ends = [event for event in talk[0] if event.name == "CHANNEL_HANGUP_COMPLETE"]
    told = {event.first["Call-Direction"]: event.first["variable_sip_hangup_disposition"] for event in ends}
    assert told == {"inbound": "recv_bye", "outbound": "send_bye"}


def test_the_answer_event_still_says_ringing(talk: tuple[list[Event], list[Event]]) -> None:
    answers = [event for event in talk[0] if event.name == "CHANNEL_ANSWER"]
    assert {event.first["Channel-Call-State"] for event in answers} == {"RINGING"}
    assert {event.first["Answer-State"] for event in answers} == {"answered"}


def test_the_called_legs_call_uuid_is_the_callers_during_the_bridge(talk: tuple[list[Event], list[Event]]) -> None:
    bridge = next(event for event in talk[0] if event.name == "CHANNEL_BRIDGE")
    a, b = bridge.first["Bridge-A-Unique-ID"], bridge.first["Bridge-B-Unique-ID"]
    assert bridge.get("Unique-ID") == a
    during = next(e for e in talk[0] if e.get("Unique-ID") == b and e.get("Channel-State") == "CS_EXCHANGE_MEDIA")
    assert during.get("Channel-Call-UUID") == a
    assert next(event for event in talk[0] if event.get("Unique-ID") == b).get("Channel-Call-UUID") == b
