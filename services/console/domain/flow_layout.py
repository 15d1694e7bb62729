"""Where the steps of a flow stand in its picture, and where the ways between them run: in rows, from top to bottom.

A step stands below all that lead to it, but for ways back. A way over several rows has a place of its own in each, one
for all that lead to the same step, so that no line runs through a box; ways back run at the right side.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

BOX_WIDTH: Final = 190
BOX_HEIGHT: Final = 56
GAP_X: Final = 40
GAP_Y: Final = 84
MARGIN: Final = 40
LANE: Final = 14
MOST_BENDS: Final = 20_000
"""A flow with more ways over more rows than this is drawn with straight lines."""
_SWEEPS: Final = 4
Goals = Mapping[str, Sequence[str]]
"""Step → the steps that it leads to."""


class Spot(NamedTuple):
    """The middle of a step, or a point that a way passes."""

    x: int
    y: int


class Layout(NamedTuple):
    """Where everything is, in pixels."""

    spots: dict[str, Spot]
    bends: dict[tuple[str, str], list[Spot]]
    """Of a way down over several rows, from above."""
    lanes: dict[tuple[str, str], int]
    """Of a way back: how far to the right it runs."""
    width: int
    height: int


class _Bend(NamedTuple):
    """The place, in one row, of all ways to a step further down."""

    goal: str
    row: int


def layout_of(start: str, goals: Goals) -> Layout:
    """Return where the steps stand that can be reached from the start."""
    rows, backward = _rows(start, goals)
    ways = [(step, goal) for step in rows for goal in goals.get(step, ()) if (step, goal) not in backward]
    bends = {way: _bends_of(way, rows) for way in ways}
    if sum(map(len, bends.values())) > MOST_BENDS:
        bends = {way: [] for way in ways}
    order = _ordered(rows, bends)
    widths = [sum(map(_width, row)) + GAP_X * (len(row) - 1) for row in order]
    places = dict(_placed(order, widths))
    back = sorted(backward, key=lambda way: (rows[way[0]] - rows[way[1]], way))
    right = MARGIN + max(widths)
    return Layout(
        {step: places[step] for step in rows},
        {way: [places[bend] for bend in passed] for way, passed in bends.items()},
        {way: right + LANE * (number + 1) for number, way in enumerate(back)},
        right + LANE * len(back) + MARGIN,
        2 * MARGIN + len(order) * (BOX_HEIGHT + GAP_Y) - GAP_Y,
    )


def _rows(start: str, goals: Goals) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """Return each step's row, and the ways that lead back to where one came from."""
    open_steps, done, backward = {start}, list[str](), set[tuple[str, str]]()
    seen, path = {start}, [(start, iter(goals.get(start, ())))]
    while path:
        step, left = path[-1]
        goal = next(left, None)
        if goal is None:
            path.pop()
            open_steps.discard(step)
            done.append(step)
        elif goal in open_steps:
            backward.add((step, goal))
        elif goal not in seen:
            seen.add(goal)
            open_steps.add(goal)
            path.append((goal, iter(goals.get(goal, ()))))
    rows = dict.fromkeys(reversed(done), 0)
    for step in rows:
        for goal in goals.get(step, ()):
            if (step, goal) not in backward:
                rows[goal] = max(rows[goal], rows[step] + 1)
    return rows, backward


def _bends_of(way: tuple[str, str], rows: Mapping[str, int]) -> list[_Bend]:
    return [_Bend(way[1], row) for row in range(rows[way[0]] + 1, rows[way[1]])]


def _ordered(rows: Mapping[str, int], bends: Mapping[tuple[str, str], list[_Bend]]) -> list[list[str | _Bend]]:
    """Return the rows from left to right: what hangs together stands together, by the middle of its neighbours."""
    order: list[list[str | _Bend]] = [[] for _ in range(max(rows.values()) + 1)]
    above: dict[str | _Bend, list[str | _Bend]] = {}
    below: dict[str | _Bend, list[str | _Bend]] = {}
    for step, number in rows.items():
        order[number].append(step)
    for bend in dict.fromkeys(bend for passed in bends.values() for bend in passed):
        order[bend.row].append(bend)
    for (step, goal), passed in bends.items():
        chain: list[str | _Bend] = [step, *passed, goal]
        for upper, lower in pairwise(chain):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    for sweep in range(_SWEEPS):
        neighbours, sequence = (below, order[-2::-1]) if sweep % 2 else (above, order[1:])
        places = {each: _share(row, place) for row in order for place, each in enumerate(row)}
        for row in sequence:
            middles = {each: _middle(neighbours.get(each, [each]), places) for each in row}
            row.sort(key=middles.__getitem__)
            places |= {each: _share(row, place) for place, each in enumerate(row)}
    return order


def _share(row: list[str | _Bend], place: int) -> float:
    """Return how far from the middle of its row a place is."""
    return place - (len(row) - 1) / 2


def _middle(near: Sequence[str | _Bend], places: Mapping[str | _Bend, float]) -> float:
    return sum(places[each] for each in near) / len(near)


def _width(each: str | _Bend) -> int:
    return BOX_WIDTH if isinstance(each, str) else LANE


def _placed(order: list[list[str | _Bend]], widths: list[int]) -> Iterator[tuple[str | _Bend, Spot]]:
    widest = max(widths)
    for number, (row, width) in enumerate(zip(order, widths, strict=True)):
        left = MARGIN + (widest - width) // 2
        for each in row:
            yield each, Spot(left + _width(each) // 2, MARGIN + number * (BOX_HEIGHT + GAP_Y) + BOX_HEIGHT // 2)
            left += _width(each) + GAP_X
