"""Flows as pictures: what stands below what, no line through a box, bounded work."""

import time

from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.flow_layout import BOX_HEIGHT, BOX_WIDTH, MOST_BENDS, layout_of

STEPS = [f"s{number}" for number in range(8)]


@st.composite
def flows(draw: st.DrawFn) -> dict[str, list[str]]:
    return {step: draw(st.lists(st.sampled_from(STEPS), max_size=4, unique=True)) for step in STEPS}


@given(flows())
def test_every_way_leads_down_past_all_boxes_or_back_at_the_side(goals: dict[str, list[str]]) -> None:
    layout = layout_of("s0", goals)
    reached, waiting = {"s0"}, ["s0"]
    while waiting:
        new = set(goals[waiting.pop()]) - reached
        reached |= new
        waiting += new
    assert set(layout.spots) == reached
    boxes = list(layout.spots.values())
    for first in boxes:
        near = [other for other in boxes if other != first and abs(other.y - first.y) < BOX_HEIGHT]
        assert all(abs(other.x - first.x) > BOX_WIDTH for other in near)
    assert len(set(boxes)) == len(boxes)
    ways = {(step, goal) for step in reached for goal in goals[step]}
    assert set(layout.bends) | set(layout.lanes) == ways
    assert not set(layout.bends) & set(layout.lanes)
    for (step, goal), passed in layout.bends.items():
        rows = [layout.spots[step].y, *(spot.y for spot in passed), layout.spots[goal].y]
        assert rows == sorted(set(rows))
        for spot in passed:
            assert all(abs(box.x - spot.x) > BOX_WIDTH // 2 for box in boxes if box.y == spot.y)
    assert all(lane > max(box.x for box in boxes) + BOX_WIDTH // 2 for lane in layout.lanes.values())
    assert layout.width > max([0, *layout.lanes.values()])


def test_a_loop_is_one_way_back() -> None:
    layout = layout_of("ask", {"ask": ["check"], "check": ["ask", "check", "bye"], "bye": []})
    assert set(layout.lanes) == {("check", "ask"), ("check", "check")}
    assert layout.spots["ask"].y < layout.spots["check"].y < layout.spots["bye"].y


def test_the_largest_flow_is_laid_out_in_bounded_time_and_size() -> None:
    steps = [f"s{number}" for number in range(500)]
    goals = {step: steps[number + 1 :: 25] + steps[number + 1 : number + 2] for number, step in enumerate(steps)}
    began = time.process_time()
    layout = layout_of("s0", goals)
    assert time.process_time() - began < 10
    assert sum(map(len, layout.bends.values())) <= MOST_BENDS
