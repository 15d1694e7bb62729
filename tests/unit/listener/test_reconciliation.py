"""The oracle: a reader that believes only the facts must, after a reconciliation, see exactly what lives."""

import json
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from services.listener.domain.legs import Asked
from services.listener.domain.reconciliation import (
    OwnVariables,
    Picture,
    Reconciler,
    Registered,
    read_calls,
    read_channels,
    read_registrations,
)
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.listener.conftest import World, kinds_of, plain

NOW_US = 1_800_000_000_000_000
IDS = ("a", "b", "c", "d")


@dataclass
class Truth:
    """What lives on the switch."""

    parked: dict[str, bool]
    answered: set[str]
    pairs: set[frozenset[str]]
    phones: set[str]


class Believer:
    """Knows only what it was told."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.answered: set[str] = set()
        self.pairs: set[frozenset[str]] = set()
        self.phones: set[str] = set()

    def hear(self, told: list[Input]) -> None:
        for fact in (each.fact for each in told):
            leg_id = fact.leg_id
            match fact.WhichOneof("fact"):
                case "leg_created":
                    assert leg_id not in self.live, "created twice"
                    self.live.add(leg_id)
                case "leg_answered":
                    self.answered.add(leg_id)
                case "leg_bridged":
                    self.pairs.add(frozenset((leg_id, fact.leg_bridged.other_leg_id)))
                case "leg_unbridged":
                    self.pairs.discard(frozenset((leg_id, fact.leg_unbridged.other_leg_id)))
                case "leg_hung_up":
                    assert leg_id in self.live, "ended without having lived"
                    self.live.discard(leg_id)
                    self.answered.discard(leg_id)
                    self.pairs = {pair for pair in self.pairs if leg_id not in pair}
                case "phone_registered":
                    self.phones.add(fact.phone_registered.address)
                case "phone_unregistered":
                    self.phones.discard(fact.phone_unregistered.address)


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    alive = draw(st.lists(st.sampled_from(IDS), unique=True))
    pairs = set()
    if len(alive) >= 2 and draw(st.booleans()):
        pairs = {frozenset(alive[:2])}
    bridged = {leg_id for pair in pairs for leg_id in pair}
    answered = bridged | draw(st.sets(st.sampled_from(alive)) if alive else st.just(set()))
    parked = {leg_id: leg_id not in bridged and draw(st.booleans()) for leg_id in alive}
    phones = draw(st.sets(st.sampled_from(("u1@acme.example", "u2@acme.example"))))
    return Truth(parked, answered, pairs, phones)


def picture(world: World, truth: Truth) -> Picture:
    rows = [
        {
            "uuid": leg_id,
            "direction": "inbound",
            "dest": "1000",
            "created_epoch": "1800000000",
            "cid_num": "+49301",
            "cid_name": "Anna",
            "state": "CS_EXECUTE",
            "application": "park" if parked else "",
            "callstate": "ACTIVE" if leg_id in truth.answered else "RINGING",
        }
        for leg_id, parked in truth.parked.items()
    ]
    calls = [dict(zip(("uuid", "b_uuid"), sorted(pair), strict=True)) for pair in truth.pairs]
    listed = read_channels(json.dumps({"row_count": len(rows), "rows": rows}))
    missing = set(Reconciler(world.normaliser).doubtful(listed)) - set(truth.parked)
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


def test_registrations_are_read_with_their_expiry() -> None:
    rows = [{"reg_user": "anna", "realm": "acme.example", "expires": "1800000060"}]
    assert read_registrations(json.dumps({"rows": rows})) == (Registered("anna@acme.example", 1_800_000_060_000_000),)
