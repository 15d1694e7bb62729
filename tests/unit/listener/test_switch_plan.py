"""What goes on the wire for each action, as FreeSWITCH reads it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.listener.adapters.sip_route import SipRoute
from services.listener.adapters.switch_plan import Planner
from services.listener.domain.directory import Directory, TenantEntry, canonical_line
from services.listener.domain.prompts import PromptLibrary, answer_pattern
from services.listener.domain.recordings import UnsafeName, recording_of, recording_path
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.esl.errors import UnsafeValue
from services.shared.outbound.address import AddressGuard

THERE = {"/prompts/acme/uk/hello.wav", "/prompts/default/en/bye.wav", "/prompts/default/uk/bye.wav"}

NAMES = {
    "pbx.example": ["10.0.0.5", "8.8.4.4"],
    "six.example": ["2606:4700::1111"],
    "inner.example": ["127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254"],
    "127.0.0.1": ["127.0.0.1"],
}
"""What the name server says: an inner address among outer ones, IPv6, inner ones only."""


def planner() -> Planner:
    directory = Directory()
    directory.put(TenantEntry("acme", 1, (), "acme.example", "uk-UA"))
    library = PromptLibrary("/prompts", THERE.__contains__, "flite|kal")
    return Planner(library, directory, "/rec", "carrier", SipRoute(AddressGuard(), _resolve))


def _resolve(host: str, port: int) -> list[tuple[int, Any]]:
    if host not in NAMES:
        raise OSError(f"no such host: {host}")
    return [(0, (address, port)) for address in NAMES[host]]


def wire(leg_id: str = "leg", **action: Any) -> list[str]:
    command = pb.Command(command_id="c1", tenant_id="acme", call_id="call", leg_id=leg_id, **action)
    return [step.wire.decode().rstrip("\n") for step in planner().plan(command)]


GUARD = (
    "expand ${cond('${variable_bridge_to}${variable_ringmaster_leased}' == 'true'"
    " ? uuid_transfer ${Unique-ID} fallback XML ringmaster"
    " : uuid_setvar ${Unique-ID} ringmaster_leased false)}"
)


def test_a_lease_never_runs_out_early_and_replaces_the_former_one() -> None:
    assert wire(lease_leg=pb.LeaseLeg(seconds=10)) == [
        "api uuid_setvar_multi leg ringmaster_leased=true",
        "api sched_del leg",
        f"api sched_api +11 leg expand uuid:leg {GUARD}",
    ]
    assert wire(lease_leg=pb.LeaseLeg(seconds=0)) == [
        "api uuid_setvar_multi leg ringmaster_leased=false",
        "api sched_del leg",
    ]


def test_the_tenants_prompt_goes_before_the_shared_one() -> None:
    prompts = [
        pb.Prompt(name="hello"),
        pb.Prompt(name="bye"),
        pb.Prompt(name="bye", language="en"),
        pb.Prompt(name="hello", language="en"),  # there is none: the company's own language, rather than silence
        pb.Prompt(silence_ms=500),
    ]
    (play,) = wire(play_prompt=pb.PlayPrompt(prompts=prompts))
    assert (
        "file_string:///prompts/acme/uk/hello.wav!/prompts/default/uk/bye.wav!/prompts/default/en/bye.wav"
        "!/prompts/acme/uk/hello.wav!silence_stream://500" in play
    )
    assert "\nEvent-UUID: c1" in play


def test_a_question_flushes_what_was_typed_before() -> None:
    ask = pb.CollectDigits(prompts=[pb.Prompt(name="hello")], max_digits=1, tries=2, timeout_ms=3000, valid=["1", "*"])
    steps = wire(collect_digits=ask)
    assert steps[1] == "api uuid_flush_dtmf leg"
    assert (
        "1 1 2 3000 none '/prompts/acme/uk/hello.wav' 'silence_stream://1' ringmaster_digits ^(1|[*])$ 3000" in steps[2]
    )


def test_prompts_that_are_heard_out_are_played_before_the_question_and_what_was_typed_is_flushed_after_them() -> None:
    prompts = [pb.Prompt(name="hello")]
    ask = pb.CollectDigits(prompts=prompts, max_digits=1, tries=1, timeout_ms=3000, prompts_first=True)
    break_, terminators, playback, flush, question = wire(collect_digits=ask)
    assert break_ == "api uuid_break leg all"
    assert "playback_terminators=none" in terminators
    assert "playback\nexecute-app-arg: /prompts/acme/uk/hello.wav\nEvent-UUID: prompts.c1\nevent-lock: true" in playback
    assert "flush_dtmf\nevent-lock: true" in flush
    assert "1 1 1 3000 none 'silence_stream://1' 'silence_stream://1' ringmaster_digits" in question
    assert "Event-UUID: c1" in question


def test_an_answer_is_recorded_apart_until_silence_or_a_digit_that_the_menu_knows() -> None:
    steps = wire(record_answer=pb.RecordAnswer(most_seconds=8, silence_seconds=2, digits="12x\n1"))
    assert "playback_terminators=12" in steps[1]
    assert "record\n" in steps[2]
    assert "/rec/.answers/acme/c1.wav 8 200 2" in steps[2]
    assert recording_of("/rec/.answers/acme/c1.wav", "/rec") is None
    assert "set\nexecute-app-arg: playback_terminators=none\nevent-lock: true" in steps[3], "no digit stops music later"
    assert "playback_terminators=none" in wire(record_answer=pb.RecordAnswer(most_seconds=8))[1]


PARKS = "park_after_bridge=true;transfer_after_bridge=;hangup_after_bridge=false"
ENDS = "park_after_bridge=false;transfer_after_bridge=;hangup_after_bridge=true"
GOES_ON = "park_after_bridge=false;transfer_after_bridge=after_talk:XML:ringmaster;hangup_after_bridge=false"


@pytest.mark.parametrize(
    ("legs", "stay", "then"),
    [
        (("call", "agent"), (True, False), (GOES_ON, ENDS)),
        (("call", "agent"), (True, True), (GOES_ON, PARKS)),
        (("call", "agent"), (False, False), (ENDS, ENDS)),
        (("agent", "target"), (True, True), (PARKS, PARKS)),
        (("agent", "call"), (False, True), (ENDS, GOES_ON)),
    ],
)
def test_after_a_bridge_each_leg_does_what_the_command_says_and_a_customer_who_stays_is_guarded(
    legs: tuple[str, str], stay: tuple[bool, bool], then: tuple[str, str]
) -> None:
    action = pb.BridgeLegs(other_leg_id=legs[1], park_after=stay[0], park_other_after=stay[1])
    assert wire(legs[0], bridge_legs=action) == [
        f"api uuid_setvar_multi {legs[0]} {then[0]}",
        f"api uuid_setvar_multi {legs[1]} {then[1]}",
        f"api uuid_bridge {legs[0]} {legs[1]}",
    ]


def test_two_who_are_parted_wait_and_the_router_guards_the_customer() -> None:
    assert wire("call", part_legs=pb.PartLegs(other_leg_id="agent")) == [
        f"api uuid_setvar_multi call {PARKS}",
        f"api uuid_setvar_multi agent {PARKS}",
        "api uuid_park call",
    ]


def test_a_room_takes_the_guard_of_after_a_talk_from_the_customer_before_the_partner_leaves() -> None:
    room = pb.JoinConference(conference_id="acme.call")
    assert wire("agent", join_conference=room) == [
        f"api uuid_setvar_multi call {PARKS}",
        "api uuid_transfer agent conference:acme.call@default+flags{mandatory_member_endconf} inline",
    ]


def test_a_room_takes_a_customer_out_of_the_lease_and_lets_them_go_where_they_go_after_a_talk() -> None:
    room = pb.JoinConference(conference_id="acme.call")
    (joins,) = wire("call", join_conference=room)
    assert joins == (
        "api uuid_transfer call 'set:ringmaster_leased=false,set:hangup_after_conference=false,"
        "conference:acme.call@default,transfer:after_talk XML ringmaster' inline"
    )


@pytest.mark.parametrize(
    ("mode", "customer", "agent"),
    [
        (pb.EAVESDROP_MODE_LISTEN, "false", "false"),
        (pb.EAVESDROP_MODE_WHISPER, "false", "true"),
        (pb.EAVESDROP_MODE_BARGE, "true", "true"),
    ],
)
def test_who_hears_a_supervisor_is_wire_truth_27(mode: "pb.EavesdropMode.ValueType", customer: str, agent: str) -> None:
    steps = wire(eavesdrop_leg=pb.EavesdropLeg(target_leg_id="agent", mode=mode))
    assert f"eavesdrop_whisper_aleg={customer};eavesdrop_whisper_bleg={agent}" in steps[1]


def test_an_originate_carries_whose_it_is_and_its_own_uuid() -> None:
    action = pb.OriginateLeg(number="+4930123", ring_timeout_ms=2500, caller_name="Eve {a=b}, ${x}")
    command = pb.Command(command_id="c1", tenant_id="acme", call_id="call", leg_id="new", originate_leg=action)
    line = planner().originate(command).decode().split("\n")[0]
    assert "sofia/gateway/carrier/+4930123 &park()" in line
    for pair in ("origination_uuid=new", "originate_timeout=4", "ringmaster_tenant=acme", "ringmaster_call=call"):
        assert pair in line
    assert "${" not in line


def _originate_to(sip: str) -> str:
    command = pb.Command(command_id="c1", tenant_id="acme", call_id="call", leg_id="new")
    command.originate_leg.sip = sip
    return planner().originate(command).decode().split("\n")[0]


@pytest.mark.parametrize(
    ("sip", "endpoint"),
    [
        ("desk@pbx.example", "sofia/external/desk@pbx.example;fs_path=sip:8.8.4.4:5060 "),
        ("+380441@pbx.example:5070", "sofia/external/+380441@pbx.example:5070;fs_path=sip:8.8.4.4:5070 "),
    ],
)
def test_a_sip_address_is_called_at_the_very_address_that_was_judged(sip: str, endpoint: str) -> None:
    assert endpoint in _originate_to(sip)


@pytest.mark.parametrize(
    "sip",
    [
        *("desk@inner.example", "desk@six.example", "desk@127.0.0.1", "desk@nowhere.example", "desk"),
        *("desk@pbx.example;maddr=10.0.0.5", "a;fs_path=sip:10.0.0.5@pbx.example"),
        *("desk@10.0.0.5@pbx.example", "desk@pbx.example:5060:80"),
    ],
)
def test_a_sip_address_never_leads_inside(sip: str) -> None:
    with pytest.raises(UnsafeValue):
        _originate_to(sip)


def gateway_of(tenant_id: str, gateway: str) -> str:
    action = pb.OriginateLeg(number="+4930123", gateway=gateway)
    command = pb.Command(command_id="c1", tenant_id=tenant_id, call_id="call", leg_id="new", originate_leg=action)
    found = re.search(r"sofia/gateway/(\S+)/\+4930123", planner().originate(command).decode())
    assert found
    return found[1]


def test_a_tenant_calls_by_its_own_trunk_and_names_nobody_elses() -> None:
    assert gateway_of("oak", "") == "carrier"
    assert gateway_of("oak", "trunk") == "oak.trunk"
    assert gateway_of("oak", "acme.trunk") == "oak.acme.trunk"


@pytest.mark.parametrize("gateway", ["../x", "a/b", "a,b", "a b", "..", ".", "a$b"])
def test_a_gateways_name_is_a_name(gateway: str) -> None:
    with pytest.raises(UnsafeName):
        gateway_of("oak", gateway)


@given(st.text(max_size=40))
def test_spoken_text_never_leaves_its_place(text: str) -> None:
    (play,) = wire(play_prompt=pb.PlayPrompt(prompts=[pb.Prompt(text=text), pb.Prompt(number=7)]))
    argument = next(line for line in play.split("\n") if line.startswith("execute-app-arg: "))
    assert len(play.split("\n")) == 5
    assert argument.count("!") == 1
    assert not re.search(r"[$'\"\\]", argument)


@given(
    st.lists(st.text(alphabet="0123456789*#AB|)x.", max_size=4), max_size=5),
    st.text(alphabet="0123456789*#", max_size=4),
)
def test_the_answer_pattern_accepts_exactly_the_valid_answers(valid: list[str], pressed: str) -> None:
    spelled = [each for each in valid if each and set(each) <= set("0123456789*#ABCD")]
    pattern = answer_pattern(valid, 4)
    if valid:
        assert bool(re.search(pattern, pressed)) == (pressed in spelled)
    elif pressed:
        assert re.search(pattern, pressed)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_recordings_path_stays_below_the_root(tenant: str, call: str, recording: str) -> None:
    try:
        path = recording_path("/rec", tenant, call, recording)
    except UnsafeName:
        return
    assert recording_of(path, "/rec") == (recording, f"{tenant}/{call}/{recording}.wav")
    assert ".." not in path


@pytest.mark.parametrize("path", ["/rec/a/b.wav", "/rec/a/../b/c.wav", "/other/a/b/c.wav", "/rec/a/b/c.mp3"])
def test_other_files_are_no_recordings_of_ours(path: str) -> None:
    assert recording_of(path, "/rec") is None


@pytest.mark.parametrize(
    ("dialled", "line"),
    [("4930123", "+4930123"), ("+49 (30) 123", "+4930123"), ("fallback", ""), ("49\nFoo", ""), ("", "")],
)
def test_a_dialled_number_has_one_spelling(dialled: str, line: str) -> None:
    assert canonical_line(dialled) == line
