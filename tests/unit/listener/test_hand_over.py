"""A leg changes the log of its tenant once, wherever the listener is killed, and whether or not it hangs up meanwhile.

What each log makes of it is read from the log itself: the former one ends the call when the hand-over failed, the new
one when it was told of the call and then of the leg's end. It must be one of the two.
"""

from pathlib import Path
from typing import Any

import pytest

from services.listener.adapters import executor as executor_module
from services.listener.adapters.ledger_log import LedgerLog
from services.listener.adapters.leg_journal import LegJournal
from services.listener.adapters.publisher import Publisher
from services.listener.domain.directory import Directory
from services.listener.domain.facts import FactBuilder
from services.listener.domain.legs import Leg
from services.listener.domain.normaliser import Normaliser
from services.listener.domain.reconciliation import Picture, Reconciler
from services.shared.bus.topics import INPUTS
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.testing.memory_bus import MemoryBus
from tests.unit.listener.test_executor import (
    NODE,
    NOW_MS,
    Disaster,
    FakeSwitch,
    Life,
    _quick,
    committed,
    send,
    wait_until,
)

__all__ = ["_quick"]
ORDER = pb.HandOverLeg(to_domain="north", hop=1, record=b'{"call": 1}')
LINE = "+380441000001"


@pytest.fixture(autouse=True)
def _commits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "COMMIT_SECONDS", 0.0)


def begin(folder: Path, bus: MemoryBus, switch: FakeSwitch) -> Life:
    """Begin a life; the first one on a disk knows of one caller."""
    is_first = not (folder / "legs.log").exists()
    life = Life(folder, bus, switch)
    if is_first:
        life.legs.add(Leg("leg-1", "acme", line=LINE))
        life.journal.note(life.legs, 1, 0)
        life.journal.write(life.legs, 0)
    return life


def reconcile(life: Life, *, is_gone: bool) -> None:
    """Tell what was missed before anything is executed, as the pump does."""
    reconciler = Reconciler(Normaliser(FactBuilder(NODE), Directory(), life.legs, "/rec", lambda: None))
    gone = frozenset({"leg-1"} if is_gone else ())
    life.publisher.put_all(reconciler.difference(Picture((), (), None, gone, {}), NOW_MS * 1000))


def told(bus: MemoryBus) -> list[tuple[str, Input]]:
    return [(record.key, Input.FromString(record.value)) for record in bus.records(INPUTS)]


def who_ends_it(bus: MemoryBus) -> list[str]:
    """Return the logs whose routers end the call."""
    ends, has_north = [], False
    outcomes = [given.command_result.outcome for key, given in told(bus) if given.HasField("command_result")]
    if pb.COMMAND_OUTCOME_DONE not in outcomes and pb.COMMAND_OUTCOME_FAILED in outcomes:
        ends.append("acme")
    for key, given in told(bus):
        if key != "acme/north":
            continue
        has_north = has_north or given.fact.HasField("leg_handed_over")
        if has_north and given.fact.HasField("leg_hung_up") and "acme/north" not in ends:
            ends.append("acme/north")
    return ends


@pytest.mark.parametrize("hangs_up", [False, True])
def test_one_log_has_the_call_wherever_the_listener_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hangs_up: bool
) -> None:
    killed_lives = 0
    for at in range(1, 40):
        folder, bus, switch, disaster = tmp_path / str(at), MemoryBus(), FakeSwitch(), Disaster(at)
        folder.mkdir()
        with monkeypatch.context() as patch:
            life = begin(folder, bus, switch)
            switch.disaster = disaster
            _count_steps(patch, disaster)
            send(bus, command_id="c1", hand_over_leg=ORDER)
            died = wait_until(lambda: disaster.steps >= disaster.at or committed(bus) == 1) and disaster.steps >= at  # noqa: B023 - used before the next turn
            life.end()
        switch.disaster = Disaster()
        if hangs_up:
            switch.live.clear()
        again = begin(folder, bus, switch)
        reconcile(again, is_gone=hangs_up)
        assert wait_until(lambda: committed(bus) == 1 and again.publisher.is_settled), at  # noqa: B023 - the same
        again.end()
        third = begin(folder, bus, switch)
        if hangs_up:
            assert len(who_ends_it(bus)) == 1, f"killed at step {at}: {[(k, str(g)) for k, g in told(bus)]}"
        else:
            assert third.legs.live["leg-1"].domain == "north", at
            assert any(key == "acme/north" and given.fact.HasField("leg_handed_over") for key, given in told(bus)), at
            assert {given.command_result.outcome for _, given in told(bus) if given.HasField("command_result")} == {
                pb.COMMAND_OUTCOME_DONE
            }
        third.end()
        killed_lives += died
        if not died:
            break
    assert killed_lives >= 6, "the disaster must have struck at several steps"
    assert not died, "the last life must have had no disaster"


def _count_steps(patch: pytest.MonkeyPatch, disaster: Disaster) -> None:
    for owner, name in ((LedgerLog, "begin"), (LedgerLog, "end"), (Publisher, "put_all"), (LegJournal, "note")):
        whole = getattr(owner, name)

        def around(self: Any, *arguments: Any, whole: Any = whole) -> Any:
            disaster.step()
            value = whole(self, *arguments)
            disaster.step()
            return value

        patch.setattr(owner, name, around)


def test_a_leg_that_is_gone_or_fell_back_or_was_handed_on_is_not_handed_over(tmp_path: Path) -> None:
    bus = MemoryBus()
    life = begin(tmp_path, bus, FakeSwitch())
    life.legs.add(Leg("fallen", "acme", has_fallen_back=True))
    life.legs.add(Leg("later", "acme", domain="south", hop=3))
    for number, leg_id in enumerate(("unknown", "fallen", "later"), 1):
        send(bus, command_id=f"c{number}", leg_id=leg_id, hand_over_leg=ORDER)
        assert wait_until(lambda: committed(bus) == number)  # noqa: B023 - used before the next turn
    life.end()
    causes = [given.command_result.cause for _, given in told(bus)]
    assert causes == ["NO_SUCH_LEG", "FELL_BACK", "STALE"]
    assert life.legs.live["later"].domain == "south"


def test_facts_before_the_hand_over_stand_in_the_former_log_and_later_ones_in_the_new(tmp_path: Path) -> None:
    bus = MemoryBus()
    life = begin(tmp_path, bus, FakeSwitch())
    facts, leg = FactBuilder(NODE), life.legs.live["leg-1"]
    before = facts.of_leg(leg, 5, 1)
    before.fact.digit_pressed.digit = "1"
    life.publisher.put(before)
    send(bus, command_id="c1", hand_over_leg=ORDER)
    assert wait_until(lambda: committed(bus) == 1)
    after = facts.of_leg(leg, 6, 1)
    after.fact.leg_hung_up.cause = "NORMAL_CLEARING"
    life.publisher.put(after)
    assert wait_until(lambda: life.publisher.is_settled)
    life.end()
    kinds: dict[str, list[str | None]] = {"acme": [], "acme/north": []}
    for key, given in told(bus):
        kinds[key].append(given.fact.WhichOneof("fact") or given.WhichOneof("input"))
    assert kinds == {
        "acme": ["digit_pressed", "command_result", "leg_hung_up"],  # the last of each leg stands there too
        "acme/north": ["leg_handed_over", "leg_hung_up"],
    }
    handed = next(given for key, given in told(bus) if key == "acme/north").fact.leg_handed_over
    assert (handed.from_domain, handed.hop, handed.record) == ("", 1, ORDER.record)
