"""What is written of legs, and when: a line says that something was told, and may not come before that is safe."""

from pathlib import Path

from services.listener.adapters.leg_journal import LegJournal
from services.listener.domain.legs import Asked, Leg, LegTable

UNSAFE = 7
"""The token of what is told and not yet safe."""


class Life:
    def __init__(self, path: Path) -> None:
        self.legs, self.journal = LegTable(), LegJournal(path)
        self.seen_us = self.journal.load(self.legs)

    def keep(self, token: int) -> None:
        self.journal.note(self.legs, 1, token)

    def settle(self, token: int) -> None:
        self.journal.write(self.legs, token)

    def ask(self, command_id: str) -> None:
        self.legs.ask("a", command_id, Asked.PLAYBACK)
        self.journal.write_now(self.legs, "a", UNSAFE)


def born(path: Path) -> Life:
    life = Life(path)
    life.legs.add(Leg("a", "acme", line="+1000"))
    life.keep(1)
    life.settle(1)
    return life


def test_asking_a_leg_does_not_say_that_its_answer_was_told(tmp_path: Path) -> None:
    """Killed between the two, the next life must find out that it was answered, and tell it."""
    path = tmp_path / "legs.log"
    life = born(path)
    life.legs.live["a"].answered_us = 5
    life.legs.touch(life.legs.live["a"])
    life.keep(UNSAFE)
    life.ask("p1")
    leg = Life(path).legs.live["a"]
    assert (leg.answered_us, leg.line, leg.asked) == (0, "+1000", {"p1": Asked.PLAYBACK})
    life.settle(UNSAFE)
    leg = Life(path).legs.live["a"]
    assert (leg.answered_us, leg.asked) == (5, {"p1": Asked.PLAYBACK}), "what was noted before knows of the asking"


def test_an_end_that_is_not_safe_yet_is_told_again_also_when_something_else_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "legs.log"
    life = born(path)
    life.ask("p1")
    del life.legs.live["a"].asked["p1"]
    life.ask("p2")
    assert list(Life(path).legs.live["a"].asked) == ["p1", "p2"]
    life.settle(UNSAFE)
    assert list(Life(path).legs.live["a"].asked) == ["p2"]


def test_a_leg_that_is_not_known_to_live_is_not_made_by_asking_it(tmp_path: Path) -> None:
    path = tmp_path / "legs.log"
    life = Life(path)
    life.ask("p1")
    assert Life(path).legs.live == {}


def test_what_is_told_and_not_safe_is_not_written_when_the_file_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "legs.log"
    life = born(path)
    for _ in range(6_000):
        life.legs.touch(life.legs.live["a"])
        life.keep(1)
        life.journal._write(["a"])
    life.legs.live["a"].answered_us = 5
    life.legs.touch(life.legs.live["a"])
    life.settle(1)
    assert Life(path).legs.live["a"].answered_us == 0
    life.keep(UNSAFE)
    life.settle(UNSAFE)
    assert Life(path).legs.live["a"].answered_us == 5
    assert path.read_bytes().count(b"\n") < 10


def test_masks_and_everything_of_a_leg_outlive_the_listener(tmp_path: Path) -> None:
    path = tmp_path / "legs.log"
    life = Life(path)
    leg = Leg("a", "acme", call_id="c", line="+1", is_inbound=False, command_id="k", created_us=1, answered_us=2)
    leg.is_parked = leg.is_held = leg.has_fallen_back = True
    leg.other_leg_id, leg.domain, leg.hop, leg.asked = "b", "north", 3, {"d": Asked.DIGITS}
    life.legs.add(leg)
    life.legs.mask("c", "r1")
    life.journal.write_now(life.legs, "call c", UNSAFE)
    life.legs.core_uuid = "core"
    life.keep(UNSAFE)
    life.settle(UNSAFE)
    again = Life(path)
    assert again.legs.live == {"a": leg}
    assert (again.legs.masked, again.legs.core_uuid, again.seen_us) == ({"c": {"r1"}}, "core", 1)
    again.legs.end(again.legs.live["a"])
    again.keep(UNSAFE)
    again.settle(UNSAFE)
    last = Life(path)
    assert (last.legs.live, last.legs.ended_before, last.legs.masked) == ({}, {"a"}, {})
