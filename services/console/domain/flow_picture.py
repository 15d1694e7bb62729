"""A flow as a picture for people: Mermaid text, and SVG that needs nothing else (SPEC 2.2).

The layout is plain: steps stand in rows by their distance from the start, ways back run at the side.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from services.console.domain.flow_graph import kind_of
from services.console.domain.flow_schema import RETURN

Flow = dict[str, Any]
Edge = tuple[str, str, str]
"""From step, to step, the names of the exits between them."""

BOX_WIDTH: Final = 190
BOX_HEIGHT: Final = 56
GAP_X: Final = 40
GAP_Y: Final = 84
MARGIN: Final = 40
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


@dataclass(frozen=True, slots=True)
class Box:
    """A step in the picture: its middle, and what stands in it."""

    step_id: str
    kind: str
    detail: str
    x: int
    y: int


def mermaid(flow: Flow) -> str:
    """Return a flow of sound shape as a Mermaid flowchart."""
    names = {step_id: f"s{number}" for number, step_id in enumerate(_rows(flow))}
    lines = ["flowchart TD", f"    begin(({_quoted('start')})) --> {names[flow['start']]}"]
    for step_id, kind, detail in _labels(flow):
        text = _quoted(f"{step_id}<br/><i>{kind}</i>" + (f"<br/>{_mermaid_text(detail)}" if detail else ""))
        lines.append(f"    {names[step_id]}[{text}]")
    for start, goal, exits in _edges(flow):
        lines.append(f"    {names[start]} -->|{_quoted(exits)}| {names[goal]}")
    return "\n".join(lines) + "\n"


def svg(flow: Flow) -> str:
    """Return a flow of sound shape as an SVG document. Every word of it is escaped: it was written by a stranger."""
    boxes = {box.step_id: box for box in _boxes(flow)}
    width = max(box.x for box in boxes.values()) + BOX_WIDTH // 2 + 3 * MARGIN
    height = max(box.y for box in boxes.values()) + BOX_HEIGHT // 2 + MARGIN
    edges = list(_edges(flow))
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
        *(_line(boxes[start], boxes[goal]) for start, goal, _ in edges),
        *(_box(box, is_start=box.step_id == flow["start"]) for box in boxes.values()),
        *(_label(boxes[start], boxes[goal], exits) for start, goal, exits in edges),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _edges(flow: Flow) -> Iterator[Edge]:
    """Yield the ways between steps, those between the same two as one."""
    for step in flow["steps"]:
        ways: dict[str, list[str]] = {}
        for name, goal in sorted(step.get("exits", {}).items()):
            ways.setdefault(goal, []).append(name)
        for goal, names in ways.items():
            yield step["step_id"], goal, ", ".join(names)


def _labels(flow: Flow) -> Iterator[tuple[str, str, str]]:
    steps = {step["step_id"]: step for step in flow["steps"]}
    for step_id in _rows(flow):
        if step_id not in steps:
            yield step_id, "end of the flow", ""
            continue
        kind = kind_of(steps[step_id])
        wish = steps[step_id][kind]
        shown = next((str(wish[name]) for name in _SHOWN if name in wish), ", ".join(wish.get("prompts", ())))
        yield step_id, kind, shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"


def _rows(flow: Flow) -> dict[str, int]:
    """Return each step's row: its distance from the start; the end of the flow stands below all."""
    goals = {step["step_id"]: [goal for _, goal in sorted(step.get("exits", {}).items())] for step in flow["steps"]}
    rows = {flow["start"]: 0}
    waiting = [flow["start"]]
    for step_id in waiting:
        for goal in goals.get(step_id, ()):
            if goal in goals and goal not in rows:
                rows[goal] = rows[step_id] + 1
                waiting.append(goal)
    if any(RETURN in targets for targets in goals.values()):
        rows[RETURN] = max(rows.values()) + 1
    return rows


def _boxes(flow: Flow) -> Iterator[Box]:
    rows = _rows(flow)
    in_row = Counter(rows.values())
    widest = max(in_row.values())
    placed: dict[int, int] = {}
    for step_id, kind, detail in _labels(flow):
        row = rows[step_id]
        place = placed[row] = placed.get(row, -1) + 1
        left = MARGIN + (widest - in_row[row]) * (BOX_WIDTH + GAP_X) // 2
        x = left + place * (BOX_WIDTH + GAP_X) + BOX_WIDTH // 2
        yield Box(step_id, kind, detail, x, MARGIN + row * (BOX_HEIGHT + GAP_Y) + BOX_HEIGHT // 2)


def _box(box: Box, *, is_start: bool) -> str:
    x, y = box.x - BOX_WIDTH // 2, box.y - BOX_HEIGHT // 2
    colour = _COLOURS.get(box.kind, _COLOURS[RETURN] if box.step_id == RETURN else _PLAIN)
    border = 'stroke="#0f172a" stroke-width="2.5"' if is_start else 'stroke="#94a3b8"'
    detail = f": {box.detail}" if box.detail else ""
    return (
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="{colour}" {border}/>'
        f'<text x="{box.x}" y="{box.y - 5}" text-anchor="middle" font-weight="bold">{_short(box.step_id)}</text>'
        f'<text x="{box.x}" y="{box.y + 14}" text-anchor="middle" fill="#475569" font-size="11">'
        f"{_short(box.kind + detail)}</text>"
    )


def _line(start: Box, goal: Box) -> str:
    from_y, to_y = start.y + BOX_HEIGHT // 2, goal.y - BOX_HEIGHT // 2
    if goal.y > start.y:
        middle = (from_y + to_y) // 2
        path = f"M{start.x} {from_y} C{start.x} {middle} {goal.x} {middle} {goal.x} {to_y}"
    else:
        side = max(start.x, goal.x) + BOX_WIDTH // 2 + MARGIN
        right, far = start.x + BOX_WIDTH // 2, goal.x + BOX_WIDTH // 2
        path = f"M{right} {start.y} C{side} {start.y} {side} {goal.y + 12} {far} {goal.y + 12}"
    return f'<path d="{path}" fill="none" stroke="#475569" stroke-width="1.3" marker-end="url(#arrow)"/>'


def _label(start: Box, goal: Box, exits: str) -> str:
    """Return the exits' names, a third of the way: there lines of one step lie apart from those of the next."""
    if goal.y > start.y:
        x, y = start.x + (goal.x - start.x) // 3, start.y + BOX_HEIGHT // 2 + GAP_Y // 3
    else:
        x, y = max(start.x, goal.x) + BOX_WIDTH // 2 + MARGIN // 2, (start.y + goal.y) // 2
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
