"""Whether a flow can be walked: every exit leads somewhere, every step is reached, no caller runs in circles (2.2)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from services.console.domain.fault import Fault, path_of
from services.console.domain.flow_schema import KEYS, OPTIONAL_EXITS, REQUIRED_EXITS, RETURN

Step = dict[str, Any]
Flow = dict[str, Any]
Graph = dict[str, set[str]]

MOST_CIRCLES: Final = 10
"""So many circles of a flow are told; who mends them finds the rest at the next try."""

# Exits by which the caller did something, or waited: a circle through one of them ends with the caller's patience.
_RESTING: Final[dict[str, frozenset[str]]] = {
    "menu": frozenset((*KEYS, "timeout", "invalid")),
    "collect": frozenset({"next", "timeout", "invalid"}),
    "survey": frozenset({"next", "skipped"}),
    "callback": frozenset({"requested", "declined"}),
    "voicemail": frozenset({"next"}),
    "queue": frozenset((*KEYS, "timeout", "answered")),
    "agent": frozenset({"answered"}),
}
_BOTH = frozenset({"given", "refused"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides which exits of a flow's steps are needed, and where they lead."""

    schedules_with_holidays: frozenset[str]
    queues_with_limit: frozenset[str]
    queues_with_capacity: frozenset[str]
    restless_flows: frozenset[str] = field(default_factory=frozenset)
    """Subflows that a call can pass through without an input."""


def kind_of(step: Step) -> str:
    """Return the type of a step that has a sound shape."""
    return next(kind for kind in REQUIRED_EXITS if kind in step)


def faults_of_flow(flow: Flow, index: int, around: Surroundings) -> Iterator[Fault]:
    """Yield everything that is wrong with the graph of a flow that has a sound shape."""
    at: list[str | int] = ["flows", index]
    steps: list[Step] = flow["steps"]
    known = {step["step_id"] for step in steps}
    if flow["start"] not in known:
        yield Fault(path_of([*at, "start"]), f"there is no step {flow['start']}.")
    for number, step in enumerate(steps):
        if step["step_id"] == RETURN:
            yield Fault(
                path_of([*at, "steps", number, "step_id"]), f"{RETURN} means the end of a flow; choose another."
            )
        yield from _faults_of_exits(step, [*at, "steps", number], known | {RETURN}, around)
    if flow["start"] in known:
        yield from _unreachable(steps, flow["start"], at)
    yield from _endless(steps, at, around)


def faults_of_nesting(flows: list[Flow]) -> Iterator[Fault]:
    """Yield the flows that call themselves, over whatever way."""
    calls = {
        flow["flow_id"]: {step["subflow"]["flow_id"] for step in flow["steps"] if "subflow" in step} for flow in flows
    }
    for circle in _circles(calls):
        words = " -> ".join([*circle, circle[0]])
        index, number = _place_of_call(flows, circle[0], circle[1 % len(circle)])
        at = path_of(["flows", index, "steps", number, "subflow", "flow_id"])
        yield Fault(at, f"a flow may not call itself: {words}.")


def restless_flows(flows: list[Flow]) -> frozenset[str]:
    """Return the flows through which a call can pass without an input; those that call themselves count as such."""
    known = {flow["flow_id"]: flow for flow in flows}
    calls = {
        name: {step["subflow"]["flow_id"] for step in flow["steps"] if "subflow" in step}
        for name, flow in known.items()
    }
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError:
        return frozenset(known)
    found: set[str] = set()
    for name in order:
        if name in known and _passes(known[name], frozenset(found)):
            found.add(name)
    return frozenset(found)


def _passes(flow: Flow, restless: frozenset[str]) -> bool:
    steps = {step["step_id"]: step for step in flow["steps"]}
    seen, waiting = set(), [flow["start"]]
    while waiting:
        step_id = waiting.pop()
        if step_id == RETURN:
            return True
        if step_id in steps and step_id not in seen:
            seen.add(step_id)
            waiting += _restless_exits(steps[step_id], restless)
    return False


def _place_of_call(flows: list[Flow], caller: str, called: str) -> tuple[int, int]:
    for index, flow in enumerate(flows):
        for number, step in enumerate(flow["steps"]):
            if flow["flow_id"] == caller and step.get("subflow", {}).get("flow_id") == called:
                return index, number
    raise LookupError(f"{caller} does not call {called}")


def _faults_of_exits(step: Step, at: list[str | int], known: set[str], around: Surroundings) -> Iterator[Fault]:
    kind, exits = kind_of(step), step.get("exits", {})
    for name in _needed(step, kind, around):
        if name not in exits:
            yield Fault(path_of([*at, "exits", name]), f"is missing: a {kind} step must say where to go on.")
    if kind == "menu" and not any(name in (*OPTIONAL_EXITS["menu"], *_own_exits(step)) for name in exits):
        yield Fault(path_of([*at, "exits"]), "a menu needs an exit for a digit, or a spoken one, at least.")
    if kind == "menu":
        yield from _faults_of_phrases(step, at)
    allowed = {*REQUIRED_EXITS[kind], *OPTIONAL_EXITS.get(kind, ()), *_own_exits(step)}
    for name, target in exits.items():
        if name not in allowed:
            yield Fault(path_of([*at, "exits", name]), f"a {kind} step has no such exit.")
        if target not in known:
            yield Fault(path_of([*at, "exits", name]), f"there is no step {target}.")


def _own_exits(step: Step) -> list[str]:
    spoken = [choice["exit"] for choice in step.get("menu", {}).get("spoken", ())]
    return spoken + [case["exit"] for case in step.get("branch", {}).get("cases", ())]


def _faults_of_phrases(step: Step, at: list[str | int]) -> Iterator[Fault]:
    """Name phrases that lead two ways, as nobody could tell which one is meant, and exits that mean something else."""
    ways: dict[str, str] = {}
    for number, choice in enumerate(step["menu"].get("spoken", ())):
        if choice["exit"] in REQUIRED_EXITS["menu"]:
            yield Fault(path_of([*at, "menu", "spoken", number, "exit"]), "means something else; choose another name.")
        for place, phrase in enumerate(choice["phrases"]):
            said = " ".join(phrase.casefold().split())
            if ways.setdefault(said, choice["exit"]) != choice["exit"]:
                path = path_of([*at, "menu", "spoken", number, "phrases", place])
                yield Fault(path, f"the same phrase leads to {ways[said]} too.")


def _needed(step: Step, kind: str, around: Surroundings) -> list[str]:
    needed = [*REQUIRED_EXITS[kind], *dict.fromkeys(_own_exits(step))]
    if kind == "schedule" and step["schedule"]["schedule_id"] in around.schedules_with_holidays:
        needed.append("holiday")
    if kind == "queue" and step["queue"]["queue_id"] in around.queues_with_limit:
        needed.append("timeout")
    if kind == "queue" and step["queue"]["queue_id"] in around.queues_with_capacity:
        needed.append("full")
    if kind == "consent" and step["consent"].get("mode") != "do_not_record":
        needed.append("given")
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


def _endless(steps: list[Step], at: list[str | int], around: Surroundings) -> Iterator[Fault]:
    """Name circles of steps in which nobody is asked and nothing is waited for, each step in one of them at most."""
    graph = {step["step_id"]: _restless_exits(step, around.restless_flows) for step in steps}
    places = {step["step_id"]: number for number, step in reversed(list(enumerate(steps)))}
    for circle in _circles(graph):
        first = min(range(len(circle)), key=lambda place: places[circle[place]])
        turned = [*circle[first:], *circle[:first], circle[first]]
        words = " -> ".join(turned)
        at_step = path_of([*at, "steps", places[turned[0]]])
        yield Fault(at_step, f"a call could run in circles without an input: {words}.")


def _restless_exits(step: Step, restless_flows: frozenset[str]) -> set[str]:
    """Return where a call can go on from a step without any input of the caller and without a wait."""
    kind, exits = kind_of(step), step.get("exits", {})
    resting = _RESTING.get(kind, frozenset())
    if kind == "menu":
        resting = resting | set(_own_exits(step))
    if kind == "consent" and step["consent"].get("mode") == "press_key":
        resting = _BOTH
    if kind == "subflow" and step["subflow"]["flow_id"] not in restless_flows:
        return set()
    return {target for name, target in exits.items() if name not in resting}


def _circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Yield circles of a graph that share no node, MOST_CIRCLES at most; time is linear in the graph for each."""
    left = {node: {target for target in targets if target in graph} for node, targets in graph.items()}
    for _ in range(MOST_CIRCLES):
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            # Each of its nodes is one to which the next leads: turned round it is a way.
            circle: list[str] = error.args[1][:0:-1]
        else:
            return
        yield circle
        left = {node: targets - set(circle) for node, targets in left.items() if node not in circle}
