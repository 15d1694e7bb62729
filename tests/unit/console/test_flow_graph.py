from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.flow_graph import Surroundings, faults_of_flow, restless_flows

NOTHING = Surroundings(frozenset(), frozenset(), frozenset())
NAMES = [f"s{n}" for n in range(5)]


# The exits of each kind, and by which of them nobody acts and nothing is waited for: SPEC 2.2, written out once more.
EXITS = {
    "play": ["next"],
    "menu": ["1", "timeout", "invalid"],
    "check_list": ["listed", "not_listed"],
    "queue": ["timeout", "no_agent"],
    "agent": ["answered", "unavailable"],
    "announce": ["given", "refused"],
    "press_key": ["given", "refused"],
    "subflow": ["next"],
    "hangup": [],
}
AT_ONCE = {"play next", "check_list listed", "check_list not_listed", "queue no_agent", "agent unavailable"}
AT_ONCE |= {"announce given", "announce refused"}
FIELDS = {"queue": {"queue_id": "q"}, "agent": {"agent_id": "a"}, "subflow": {"flow_id": "g"}}


@st.composite
def flows(draw: st.DrawFn, flow_id: str = "f", kinds: tuple[str, ...] = tuple(EXITS)) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for name in NAMES:
        kind = draw(st.sampled_from(kinds))
        exits = {way: draw(st.sampled_from([*NAMES, "return"])) for way in EXITS[kind]}
        is_consent = kind in ("announce", "press_key")
        wish: Any = {"consent": {"mode": kind}} if is_consent else {kind: FIELDS.get(kind, {})}
        steps.append({"step_id": name, **wish, "exits": exits})
    return {"flow_id": flow_id, "start": "s0", "steps": steps}


INNER = flows("g", tuple(kind for kind in EXITS if kind != "subflow"))


def edges(flow: dict[str, Any], *, only_restless: bool, passes_g: bool = False) -> set[tuple[str, str]]:
    found = set()
    for step in flow["steps"]:
        kind = step["consent"]["mode"] if "consent" in step else next(kind for kind in EXITS if kind in step)
        for name, target in step["exits"].items():
            is_at_once = f"{kind} {name}" in AT_ONCE or (kind == "subflow" and passes_g)
            if is_at_once or not only_restless:
                found.add((step["step_id"], target))
    return found


def closure(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return who leads to whom over any number of steps, by Warshall's rule: not how the code finds it."""
    found = set(pairs)
    for middle, first, last in product(NAMES, NAMES, [*NAMES, "return"]):
        if (first, middle) in found and (middle, last) in found:
            found.add((first, last))
    return found


@given(flows())
def test_unreachable_steps_are_exactly_those_that_no_way_leads_to(flow: dict[str, Any]) -> None:
    reached = {last for first, last in closure(edges(flow, only_restless=False)) if first == "s0"} | {"s0"}
    told = {fault.path for fault in faults_of_flow(flow, 0, NOTHING) if "no call can reach" in fault.message}
    assert told == {f"flows[0].steps[{n}]" for n, name in enumerate(NAMES) if name not in reached}


@given(flows(), INNER)
def test_circles_are_told_exactly_when_a_step_leads_to_itself_without_an_input(
    flow: dict[str, Any], inner: dict[str, Any]
) -> None:
    passes = ("s0", "return") in closure(edges(inner, only_restless=True))
    around = replace(NOTHING, restless_flows=restless_flows([flow, inner]))
    assert ("g" in around.restless_flows) == passes
    pairs = closure(edges(flow, only_restless=True, passes_g=passes))
    told = [fault for fault in faults_of_flow(flow, 0, around) if "circles" in fault.message]
    assert bool(told) == any((name, name) in pairs for name in NAMES)
    assert ("f" in around.restless_flows) == (("s0", "return") in pairs)


def test_flows_that_call_themselves_are_passed_through_whatever_is_in_them() -> None:
    """So a circle that leads through one is told beside them."""
    calls = [{"step_id": "s0", "subflow": {"flow_id": "f"}, "exits": {"next": "return"}}]
    assert restless_flows([{"flow_id": "f", "start": "s0", "steps": calls}]) == {"f"}


@pytest.mark.parametrize(
    ("step", "missing"),
    [
        ({"consent": {"mode": "announce"}, "exits": {"refused": "return"}}, "given"),
        ({"consent": {"mode": "press_key"}, "exits": {"refused": "return"}}, "given"),
        ({"consent": {"mode": "do_not_record"}, "exits": {"refused": "return"}}, ""),
        ({"play": {}, "exits": {}}, "next"),
        ({"branch": {"cases": [{"condition": "true", "exit": "x"}]}, "exits": {"otherwise": "return"}}, "x"),
    ],
)
def test_each_step_says_where_to_go_on(step: dict[str, Any], missing: str) -> None:
    flow = {"flow_id": "f", "start": "s0", "steps": [{"step_id": "s0", **step}]}
    told = [fault.path for fault in faults_of_flow(flow, 0, NOTHING) if "missing" in fault.message]
    assert told == ([f"flows[0].steps[0].exits.{missing}"] if missing else [])


def test_no_step_is_called_as_the_end_of_a_flow_is() -> None:
    flow = {"flow_id": "f", "start": "return", "steps": [{"step_id": "return", "hangup": {}}]}
    assert [fault.path for fault in faults_of_flow(flow, 0, NOTHING)] == ["flows[0].steps[0].step_id"]


def _spoken(exits: dict[str, str], *choices: tuple[str, list[str]]) -> list[tuple[str, str]]:
    spoken = [{"exit": way, "phrases": phrases} for way, phrases in choices]
    menu = {"step_id": "ask", "menu": {"prompts": ["p"], "spoken": spoken}, "exits": exits}
    flow = {"flow_id": "f", "start": "ask", "steps": [menu]}
    return [(fault.path, fault.message) for fault in faults_of_flow(flow, 0, NOTHING)]


ENDS = {"timeout": "return", "invalid": "return"}


def test_a_menu_may_be_answered_by_speech_alone_and_may_go_round_by_it() -> None:
    assert _spoken(ENDS | {"sales": "return", "again": "ask"}, ("sales", ["sales"]), ("again", ["once more"])) == []


def test_a_spoken_choice_needs_its_exit_and_a_phrase_leads_one_way() -> None:
    missing = _spoken(ENDS | {"1": "return"}, ("sales", ["sales"]))
    assert missing[0][0] == "flows[0].steps[0].exits.sales"
    twice = _spoken(ENDS | {"1": "return", "2": "return"}, ("1", ["To buy"]), ("2", ["repair", " to  BUY"]))
    assert [path for path, _ in twice] == ["flows[0].steps[0].menu.spoken[1].phrases[1]"]
    assert _spoken(ENDS | {"x": "return"})[0][1].startswith("a menu needs")
    assert _spoken(ENDS | {"1": "return"}, ("timeout", ["nothing"]))[0][0] == "flows[0].steps[0].menu.spoken[0].exit"
