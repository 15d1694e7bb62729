"""What a caller sends (SPEC 10.4), from FreeSWITCH's wire to FreeSWITCH's wire: it is in its own fields, nowhere else.

One call is played twice, once by somebody who writes nothing and once by somebody who writes what Hypothesis likes.
What may differ is the fields that hold his words; all else is the same, fact for fact and command for command.
"""

import json
from dataclasses import dataclass, replace
from urllib.parse import quote

import pytest
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.contracts.ringmaster.v1.event_pb2 import Event as PublicEvent
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import LegParked
from services.shared.esl.decoder import Decoder, Event
from tests.unit.esl import freeswitch_rules as rules
from tests.unit.listener.conftest import World
from tests.unit.listener.test_switch_plan import planner
from tests.unit.router import world as hall

LONGEST = 128
TEXTS = st.text(st.sampled_from("aЖ1 \n\r\t\x00:_{}$'\"\\,;=&()[]<>%|^~"), max_size=40) | st.text(max_size=200)
ODD = (
    "x\nEvent-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: victim",
    "${system(x)}",
    "}sofia/gateway/default/+1900{",
    "a:_:_:b",
    'x","Unique-ID":"victim',
)


@dataclass(frozen=True, slots=True)
class Words:
    """All that a caller may write."""

    number: str = "+380501112233"
    name: str = "Client"
    call_id: str = "id@phone"
    header: str = "x"
    digit: str = "1"


CALLERS = st.builds(Words, *[TEXTS] * 5)


def headers(words: Words, name: str, number: int, **more: str) -> dict[str, str]:
    """Return an event's headers in FreeSWITCH's order; the caller's own stand before and after those that matter."""
    return {
        "Event-Name": name,
        "Caller-Caller-ID-Name": words.name,
        "Caller-Caller-ID-Number": words.number,
        "variable_sip_h_X-First": words.header,
        "Unique-ID": "leg-1",
        "Event-Sequence": str(number),
        "Event-Date-Timestamp": str(1_795_435_200_000_000 + number),
        "Call-Direction": "inbound",
        "Caller-Destination-Number": "1000",
        "Caller-Network-Addr": "198.51.100.7",
        "variable_sip_call_id": words.call_id,
        **more,
        "variable_sip_h_X-Last": words.header,
    }


def on_the_wire(form: str, each: dict[str, str]) -> bytes:
    """Write an event as switch_event_serialize does, or as its JSON twin."""
    if form == "json":
        body = json.dumps(each).encode()
    else:
        lines = (f"{name}: {quote(value, safe='') or '_undef_'}\n" for name, value in each.items())
        body = "".join(lines).encode() + b"\n"
    return b"Content-Length: %d\nContent-Type: text/event-%b\n\n%b" % (len(body), form.encode(), body)


def told_of(words: Words, form: str) -> list[Input]:
    """Play the call on the wire, and return what the listener tells."""
    stream = b"".join(
        on_the_wire(form, headers(words, name, number, **more))
        for number, (name, more) in enumerate(
            [
                ("CHANNEL_CREATE", {}),
                ("CHANNEL_PARK", {}),
                ("CHANNEL_ANSWER", {}),
                ("DTMF", {"DTMF-Digit": words.digit}),
                ("CHANNEL_HANGUP_COMPLETE", {"Hangup-Cause": "NORMAL_CLEARING"}),
            ],
            1,
        )
    )
    return World().feed(frame for frame in Decoder().feed(stream) if isinstance(frame, Event))


def without_words(told: list[Input]) -> list[Input]:
    """Return the same facts without the caller's own fields, and without a digit."""
    bare = [Input.FromString(each.SerializeToString()) for each in told if not each.fact.HasField("digit_pressed")]
    for each in bare:
        each.fact.leg_sequence = 0  # a digit is a fact too
        if each.fact.HasField("leg_created"):
            created = each.fact.leg_created
            created.caller_number = created.caller_name = created.sip_call_id = ""
        if each.fact.HasField("leg_hung_up"):
            each.fact.leg_hung_up.caller_number = each.fact.leg_hung_up.sip_call_id = ""
    return bare


@pytest.mark.parametrize("form", ["plain", "json"])
@given(words=CALLERS)
@example(words=Words(*ODD))
def test_facts_hold_a_callers_words_in_their_own_fields_alone(form: str, words: Words) -> None:
    told = told_of(words, form)
    assert without_words(told) == without_words(told_of(Words(), form))
    created = told[0].fact.leg_created
    undefined = "" if form == "plain" else None
    for said, kept in ((words.name, created.caller_name), (words.number, created.caller_number)):
        assert kept in (said.encode("utf-8", "replace").decode()[:LONGEST], undefined)
    digits = [each.fact.digit_pressed.digit for each in told if each.fact.HasField("digit_pressed")]
    assert digits == ([words.digit] if words.digit in (*"0123456789*#ABCD",) else [])


def test_a_name_as_long_as_a_packet_is_cut() -> None:
    for each in told_of(replace(Words(), name="x" * 60_000, number="1" * 60_000, call_id="y" * 60_000), "plain"):
        assert each.ByteSize() < 1_000


def rung_for(words: Words) -> tuple[list[Message], pb.Command]:
    """Let the caller come to an agent who is ready: return all that the core says, and the command that rings her."""
    log = hall.Log(hall.document())
    log.ready("olena")
    created = told_of(words, "plain")[0].fact.leg_created
    created.line = hall.LINE
    log.fact("leg-1", leg_created=created)
    log.fact("leg-1", leg_parked=LegParked(line=hall.LINE))
    log.press("leg-1", "1")
    [rings] = log.commands("originate_leg")
    return [one for out in log.outputs for one in (*out.commands, *out.events)], rings


def silent(said: Message) -> Message:
    """Return a command or an event without the fields that hold the caller's name."""
    bare = type(said).FromString(said.SerializeToString())
    if isinstance(bare, pb.Command):
        bare.originate_leg.ClearField("caller_name")
    elif isinstance(bare, PublicEvent):
        body = getattr(bare, bare.WhichOneof("body") or "")
        if "caller" in body.DESCRIPTOR.fields_by_name and body.HasField("caller"):
            body.caller.ClearField("name")
    return bare


@settings(max_examples=50)
@given(name=TEXTS)
def test_a_callers_name_decides_nothing(name: str) -> None:
    said, _ = rung_for(replace(Words(), name=name))
    usual, _ = rung_for(Words())
    assert [silent(one) for one in said] == [silent(one) for one in usual]


@settings(max_examples=50)
@given(name=TEXTS, number=TEXTS)
@example(name=ODD[3], number=ODD[1])
@example(name=ODD[2], number=ODD[0])
@example(name=":", number="_:")
def test_whatever_a_caller_is_called_the_agents_phone_rings_and_nothing_else(name: str, number: str) -> None:
    _, command = rung_for(replace(Words(), name=name, number=number))
    _, usual = rung_for(Words())
    line, _ = rules.headers_of(planner().originate(command))
    plain, _ = rules.headers_of(planner().originate(usual))
    variables, *rest = rules.originate(line)
    expected, *same = rules.originate(plain)
    assert rest == same
    shown = {"origination_caller_id_name", "origination_caller_id_number"}
    assert {key: value for key, value in variables.items() if key not in shown} == {
        key: value for key, value in expected.items() if key not in shown
    }
    assert variables.keys() <= expected.keys()
    assert all(value.isprintable() for value in variables.values())
