"""Days that go wrong, the short form; and invariants that are broken are found out."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from services.router.domain import hearing, matching, silence, waiting
from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired
from tests.simulation import chaos
from tests.simulation.invariants import Broken, Invariants

DAYS = 12
CALLS = 150


def test_every_invariant_holds_on_days_that_go_wrong() -> None:
    told = [chaos.play(seed, CALLS) for seed in range(1, DAYS + 1)]
    counts = sum((one.counts for one in told), start=told[0].counts.__class__())
    assert counts["call_started"] == counts["call_ended"] >= DAYS * CALLS
    ends = ("accepted", "rejected", "missed", "cancelled", "lost_race", "failed")
    assert counts["offer_created"] == sum(counts[f"offer_{end}"] for end in ends)
    rare = ("offer_lost_race", "call_transferred", "callback_succeeded", "config_changed", "switch_restarted")
    assert all(counts[kind] for kind in (*rare, "inputs while a switch was mute"))


def test_what_is_decided_of_all_callers_of_a_queue_goes_by_their_order_not_by_the_lanes() -> None:
    """Found by a million calls: after a snapshot the timers of callers who waited apart came in another order."""
    assert chaos.play(501_176, 500).calls


def test_a_fault_passes_from_the_process_that_found_it() -> None:
    found = Broken("an invariant", "how")
    found.add_note("seed 7")
    told = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own bytes
    assert (str(told), told.invariant, told.__notes__) == ("an invariant: how", "an invariant", ["seed 7"])


def test_the_same_seed_is_the_same_day() -> None:
    assert chaos.play(7, 40) == chaos.play(7, 40)


def test_callers_who_are_forgotten_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    match = matching.match_call
    forgotten: Callable[..., bool] = lambda turn, call: call.entered_order % 5 > 0 and match(turn, call)  # noqa: E731 - a fault in one line
    monkeypatch.setattr(matching, "match_call", forgotten)
    assert _broken() == "no caller waits while a matching agent is idle"


def test_callers_who_are_served_out_of_turn_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        waiting, "entry_of", lambda plan, call: (-call.entered_ms, 0, -call.entered_order, call.call_id)
    )
    assert _broken() == "callers are served in their order"


@pytest.fixture
def _silent_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the switch say nothing for most of each minute."""
    monkeypatch.setattr(chaos, "_silences", lambda _lot: [(minute * 60_000, 50_000) for minute in range(30)])


@pytest.mark.usefixtures("_silent_days")
def test_callers_of_a_silent_switch_who_are_offered_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_note(turn: Turn, node: str) -> None:
        if node not in turn.state.mute:
            turn.state.mute.append(node)

    monkeypatch.setattr(silence, "_withhold_callers", only_note)
    assert _broken() == "no agent is kept for a switch that says nothing"


@pytest.mark.usefixtures("_silent_days")
def test_callers_of_a_switch_that_speaks_again_who_are_forgotten_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "_reoffer", lambda turn, node: turn.state.mute.remove(node))
    assert _broken() == "no caller waits while a matching agent is idle"


def test_a_decision_that_depends_on_more_than_the_log_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def forgetful(*arguments: Any) -> Outputs:
        seen.append(1)
        out = decide(*arguments)
        if len(seen) == 500:
            out.timers.clear()
            out.events.append(Event(event_id="more"))
        return out

    monkeypatch.setattr(chaos, "decide", forgetful)
    assert _broken() == "replay gives the same bytes"


def _broken() -> str:
    """Play days until one shows that something is wrong; return what."""
    for seed in range(1, 40):
        try:
            chaos.play(seed, 100)
        except Broken as broken:
            return broken.invariant
    return ""


class Books:
    """A checker that is told events by hand."""

    def __init__(self) -> None:
        self.tenant = TenantState("acme")
        self.invariants = Invariants(self.tenant)
        self._sequences: dict[str, int] = {}

    def tell(self, call_id: str, **body: Any) -> None:
        sequence = self._sequences[call_id] = self._sequences.get(call_id, 0) + 1
        event = Event(tenant_id="acme", subject=call_id, call_id=call_id, sequence=sequence, **body)
        self.invariants.see(0, Input(timer=TimerFired()), Outputs([], [event], [], [], []))


def test_an_agent_with_two_offers_is_found_out() -> None:
    books = Books()
    books.tell("c1", offer_created=ev.OfferCreated(offer_id="o1", agent_id="olena"))
    with pytest.raises(Broken, match="one offer and one call"):
        books.tell("c2", offer_created=ev.OfferCreated(offer_id="o2", agent_id="olena"))


def test_an_agent_who_talks_twice_is_found_out() -> None:
    books = Books()
    books.tell("c1", call_answered=ev.CallAnswered(agent_id="olena"))
    with pytest.raises(Broken, match="one offer and one call"):
        books.tell("c2", call_answered=ev.CallAnswered(agent_id="olena"))


def test_a_call_that_ends_twice_is_found_out() -> None:
    books = Books()
    books.tell("c1", call_started=ev.CallStarted())
    books.tell("c1", call_ended=ev.CallEnded(exit=ev.CALL_EXIT_ANSWERED))
    with pytest.raises(Broken, match="exactly one exit"):
        books.tell("c1", call_ended=ev.CallEnded(exit=ev.CALL_EXIT_ANSWERED))


def test_an_offer_without_an_end_and_a_timer_without_an_owner_are_found_out() -> None:
    books = Books()
    books.tell("c1", offer_created=ev.OfferCreated(offer_id="o1", agent_id="olena"))
    with pytest.raises(Broken, match="every reservation ends"):
        books.invariants.empty()
    books.tell("c1", offer_cancelled=ev.OfferCancelled(offer_id="o1", agent_id="olena"))
    books.tenant.timers["wait:c1"] = 5
    with pytest.raises(Broken, match="never leak"):
        books.invariants.empty()


def test_what_another_tenant_is_told_is_found_out() -> None:
    books = Books()
    event = Event(tenant_id="bolt", subject="c1", sequence=1, config_changed=ev.ConfigChanged())
    with pytest.raises(Broken, match="crosses tenants"):
        books.invariants.see(0, Input(document=tn.TenantDocument()), Outputs([], [event], [], [], []))
