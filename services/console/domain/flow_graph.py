"""Whether a flow can be walked: every exit leads somewhere, every step is reached, no caller runs in circles (2.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.console.domain.fault import Fault, path_of
from services.console.domain.schema import OPTIONAL_EXITS, REQUIRED_EXITS

Step = dict[str, Any]
Graph = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides which exits of a flow's steps are needed."""

    schedules_with_holidays: frozenset[str]
    queues_with_limit: frozenset[str]
    queues_with_capacity: frozenset[str]


def kind_of(step: Step) -> str:
    """Return the type of a step that has a sound shape."""
    return next(kind for kind in REQUIRED_EXITS if kind in step)


def faults_of_flow(flow: dict[str, Any], index: int, around: Surroundings) -> Iterator[Fault]:
    """Yield everything that is wrong with the graph of a flow that has a sound shape."""
    at: list[str | int] = ["flows", index]
    steps: list[Step] = flow["steps"]
    known = {step["step_id"] for step in steps}
    if flow["start"] not in known:
        yield Fault(path_of([*at, "start"]), f"there is no step {flow['start']}.")
    for number, step in enumerate(steps):
        yield from _faults_of_exits(step, [*at, "steps", number], known, around)
    if flow["start"] in known:
        yield from _unreachable(steps, flow["start"], at)
    yield from _endless(steps, at)


def _faults_of_exits(step: Step, at: list[str | int], known: set[str], around: Surroundings) -> Iterator[Fault]:
    kind, exits = kind_of(step), step.get("exits", {})
    for name in _needed(step, kind, around):
        if name not in exits:
            yield Fault(path_of([*at, "exits", name]), f"is missing: a {kind} step must say where to go on.")
    if kind == "menu" and not any(name in OPTIONAL_EXITS["menu"] for name in exits):
        yield Fault(path_of([*at, "exits"]), "a menu needs an exit for a digit at least.")
    allowed = (*REQUIRED_EXITS[kind], *OPTIONAL_EXITS.get(kind, ()))
    for name, target in exits.items():
        if name not in allowed:
            yield Fault(path_of([*at, "exits", name]), f"a {kind} step has no such exit.")
        if target not in known:
            yield Fault(path_of([*at, "exits", name]), f"there is no step {target}.")


def _needed(step: Step, kind: str, around: Surroundings) -> list[str]:
    needed = list(REQUIRED_EXITS[kind])
    if kind == "schedule" and step["schedule"]["schedule_id"] in around.schedules_with_holidays:
        needed.append("holiday")
    if kind == "queue" and step["queue"]["queue_id"] in around.queues_with_limit:
        needed.append("timeout")
    if kind == "queue" and step["queue"]["queue_id"] in around.queues_with_capacity:
        needed.append("full")
    return needed


def _unreachable(steps: list[Step], start: str, at: list[str | int]) -> Iterator[Fault]:
    graph = {step["step_id"]: set(step.get("exits", {}).values()) for step in steps}
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        step_id = waiting.pop()
        if step_id not in reached:
            reached.add(step_id)
            waiting += graph.get(step_id, ())
    for number, step in enumerate(steps):
        if step["step_id"] not in reached:
            yield Fault(path_of([*at, "steps", number]), f"no call can reach the step {step['step_id']}.")


def _endless(steps: list[Step], at: list[str | int]) -> Iterator[Fault]:
    """Name each circle of steps in which nobody is asked and nothing is waited for."""
    graph: Graph = {step["step_id"]: _restless_exits(step) for step in steps}
    told: set[str] = set()
    for number, step in enumerate(steps):
        step_id = step["step_id"]
        circle = _circle(graph, step_id)
        if circle and step_id not in told:
            told |= set(circle)
            words = " -> ".join([*circle, step_id])
            yield Fault(path_of([*at, "steps", number]), f"a call could run in circles without an input: {words}.")


def _restless_exits(step: Step) -> set[str]:
    """Return where a call can go on from a step without any input of the caller and without a wait."""
    kind, exits = kind_of(step), step.get("exits", {})
    if kind == "menu":
        return set()
    if kind == "queue":
        return {target for name, target in exits.items() if name != "timeout"}
    return set(exits.values())


def _circle(graph: Graph, start: str) -> list[str]:
    """Return the shortest way from a step back to itself, none when there is none."""
    came_from: dict[str, str] = {}
    waiting = [start]
    for step_id in waiting:
        for target in sorted(graph.get(step_id, ())):
            if target == start:
                return _way(came_from, start, step_id)
            if target not in came_from:
                came_from[target] = step_id
                waiting.append(target)
    return []


def _way(came_from: dict[str, str], start: str, end: str) -> list[str]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]
