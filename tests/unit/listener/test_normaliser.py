"""Facts of captured runs of a real FreeSWITCH; the expectations are read from the runs' step lists and SIP traces."""

from collections import Counter
from collections.abc import Callable

import pytest

from services.listener.adapters.leg_journal import _line
from services.listener.domain.directory import TenantEntry
from services.listener.domain.headers import EVENTS
from services.listener.domain.legs import Asked
from services.shared.contracts.ringmaster.v1 import switch_pb2 as pb
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.esl.decoder import Event, PlainEvent
from tests.unit.listener.conftest import World, captured, facts_of, kinds_of, plain

CALLER_02 = "ce359679-f332-4cfc-a046-d6b2a44646eb"
AGENT_02 = "bbbbbbbb-0000-0000-0000-01a2061f1f9e"


def whole_call(
    world: World, form: str, times: int = 1, then: Callable[[Event], None] = lambda _event: None
) -> list[Input]:
    """Run 02 as if our commands had made it: the agent's leg, the prompt, two questions and the recording are ours."""
    told: list[Input] = []
    for event in captured(f"02-inbound-call.{form}"):
        told += world.feed([_made_ours(event)] * times)
        then(event)
        if event.name == "CHANNEL_ANSWER" and event.get("Unique-ID") == CALLER_02:
            world.legs.ask(CALLER_02, "play-evt-1", Asked.PLAYBACK)
            world.legs.ask(CALLER_02, "pagd-1", Asked.DIGITS)
        if event.get("Application-UUID") == "pagd-1" and event.name == "CHANNEL_EXECUTE_COMPLETE":
            world.legs.ask(CALLER_02, "pagd-2", Asked.DIGITS)
    return told


def _made_ours(event: Event) -> Event:
    path = f"recordings/acme/{CALLER_02}/r1.wav".encode()
    raw = event.raw.replace(b"variable_pin:", b"variable_ringmaster_digits:").replace(b"recordings/02-call.wav", path)
    raw = raw.replace(b'"variable_pin":', b'"variable_ringmaster_digits":')
    raw = raw.replace(b"variable_tenant_id: t-42", b"variable_ringmaster_tenant: acme")
    raw = raw.replace(b'"variable_tenant_id":"t-42"', b'"variable_ringmaster_tenant":"acme"')
    raw = raw.replace(b"variable_work_item: ", b"variable_ringmaster_command: ")
    raw = raw.replace(b'"variable_work_item":', b'"variable_ringmaster_command":')
    return type(event)(raw)


@pytest.mark.parametrize("form", ["plain", "json"])
def test_the_whole_inbound_call_is_told_in_its_order(world: World, form: str) -> None:
    told = whole_call(world, form)
    assert kinds_of(told, CALLER_02) == [
        "leg_created",
        "leg_parked",
        "leg_answered",
        "playback_finished",
        "digits_collected",
        "digits_collected",
        "digit_pressed",
        "digit_pressed",
        "recording_began",
        "leg_bridged",
        "recording_finished",
        "leg_unbridged",
        "leg_parked",
        "leg_bridged",
        "leg_unbridged",
        "leg_hung_up",
    ]
    assert kinds_of(told, AGENT_02) == [
        "leg_created",
        "leg_progressed",
        "leg_answered",
        "leg_parked",
        "digit_pressed",
        "leg_held",
        "leg_resumed",
        "leg_held",
        "leg_resumed",
        "leg_parked",
        "leg_parked",
        "leg_hung_up",
    ]


def test_plain_and_json_tell_the_same() -> None:
    by_form = []
    for form in ("plain", "json"):
        told = whole_call(World(), form)
        for each in told:
            each.fact.ClearField("switch_sequence")  # two connections, the same events
        by_form.append([each.SerializeToString() for each in told])
    assert by_form[0] == by_form[1]


def test_the_fields_of_the_whole_call_are_those_of_its_steps(world: World) -> None:
    told = whole_call(world, "plain")
    facts = {kind: fact for fact in facts_of(told, CALLER_02) for kind in [fact.WhichOneof("fact")]}
    created = next(fact for fact in facts_of(told, CALLER_02) if fact.HasField("leg_created")).leg_created
    assert (created.line, created.caller_number, created.caller_name) == ("+1000", "+4915112345678", "Jürgen")
    assert created.sip_call_id == "263e44ef-6934-4ca0-a684-8d6d79a23ed4@ua5070"
    assert created.direction == pb.DIRECTION_INBOUND
    hung_up = facts["leg_hung_up"].leg_hung_up
    assert (hung_up.cause, hung_up.party) == ("CALL_REJECTED", pb.HANGUP_PARTY_PLATFORM)
    assert hung_up.ended_us == 1795399044783965
    assert (hung_up.direction, hung_up.line, hung_up.callee) == (pb.DIRECTION_INBOUND, "+1000", "")
    assert (hung_up.caller_number, hung_up.network_address) == ("+4915112345678", "127.0.0.1")
    assert hung_up.sip_call_id == created.sip_call_id
    answers = [fact.digits_collected for fact in facts_of(told, CALLER_02) if fact.HasField("digits_collected")]
    assert [(each.command_id, each.digits, each.outcome) for each in answers] == [
        ("pagd-1", "1234", pb.COLLECT_OUTCOME_MATCHED),
        ("pagd-2", "", pb.COLLECT_OUTCOME_INVALID),
    ]
    assert facts["playback_finished"].playback_finished.completed
    assert facts["recording_finished"].recording_finished.path == f"acme/{CALLER_02}/r1.wav"
    assert facts["leg_bridged"].leg_bridged.other_leg_id == AGENT_02
    agent = facts_of(told, AGENT_02)[0]
    assert (agent.leg_created.command_id, agent.leg_created.direction) == ("wi:17;x=y", pb.DIRECTION_OUTBOUND)


def test_digits_of_prompts_that_were_heard_out_are_no_wrong_answer(world: World) -> None:
    told: list[Input] = []
    for event in captured("02-inbound-call.plain"):
        if event.get("Application-UUID") == "pagd-2" and event.name == "CHANNEL_EXECUTE_COMPLETE":
            headers = {"Unique__ID": CALLER_02, "Application": "playback", "Application__UUID": "prompts.pagd-2"}
            assert world.legs.live[CALLER_02].has_pressed, "the caller typed; here: while the prompts played"
            assert world.feed([plain("CHANNEL_EXECUTE_COMPLETE", **headers)]) == []
        told += world.feed([_made_ours(event)])
        if event.name == "CHANNEL_ANSWER" and event.get("Unique-ID") == CALLER_02:
            world.legs.ask(CALLER_02, "pagd-2", Asked.DIGITS)
    answers = [fact.digits_collected for fact in facts_of(told, CALLER_02) if fact.HasField("digits_collected")]
    assert [(each.command_id, each.outcome) for each in answers] == [("pagd-2", pb.COLLECT_OUTCOME_TIMEOUT)]


def test_each_legs_sequence_has_no_gap_and_every_fact_its_switch_sequence(world: World) -> None:
    told = whole_call(world, "plain")
    for leg_id in (CALLER_02, AGENT_02):
        facts = facts_of(told, leg_id)
        assert [fact.leg_sequence for fact in facts] == list(range(1, len(facts) + 1))
        assert [fact.switch_sequence for fact in facts] == sorted({fact.switch_sequence for fact in facts})


AGAIN = {"leg_parked", "leg_held", "leg_resumed", "digit_pressed", "recording_began", "recording_finished"}
"""Told again with the identity of the first telling, by which a router knows them; all others are told once."""


def test_a_switch_that_says_everything_twice_tells_no_second_fact() -> None:
    once, twice = whole_call(World(), "plain"), whole_call(World(), "plain", times=2)
    identities = [
        Counter((each.fact.leg_id, each.fact.switch_sequence, each.fact.WhichOneof("fact") or "") for each in told)
        for told in (once, twice)
    ]
    assert set(identities[0]) == set(identities[1])
    assert {kind for (_, _, kind), number in identities[1].items() if number > 1} <= AGAIN | {"leg_progressed"}


def test_whatever_an_event_changes_of_a_leg_is_marked_to_be_written(world: World) -> None:
    written: dict[str, bytes] = {}

    def write(event: Event) -> None:
        written.update({name: _line(world.legs, name) for name in world.legs.changed})
        world.legs.changed.clear()
        for leg_id in world.legs.live:
            assert written[leg_id] == _line(world.legs, leg_id), event.name

    whole_call(world, "plain", then=write)
    fallen = {"Unique__ID": "a", "Call__Direction": "inbound", "Caller__Destination__Number": "1000"}
    for event in (
        plain("CHANNEL_CREATE", **fallen),
        plain("CHANNEL_EXECUTE_COMPLETE", **{**fallen, "Caller__Destination__Number": "fallback"}),
    ):
        world.feed([event])
        write(event)
    world.legs.ask("a", "c1", Asked.DIGITS)
    world.feed([plain("CHANNEL_EXECUTE_COMPLETE", Unique__ID="a", Application__UUID="probe.c1")])
    write(event)


def test_a_leg_whose_creation_was_missed_is_told_by_its_park_and_one_that_ended_is_not(world: World) -> None:
    birth = {"Unique__ID": "a", "Call__Direction": "inbound", "Caller__Destination__Number": "1000"}
    park, end = plain("CHANNEL_PARK", **birth), plain("CHANNEL_HANGUP_COMPLETE", Unique__ID="a")
    told = world.feed([park, end, park, plain("CHANNEL_CREATE", **birth)])
    assert kinds_of(told, "a") == ["leg_created", "leg_parked", "leg_hung_up"]
    assert [each.fact.leg_parked.line for each in told if each.fact.HasField("leg_parked")] == ["+1000"]
    assert world.feed([plain("CHANNEL_PARK", Unique__ID="b", Caller__Destination__Number="999")]) == []


def test_ringing_and_early_media_are_told_apart(world: World) -> None:
    told = world.feed(_owned(event) for event in captured("04a-agent-leg-failures.plain"))
    said = [each.fact.leg_progressed.early_media for each in told if each.fact.HasField("leg_progressed")]
    names = [event.name for event in captured("04a-agent-leg-failures.plain")]
    assert said.count(True) == names.count("CHANNEL_PROGRESS_MEDIA") > 0
    assert said.count(False) == names.count("CHANNEL_PROGRESS") > 0


NUMBERS = (
    *("Event__Sequence", "Event__Date__Timestamp", "Caller__Channel__Created__Time", "Caller__Channel__Answered__Time"),
    *("Caller__Channel__Hangup__Time", "variable_record_ms", "variable_sip_term_status", "expires"),
)


def test_values_that_no_switch_writes_break_nothing(world: World) -> None:
    """A fact's fields are of 32 and 64 bits; what is longer or no number counts as not told."""
    birth = {"Unique__ID": "a", "Call__Direction": "inbound", "Caller__Destination__Number": "1000"}
    for odd in ("9" * 19, "9" * 400, "-1", "1.5", "٣", "²", "0x10", " 1", ""):
        numbers = dict.fromkeys(NUMBERS, odd)
        path = "/usr/freeswitch/recordings/acme/a/r1.wav"
        events = [plain(name, **birth, **numbers, Record__File__Path=path) for name in EVENTS]
        phone = {"from__user": odd, "from__host": "acme.example"}
        events.append(plain("CUSTOM", Event__Subclass="sofia::register", **phone, **numbers))
        assert kinds_of(world.feed(events), "a")[0] == "leg_created"
        world.legs._ended.clear()


def test_a_masked_call_tells_no_digit(world: World) -> None:
    world.legs.mask(CALLER_02, "r1")
    told = whole_call(world, "plain")
    spoken = {fact.digit_pressed.digit for each in told for fact in [each.fact] if fact.HasField("digit_pressed")}
    assert spoken == {"?"}
    answers = [fact.digits_collected for fact in facts_of(told, CALLER_02) if fact.HasField("digits_collected")]
    assert [each.digits for each in answers] == ["", ""]
    assert answers[0].outcome == pb.COLLECT_OUTCOME_MATCHED


def test_causes_and_sip_statuses_of_failed_legs_are_told(world: World) -> None:
    """Run 04a: wire truth 14 lists which refusal gives which cause."""
    told: list[Input] = []
    for event in captured("04a-agent-leg-failures.plain"):
        told += world.feed([_owned(event)])
    ends = [each.fact.leg_hung_up for each in told if each.fact.HasField("leg_hung_up")]
    assert [(end.cause, end.sip_status, end.party) for end in ends[:10]] == [
        ("NO_ANSWER", 487, pb.HANGUP_PARTY_PLATFORM),
        ("USER_BUSY", 486, pb.HANGUP_PARTY_FAR_END),
        ("CALL_REJECTED", 603, pb.HANGUP_PARTY_FAR_END),
        ("NO_USER_RESPONSE", 480, pb.HANGUP_PARTY_FAR_END),
        ("UNALLOCATED_NUMBER", 404, pb.HANGUP_PARTY_FAR_END),
        ("NORMAL_TEMPORARY_FAILURE", 503, pb.HANGUP_PARTY_FAR_END),
        ("INCOMPATIBLE_DESTINATION", 488, pb.HANGUP_PARTY_FAR_END),
        ("NO_ANSWER", 487, pb.HANGUP_PARTY_PLATFORM),
        ("NORMAL_TEMPORARY_FAILURE", 503, pb.HANGUP_PARTY_FAR_END),
        ("NO_ANSWER", 487, pb.HANGUP_PARTY_PLATFORM),
    ]


def test_the_end_of_a_leg_that_we_made_says_whom_it_rang_and_through_which_gateway(world: World) -> None:
    told: list[Input] = []
    for event in captured("04a-agent-leg-failures.plain"):
        # A gateway's leg has this variable (mod_sofia); the captures have phones alone.
        raw = _owned(event).raw.replace(
            b"\nEvent-Sequence: ", b"\nvariable_sip_gateway_name: carrier\nEvent-Sequence: ", 1
        )
        told += world.feed([PlainEvent(raw)])
    end = next(each.fact.leg_hung_up for each in told if each.fact.HasField("leg_hung_up"))
    assert (end.direction, end.line, end.gateway) == (pb.DIRECTION_OUTBOUND, "", "carrier")
    assert end.callee == next(
        event.get("Caller-Destination-Number")
        for event in captured("04a-agent-leg-failures.plain")
        if event.name == "CHANNEL_HANGUP_COMPLETE"
    )


def _owned(event: Event) -> Event:
    """Put our originate's variable on every event, where FreeSWITCH would repeat it."""
    return PlainEvent(
        event.raw.replace(b"\nEvent-Sequence: ", b"\nvariable_ringmaster_tenant: acme\nEvent-Sequence: ", 1)
    )


def test_callers_who_abandon_are_told_once_each(world: World) -> None:
    """Run 04b: in ringing, during a prompt, parked, during a dialplan bridge, during an originate."""
    told = world.feed(captured("04b-caller-abandons.plain"))
    ends = [each.fact.leg_hung_up for each in told if each.fact.HasField("leg_hung_up")]
    assert [(end.cause, end.party) for end in ends] == [
        ("ORIGINATOR_CANCEL", pb.HANGUP_PARTY_FAR_END),
        ("NORMAL_CLEARING", pb.HANGUP_PARTY_FAR_END),
        ("NORMAL_UNSPECIFIED", pb.HANGUP_PARTY_FAR_END),
        ("NORMAL_CLEARING", pb.HANGUP_PARTY_FAR_END),
    ]
    assert not world.legs.live
    assert world.unknown_lines == 1  # 85072 is nobody's line, so that leg is told to nobody


def test_legs_of_nobody_are_told_to_nobody(world: World) -> None:
    """Run 04c: legs that a dialplan or a foreign originate made carry nothing of ours."""
    told = world.feed(captured("04c-hangup-after-answer.plain"))
    created = {each.fact.leg_id for each in told if each.fact.HasField("leg_created")}
    inbound = {
        event.get("Unique-ID")
        for event in captured("04c-hangup-after-answer.plain")
        if event.name == "CHANNEL_CREATE" and event.get("Caller-Destination-Number") in ("1000", "1100", "1200")
    }
    assert created == inbound
    assert {each.fact.leg_id for each in told} == inbound


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_callers_text_forges_nothing(world: World, form: str) -> None:
    """Run 09a: headers, names and numbers with line breaks that spell other events."""
    events = captured(f"09a-injection-and-odd-values.{form}")
    told = world.feed(events)
    genuine = {event.get("Unique-ID") for event in events if event.name == "CHANNEL_CREATE"}
    assert {each.fact.leg_id for each in told} <= genuine
    assert "victim-uuid" not in {each.fact.leg_id for each in told}
    ends = [each.fact.leg_hung_up.cause for each in told if each.fact.HasField("leg_hung_up")]
    assert set(ends) == {"NORMAL_CLEARING"}
    names = [each.fact.leg_created.caller_name for each in told if each.fact.HasField("leg_created")]
    assert "Eve\nHangup-Cause: USER_BUSY" in names


def test_a_tenant_variable_on_an_inbound_leg_is_no_key(world: World) -> None:
    world.directory.put(TenantEntry("rival", 1, ("+49301",), "rival.example", "de"))
    told = world.feed(
        [
            plain(
                "CHANNEL_CREATE",
                Unique__ID="a",
                Call__Direction="inbound",
                Caller__Destination__Number="1000",
                variable_ringmaster_tenant="rival",
                variable_sip_h_ringmaster_line="+49301",
            )
        ]
    )
    assert [each.tenant_id for each in told] == ["acme"]


def test_the_fallback_of_a_claimed_leg_is_told_once(world: World) -> None:
    birth = {"Unique__ID": "a", "Call__Direction": "inbound", "Event__Sequence": "5"}
    events = [
        plain("CHANNEL_CREATE", **birth, Caller__Destination__Number="1000"),
        plain("CHANNEL_PARK", **birth, Caller__Destination__Number="1000"),
        plain("CHANNEL_ANSWER", **birth, Caller__Destination__Number="fallback"),
        plain("CHANNEL_EXECUTE_COMPLETE", **birth, Caller__Destination__Number="fallback"),
    ]
    told = world.feed(events)
    assert kinds_of(told, "a") == ["leg_created", "leg_parked", "leg_fell_back", "leg_answered"]
    assert told[2].fact.leg_fell_back.line == "+1000"


def test_a_registration_is_news_once_and_belongs_to_the_tenant_of_its_domain(world: World) -> None:
    phone = {"from__user": "anna", "from__host": "acme.example", "expires": "3600"}
    register = plain("CUSTOM", Event__Subclass="sofia::register", **phone)
    foreign = plain("CUSTOM", Event__Subclass="sofia::register", from__user="x", from__host="nobody.example")
    expire = plain("CUSTOM", Event__Subclass="sofia::expire", user="anna", host="acme.example")
    told = world.feed([register, register, foreign, expire, expire])
    assert [each.fact.WhichOneof("fact") for each in told] == ["phone_registered", "phone_unregistered"]
    assert told[1].fact.phone_unregistered.expired


def test_no_leg_hangs_up_twice(world: World) -> None:
    events = [event for event in captured("04b-caller-abandons.plain") for _ in range(2)]
    told = world.feed(events)
    ends = [each.fact.leg_id for each in told if each.fact.HasField("leg_hung_up")]
    assert len(ends) == len(set(ends)) == 4


def test_the_end_of_an_answers_recording_is_told_and_a_digit_in_it_beside(world: World) -> None:
    told: list[Input] = []
    for event in captured("02-inbound-call.plain"):
        if event.name == "CHANNEL_ANSWER" and event.get("Unique-ID") == CALLER_02:
            world.legs.ask(CALLER_02, "pagd-1", Asked.ANSWER)
        told += world.feed([_made_ours(event)])
    facts = facts_of(told, CALLER_02)
    ends = [fact.answer_recorded.command_id for fact in facts if fact.HasField("answer_recorded")]
    assert ends == ["pagd-1"]
    assert not [fact for fact in facts if fact.HasField("digits_collected")]
    assert [fact.digit_pressed.digit for fact in facts if fact.HasField("digit_pressed")]
