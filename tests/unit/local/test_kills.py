from hypothesis import given
from hypothesis import strategies as st

from local.stack.kills import VICTIMS, Kill, by_lot, counted, in_turn


def test_kills_in_turn_are_evenly_spread() -> None:
    assert in_turn(["router", "broker", "switch"]) == [Kill(0.25, "router"), Kill(0.5, "broker"), Kill(0.75, "switch")]
    assert in_turn([]) == []


@given(st.integers(0, 300), st.integers())
def test_a_lot_is_drawn_again_by_its_seed_in_order_of_time(count: int, seed: int) -> None:
    kills = by_lot(count, seed)
    assert kills == by_lot(count, seed)
    assert len(kills) == count
    assert [kill.at for kill in kills] == sorted(kill.at for kill in kills)
    assert all(0 <= kill.at < 1 and kill.name in VICTIMS for kill in kills)


def test_lots_of_other_seeds_differ_and_reach_every_process() -> None:
    assert by_lot(20, 1) != by_lot(20, 2)
    assert {kill.name for kill in by_lot(500, 3)} == set(VICTIMS)


def test_kills_are_counted_most_often_first() -> None:
    assert counted([Kill(0.1, "router"), Kill(0.2, "broker"), Kill(0.3, "broker")]) == "broker 2, router 1"
