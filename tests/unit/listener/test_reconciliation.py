"""The oracle: a reader that believes only the facts must, after a reconciliation, see exactly what lives."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.listener.domain.legs import Asked
from services.listener.domain.reconciliation import (
    ListedLeg,
    OwnVariables,
    Picture,
    Reconciler,
    Registered,
    read_calls,
    read_channels,
    read_registrations,
)
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import DIRECTION_INBOUND, SwitchFact
from services.shared.esl.decoder import Event
from tests.unit.listener.conftest import World, kinds_of, plain

NOW_US = 1_800_000_000_000_000
IDS = ("a", "b", "c", "d")


@dataclass
class Truth:
    """What lives on the switch."""

    parked: dict[str, bool]
    answered: set[str]
    pairs: set[frozenset[str]]
    held: set[str]
    fallen_back: set[str]
    phones: set[str]


class Believer:
    """Knows only what it was told."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.answered: set[str] = set()
        self.pairs: set[frozenset[str]] = set()
        self.parked: set[str] = set()
        self.held: set[str] = set()
        self.fallen_back: set[str] = set()
        self.phones: set[str] = set()

    def hear(self, told: list[Input]) -> None:
        for fact in (each.fact for each in told):
            getattr(self, f"_{fact.WhichOneof('fact')}")(fact)

    def _leg_created(self, fact: SwitchFact) -> None:
        assert fact.leg_id not in self.live, "created twice"
        self.live.add(fact.leg_id)

    def _leg_answered(self, fact: SwitchFact) -> None:
        assert fact.leg_id not in self.answered, "answered twice"
        self.answered.add(fact.leg_id)

    def _leg_parked(self, fact: SwitchFact) -> None:
        assert fact.leg_id not in self.parked, "parked twice"
        self.parked.add(fact.leg_id)

    def _leg_held(self, fact: SwitchFact) -> None:
        assert any(fact.leg_id in pair for pair in self.pairs), "nobody is held who talks with nobody"
        self.held.add(fact.leg_id)

    def _leg_resumed(self, fact: SwitchFact) -> None:
        self.held.remove(fact.leg_id)

    def _leg_fell_back(self, fact: SwitchFact) -> None:
        assert fact.leg_id not in self.fallen_back, "fallen back twice"
        self.fallen_back.add(fact.leg_id)

    def _leg_bridged(self, fact: SwitchFact) -> None:
        pair = frozenset((fact.leg_id, fact.leg_bridged.other_leg_id))
        assert pair not in self.pairs, "bridged twice"
        self.pairs.add(pair)
        self.parked -= pair

    def _leg_unbridged(self, fact: SwitchFact) -> None:
        self.pairs.discard(frozenset((fact.leg_id, fact.leg_unbridged.other_leg_id)))

    def _leg_hung_up(self, fact: SwitchFact) -> None:
        self.live.remove(fact.leg_id)
        for those in (self.answered, self.parked, self.held, self.fallen_back):
            those.discard(fact.leg_id)
        self.pairs = {pair for pair in self.pairs if fact.leg_id not in pair}

    def _phone_registered(self, fact: SwitchFact) -> None:
        self.phones.add(fact.phone_registered.address)

    def _phone_unregistered(self, fact: SwitchFact) -> None:
        self.phones.remove(fact.phone_unregistered.address)


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    alive = draw(st.lists(st.sampled_from(IDS), unique=True))
    pairs = set()
    if len(alive) >= 2 and draw(st.booleans()):
        pairs = {frozenset(alive[:2])}
    bridged = {leg_id for pair in pairs for leg_id in pair}
    answered = bridged | draw(st.sets(st.sampled_from(alive)) if alive else st.just(set()))
    parked = {leg_id: leg_id not in bridged and draw(st.booleans()) for leg_id in alive}
    held = draw(st.sets(st.sampled_from(sorted(bridged)))) if bridged else set[str]()
    fallen_back = {leg_id for leg_id in alive if leg_id not in bridged and not parked[leg_id] and draw(st.booleans())}
    phones = draw(st.sets(st.sampled_from(("u1@acme.example", "u2@acme.example"))))
    return Truth(parked, answered, pairs, held, fallen_back, phones)


def picture(world: World, truth: Truth) -> Picture:
    rows = [
        {
            "uuid": leg_id,
            "direction": "inbound",
            "dest": "fallback" if leg_id in truth.fallen_back else "1000",
            "initial_dest": "1000",
            "created_epoch": "1800000000",
            "cid_num": "+49301",
            "cid_name": "Anna",
            "state": "CS_EXECUTE",
            "application": "park" if parked else "",
            "callstate": "HELD" if leg_id in truth.held else "ACTIVE" if leg_id in truth.answered else "RINGING",
        }
        for leg_id, parked in truth.parked.items()
    ]
    calls = [dict(zip(("uuid", "b_uuid"), sorted(pair), strict=True)) for pair in truth.pairs]
    listed = read_channels(json.dumps({"row_count": len(rows), "rows": rows}))
    missing = set(world.legs.live) - set(truth.parked)
    phones = tuple(Registered(address, NOW_US + 60_000_000) for address in truth.phones)
    return Picture(listed, read_calls(json.dumps({"rows": calls})), phones, frozenset(missing), {})


@given(st.lists(truths(), min_size=1, max_size=4))
def test_after_each_gap_a_believer_of_facts_knows_what_lives(history: list[Truth]) -> None:
    world, believer = World(), Believer()
    reconciler = Reconciler(world.normaliser)
    for number, truth in enumerate(history):
        # A Unique-ID is never used twice: each gap has legs of its own, and some of the former ones.
        believer.hear(reconciler.difference(picture(world, _aged(truth, history[:number])), NOW_US))
        seen = _aged(truth, history[:number])
        assert believer.live == set(seen.parked)
        assert believer.answered >= seen.answered
        assert believer.pairs == seen.pairs
        assert believer.held == seen.held
        assert believer.parked >= {leg_id for leg_id, is_parked in seen.parked.items() if is_parked}
        assert believer.fallen_back >= seen.fallen_back
        assert believer.phones == seen.phones
        assert reconciler.difference(picture(world, seen), NOW_US) == [], "a second look has nothing to add"


def _aged(truth: Truth, before: list[Truth]) -> Truth:
    """Give a leg that was gone at some time a new id: how often it was born before."""
    names = {}
    for leg_id in IDS:
        lives = [leg_id in each.parked for each in before] + [leg_id in truth.parked]
        births = sum(1 for index, lives_now in enumerate(lives) if lives_now and not (index and lives[index - 1]))
        names[leg_id] = f"{leg_id}{births}"
    return Truth(
        {names[leg_id]: parked for leg_id, parked in truth.parked.items()},
        {names[leg_id] for leg_id in truth.answered},
        {frozenset(names[leg_id] for leg_id in pair) for pair in truth.pairs},
        {names[leg_id] for leg_id in truth.held},
        {names[leg_id] for leg_id in truth.fallen_back},
        truth.phones,
    )


def born(world: World, leg_id: str) -> None:
    event = plain("CHANNEL_CREATE", Unique__ID=leg_id, Call__Direction="inbound", Caller__Destination__Number="1000")
    world.feed([event])


def test_a_leg_that_only_the_list_lacks_is_not_ended(world: World) -> None:
    born(world, "a")
    told = Reconciler(world.normaliser).difference(Picture((), (), None, frozenset(), {}), NOW_US)
    assert told == []
    assert "a" in world.legs.live


def test_a_leg_that_is_still_listed_but_does_not_exist_is_ended(world: World) -> None:
    born(world, "a")
    rows = [{"uuid": each, "direction": "inbound", "dest": "1000", "application": "park"} for each in ("a", "b")]
    listed = read_channels(json.dumps({"rows": rows}))
    told = Reconciler(world.normaliser).difference(Picture(listed, (), None, frozenset({"a", "b"}), {}), NOW_US)
    assert kinds_of(told, "a") == ["leg_hung_up"]
    assert kinds_of(told, "b") == []


def test_the_second_look_tells_only_who_was_never_told(world: World) -> None:
    born(world, "a")
    rows = [{"uuid": each, "direction": "inbound", "dest": "1000", "callstate": "ACTIVE"} for each in ("a", "b")]
    listed = read_channels(json.dumps({"rows": rows}))
    told = Reconciler(world.normaliser).newcomers(Picture(listed, (), None, frozenset(), {}), NOW_US)
    assert kinds_of(told, "a") == []
    assert kinds_of(told, "b") == ["leg_created", "leg_answered"]


def test_a_vanished_leg_is_hung_up_and_marked_as_reconciled(world: World) -> None:
    born(world, "a")
    told = Reconciler(world.normaliser).difference(Picture((), (), None, frozenset({"a"}), {}), NOW_US)
    assert kinds_of(told, "a") == ["leg_hung_up"]
    assert told[0].fact.leg_hung_up.reconciled
    assert told[0].fact.switch_sequence == 0


def test_the_true_hang_up_after_a_reconciled_one_is_not_told_again(world: World) -> None:
    born(world, "a")
    Reconciler(world.normaliser).difference(Picture((), (), None, frozenset({"a"}), {}), NOW_US)
    assert world.feed([plain("CHANNEL_HANGUP_COMPLETE", Unique__ID="a", Hangup__Cause="USER_BUSY")]) == []


def test_a_leg_that_we_made_is_known_again_by_its_own_variables(world: World) -> None:
    rows = [{"uuid": "x", "direction": "outbound", "dest": "anna", "callstate": "RINGING"}]
    own = {"x": OwnVariables(tenant_id="acme", call_id="call-1", command_id="cmd-1")}
    listed = read_channels(json.dumps({"rows": rows}))
    told = Reconciler(world.normaliser).difference(Picture(listed, (), None, frozenset(), own), NOW_US)
    assert kinds_of(told, "x") == ["leg_created"]
    assert (told[0].fact.call_id, told[0].fact.leg_created.command_id) == ("call-1", "cmd-1")
    assert told[0].fact.leg_created.reconciled


def test_a_new_core_ends_all_former_legs_after_saying_so(world: World) -> None:
    world.legs.core_uuid = "old"
    born(world, "a")
    told = Reconciler(world.normaliser).restarted("new", ["acme"], NOW_US)
    assert [each.fact.WhichOneof("fact") for each in told] == ["switch_restarted", "leg_hung_up"]
    assert told[0].fact.switch_restarted.former_core_uuid == "old"
    assert Reconciler(world.normaliser).restarted("new", ["acme"], NOW_US) == []


def test_prompts_and_questions_whose_end_was_missed_are_ended(world: World) -> None:
    born(world, "a")
    world.legs.ask("a", "p1", Asked.PLAYBACK)
    world.legs.ask("a", "d1", Asked.DIGITS)
    rows = [{"uuid": "a", "direction": "inbound", "application": "park", "callstate": "RINGING"}]
    listed = read_channels(json.dumps({"rows": rows}))
    told = Reconciler(world.normaliser).difference(Picture(listed, (), None, frozenset(), {}), NOW_US)
    assert kinds_of(told, "a") == ["leg_parked", "playback_finished", "digits_collected"]


def test_the_park_event_behind_a_reconciled_park_is_the_same_fact(world: World) -> None:
    born(world, "a")
    rows = [{"uuid": "a", "direction": "inbound", "application": "park", "callstate": "RINGING"}]
    listed = read_channels(json.dumps({"rows": rows}))
    Reconciler(world.normaliser).difference(Picture(listed, (), None, frozenset(), {}), NOW_US)
    park = plain("CHANNEL_PARK", Unique__ID="a", Call__Direction="inbound", Caller__Destination__Number="1000")
    assert world.feed([park]) == []
    assert kinds_of(world.feed([park]), "a") == ["leg_parked"]


def bridge(kind: str, leg_id: str, other: str) -> Event:
    return plain(kind, Unique__ID=leg_id, Bridge__A__Unique__ID=leg_id, Bridge__B__Unique__ID=other)


def test_the_end_of_a_former_bridge_that_is_read_after_a_reconciliation_ends_no_talk(world: World) -> None:
    """Both events were sent before the picture was taken, and are read after it."""
    for leg_id in ("a", "b", "c"):
        born(world, leg_id)
    world.feed([bridge("CHANNEL_BRIDGE", "a", "b")])
    told = Reconciler(world.normaliser).difference(Picture((), (("a", "c"),), None, frozenset(), {}), NOW_US)
    assert kinds_of(told, "a") == ["leg_unbridged", "leg_bridged"]
    assert world.feed([bridge("CHANNEL_UNBRIDGE", "a", "b"), bridge("CHANNEL_BRIDGE", "a", "c")]) == []
    assert kinds_of(world.feed([bridge("CHANNEL_UNBRIDGE", "a", "c")]), "a") == ["leg_unbridged"]


def test_a_park_that_is_read_after_a_reconciled_bridge_is_followed_by_the_bridge_again(world: World) -> None:
    for leg_id in ("a", "b"):
        born(world, leg_id)
    Reconciler(world.normaliser).difference(Picture((), (("a", "b"),), None, frozenset(), {}), NOW_US)
    park = plain("CHANNEL_PARK", Unique__ID="a", Call__Direction="inbound", Caller__Destination__Number="1000")
    told = world.feed([park, bridge("CHANNEL_BRIDGE", "a", "b"), bridge("CHANNEL_BRIDGE", "a", "b")])
    assert kinds_of(told, "a") == ["leg_parked", "leg_bridged"]


def test_who_hung_up_while_the_second_look_was_taken_is_not_brought_to_life(world: World) -> None:
    rows = [{"uuid": each, "direction": "inbound", "dest": "1000"} for each in ("a", "b")]
    taken = Picture(read_channels(json.dumps({"rows": rows})), (), None, frozenset(), {})
    assert world.feed([plain("CHANNEL_HANGUP_COMPLETE", Unique__ID="a", Hangup__Cause="NORMAL_CLEARING")]) == []
    told = Reconciler(world.normaliser).newcomers(taken, NOW_US)
    assert {each.fact.leg_id for each in told} == {"b"}


def test_music_that_ended_unseen_is_forgotten_and_told_to_nobody(world: World) -> None:
    """Else the next question would be sent a break, which cuts its own prompt."""
    born(world, "a")
    world.legs.ask("a", "music.m1", Asked.MUSIC)
    rows = [{"uuid": "a", "direction": "inbound", "application": "uuid_bridge", "callstate": "ACTIVE"}]
    listed = read_channels(json.dumps({"rows": rows}))
    told = Reconciler(world.normaliser).difference(Picture(listed, (), None, frozenset(), {}), NOW_US)
    assert kinds_of(told, "a") == ["leg_answered"]
    assert not world.legs.is_playing("a")


ROW = {
    "uuid": "a",
    "direction": "inbound",
    "created_epoch": "1795985000",
    "state": "CS_EXECUTE",
    "cid_name": "Outbound Call",
    "cid_num": "1200",
    "ip_addr": "127.0.0.1",
    "dest": "fallback",
    "application": "bridge",
    "callstate": "HELD",
    "initial_cid_name": "Anna",
    "initial_cid_num": "+4930555",
    "initial_dest": "1000",
}
"""What a real FreeSWITCH lists of a caller who fell back, in its own words."""


def read(**fields: str) -> ListedLeg:
    (listed,) = read_channels(json.dumps({"row_count": 1, "rows": [{**ROW, **fields}]}))
    return listed


def test_a_row_tells_how_the_call_began_and_where_it_is_now() -> None:
    listed = read()
    assert (listed.caller_number, listed.caller_name, listed.destination) == ("+4930555", "Anna", "1000")
    assert (listed.has_fallen_back, listed.is_held, listed.is_answered, listed.is_parked) == (True, True, True, False)
    assert listed.created_us == 1_795_985_000_000_000
    bare = read(initial_cid_name="", initial_cid_num="", initial_dest="", created_epoch="", dest="1000")
    assert (bare.caller_number, bare.caller_name, bare.destination) == ("1200", "Outbound Call", "1000")
    assert (bare.created_us, bare.has_fallen_back) == (0, False)


@pytest.mark.parametrize(
    ("fields", "is_answered", "is_parked"),
    [
        ({"callstate": "RINGING"}, False, False),
        ({"callstate": "EARLY"}, False, False),
        ({"callstate": "ACTIVE", "state": "CS_PARK", "application": ""}, True, True),
        ({"callstate": "UNHELD", "application": "park"}, True, True),
        ({"callstate": "RING_WAIT"}, True, False),
    ],
)
def test_call_states_and_states_are_read_as_freeswitch_means_them(
    fields: dict[str, str], *, is_answered: bool, is_parked: bool
) -> None:
    listed = read(**fields)
    assert (listed.is_answered, listed.is_parked, listed.is_held) == (is_answered, is_parked, False)


@pytest.mark.parametrize("text", ["[]", "-ERR", "", '{"rows": {}}', '{"rows": [1]}', "null"])
def test_another_answer_than_a_list_is_refused(text: str) -> None:
    for reads in (read_channels, read_calls, read_registrations):
        with pytest.raises(ValueError):  # noqa: PT011 - JSON errors among them
            reads(text)


def test_only_bridged_pairs_are_read_of_the_calls() -> None:
    rows = [{"uuid": "a", "b_uuid": "b"}, {"uuid": "c"}, {"uuid": "d", "b_uuid": ""}]
    assert read_calls(json.dumps({"rows": rows})) == (("a", "b"),)


def test_only_legs_on_which_a_prompt_of_ours_may_have_ended_are_asked_for_its_answer(world: World) -> None:
    for leg_id in ("prompt", "question", "silent", "bridged"):
        born(world, leg_id)
    world.legs.ask("prompt", "p1", Asked.PLAYBACK)
    world.legs.ask("bridged", "p2", Asked.PLAYBACK)
    world.legs.ask("question", "d1", Asked.DIGITS)
    world.legs.ask("silent", "music.m", Asked.MUSIC)
    legs = [read(uuid=each, application="playback") for each in ("prompt", "question", "silent", "unknown")]
    reconciler = Reconciler(world.normaliser)
    assert reconciler.playing([*legs, read(uuid="bridged", application="uuid_bridge")]) == ["prompt"]
    assert reconciler.unsure() == [("question", "d1")]


def test_the_second_look_leaves_out_who_is_gone(world: World) -> None:
    told = Reconciler(world.normaliser).newcomers(Picture((read(),), (), None, frozenset({"a"}), {}), NOW_US)
    assert told == []


def test_a_phone_whose_user_is_called_as_the_fallback_has_not_fallen_back(world: World) -> None:
    own = {"a": OwnVariables(tenant_id="acme", call_id="call-1", command_id="cmd-1")}
    picture = Picture((read(direction="outbound"),), (), None, frozenset(), own)
    told = Reconciler(world.normaliser).difference(picture, NOW_US)
    assert kinds_of(told, "a") == ["leg_created", "leg_answered", "leg_held"]


def test_a_leg_that_is_gone_says_what_the_table_knows(world: World) -> None:
    born(world, "a")
    told = Reconciler(world.normaliser).difference(Picture((), (), None, frozenset({"a"}), {}), NOW_US)
    hung_up = told[0].fact.leg_hung_up
    assert (hung_up.line, hung_up.direction) == ("+1000", DIRECTION_INBOUND)


def test_registrations_are_read_with_their_expiry() -> None:
    rows = [{"reg_user": "anna", "realm": "acme.example", "expires": "1800000060"}]
    assert read_registrations(json.dumps({"rows": rows})) == (Registered("anna@acme.example", 1_800_000_060_000_000),)
