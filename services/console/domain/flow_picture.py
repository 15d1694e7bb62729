"""A flow as a picture for people: Mermaid text, and SVG that needs nothing else (SPEC 2.2)."""

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Final

from services.console.domain.flow_graph import kind_of
from services.console.domain.flow_layout import BOX_HEIGHT, BOX_WIDTH, GAP_Y, LANE, Layout, Spot, layout_of
from services.console.domain.flow_schema import RETURN

Flow = dict[str, Any]
Edge = tuple[str, str, str]
"""From step, to step, the names of the exits between them."""
Label = tuple[str, str, str]
"""Step, kind, and the word that tells most of it."""

LONGEST_TEXT: Final = 28
_SHOWN: Final = ("queue_id", "agent_id", "list_id", "schedule_id", "flow_id", "number", "variable", "survey_id", "text")
_COLOURS: Final = {
    "menu": "#dbeafe",
    "collect": "#dbeafe",
    "survey": "#dbeafe",
    "consent": "#dbeafe",
    "callback": "#dbeafe",
    "voicemail": "#dbeafe",
    "queue": "#dcfce7",
    "agent": "#dcfce7",
    "forward": "#dcfce7",
    "schedule": "#fef9c3",
    "check_list": "#fef9c3",
    "branch": "#fef9c3",
    "set": "#f3e8ff",
    "lookup": "#f3e8ff",
    "subflow": "#f3e8ff",
    "hangup": "#fee2e2",
    RETURN: "#fee2e2",
}
_PLAIN: Final = "#f1f5f9"


def mermaid(flow: Flow) -> str:
    """Return a flow of sound shape as a Mermaid flowchart."""
    names = {step_id: f"s{number}" for number, step_id in enumerate(_reached(flow))}
    lines = ["flowchart TD", f"    begin(({_quoted('start')})) --> {names[flow['start']]}"]
    for step_id, kind, detail in _labels(flow):
        text = _quoted(f"{step_id}<br/><i>{kind}</i>" + (f"<br/>{_mermaid_text(detail)}" if detail else ""))
        lines.append(f"    {names[step_id]}[{text}]")
    for start, goal, exits in _edges(flow):
        if start not in names:
            continue
        lines.append(f"    {names[start]} -->|{_quoted(exits)}| {names[goal]}")
    return "\n".join(lines) + "\n"


def svg(flow: Flow) -> str:
    """Return a flow of sound shape as an SVG document. Every word of it is escaped: it was written by a stranger."""
    layout = layout_of(flow["start"], _goals(flow))
    edges = [edge for edge in _edges(flow) if edge[0] in layout.spots]
    numbers = {edge: number % 3 for _, ways in groupby(edges, itemgetter(0)) for number, edge in enumerate(ways)}
    width, height = layout.width, layout.height
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" font-family="sans-serif" font-size="13"><title>{escape(flow["flow_id"])}</title>'
        ),
        (
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0 0 8 4 0 8z" fill="#475569"/></marker></defs>'
            f'<rect width="{width}" height="{height}" fill="#fff"/>'
        ),
        *(_line(layout, start, goal) for start, goal, _ in edges),
        *(_box(label, layout.spots[label[0]], is_start=label[0] == flow["start"]) for label in _labels(flow)),
        *(_label(layout, edge, number) for edge, number in numbers.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _goals(flow: Flow) -> dict[str, list[str]]:
    known = {step["step_id"] for step in flow["steps"]} | {RETURN}
    return {
        step["step_id"]: [goal for goal in dict.fromkeys(step.get("exits", {}).values()) if goal in known]
        for step in flow["steps"]
    }


def _reached(flow: Flow) -> Iterable[str]:
    """Return the steps that the picture shows, from above."""
    spots = layout_of(flow["start"], _goals(flow)).spots
    return sorted(spots, key=lambda step_id: (spots[step_id].y, spots[step_id].x))


def _edges(flow: Flow) -> Iterator[Edge]:
    """Yield the ways between steps, those between the same two as one."""
    for step in flow["steps"]:
        ways: dict[str, list[str]] = {}
        for name, goal in sorted(step.get("exits", {}).items()):
            ways.setdefault(goal, []).append(name)
        for goal, names in ways.items():
            yield step["step_id"], goal, ", ".join(names)


def _labels(flow: Flow) -> Iterator[Label]:
    steps = {step["step_id"]: step for step in flow["steps"]}
    for step_id in _reached(flow):
        if step_id not in steps:
            yield step_id, "end of the flow", ""
            continue
        kind = kind_of(steps[step_id])
        wish = steps[step_id][kind]
        shown = next((str(wish[name]) for name in _SHOWN if name in wish), ", ".join(wish.get("prompts", ())))
        yield step_id, kind, shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"


def _box(label: Label, spot: Spot, *, is_start: bool) -> str:
    step_id, kind, detail = label
    x, y = spot.x - BOX_WIDTH // 2, spot.y - BOX_HEIGHT // 2
    colour = _COLOURS[RETURN] if step_id == RETURN else _COLOURS.get(kind, _PLAIN)
    border = 'stroke="#0f172a" stroke-width="2.5"' if is_start else 'stroke="#94a3b8"'
    return (
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="{colour}" {border}/>'
        f'<text x="{spot.x}" y="{spot.y - 5}" text-anchor="middle" font-weight="bold">{_short(step_id)}</text>'
        f'<text x="{spot.x}" y="{spot.y + 14}" text-anchor="middle" fill="#475569" font-size="11">'
        f"{_short(f'{kind}: {detail}' if detail else kind)}</text>"
    )


def _line(layout: Layout, start: str, goal: str) -> str:
    begin, end = layout.spots[start], layout.spots[goal]
    lane = layout.lanes.get((start, goal))
    if lane is None:
        path = _down([begin, *layout.bends[start, goal], end])
    else:
        # Out below the one box, up at the side, in above the other: there are no boxes between rows.
        out, into = begin.y + BOX_HEIGHT // 2 + LANE, end.y - BOX_HEIGHT // 2 - 2 * LANE
        x, far = begin.x + BOX_WIDTH // 3, end.x + BOX_WIDTH // 3
        path = f"M{x} {out - LANE} V{out} H{lane} V{into} H{far} V{into + 2 * LANE}"
    return f'<path d="{path}" fill="none" stroke="#475569" stroke-width="1.3" marker-end="url(#arrow)"/>'


def _down(spots: list[Spot]) -> str:
    """Return a path that bends between rows and runs straight through them."""
    half = BOX_HEIGHT // 2
    path = f"M{spots[0].x} {spots[0].y + half}"
    for upper, lower in pairwise(spots):
        middle = (upper.y + lower.y) // 2
        path += f" C{upper.x} {middle} {lower.x} {middle} {lower.x} {lower.y - half}"
        path += f" V{lower.y + half}" if lower is not spots[-1] else ""
    return path


def _label(layout: Layout, edge: Edge, number: int) -> str:
    """Return the exits' names near their step, each of a step's ways a little lower than the one before."""
    start, goal, exits = edge
    begin = layout.spots[start]
    if (start, goal) in layout.lanes:
        x, y = begin.x + BOX_WIDTH // 2, begin.y + BOX_HEIGHT // 2 + LANE + 4
    else:
        towards = (*layout.bends[start, goal], layout.spots[goal])[0]
        x, y = begin.x + (towards.x - begin.x) // 3, begin.y + BOX_HEIGHT // 2 + GAP_Y // 5 + LANE * number
    return (
        f'<text x="{x}" y="{y}" text-anchor="middle" font-size="11" fill="#0f172a" stroke="#fff" stroke-width="3" '
        f'paint-order="stroke">{_short(exits)}</text>'
    )


def _short(text: str) -> str:
    return escape(text if len(text) <= LONGEST_TEXT + 2 else text[: LONGEST_TEXT + 1] + "…")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "#quot;") + '"'


def _mermaid_text(text: str) -> str:
    """Return a text in which neither Mermaid nor HTML finds anything to obey."""
    return "".join(one if one.isalnum() or one in " .,:+-_…" else f"#{ord(one)};" for one in text)
