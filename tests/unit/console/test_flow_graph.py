from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.flow_graph import Surroundings, faults_of_flow

NOTHING = Surroundings(frozenset(), frozenset(), frozenset())
NAMES = [f"s{n}" for n in range(5)]


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for name in NAMES:
        kind = draw(st.sampled_from(["play", "menu", "check_list", "hangup", "queue"]))
        target = st.sampled_from(NAMES)
        exits = {
            "play": {"next": draw(target)},
            "menu": {"1": draw(target), "timeout": draw(target), "invalid": draw(target)},
            "check_list": {"listed": draw(target), "not_listed": draw(target)},
            "queue": {"timeout": draw(target), "no_agent": draw(target)},
            "hangup": {},
        }[kind]
        steps.append({"step_id": name, kind: {"queue_id": "q"} if kind == "queue" else {}, "exits": exits})
    return {"flow_id": "f", "start": "s0", "steps": steps}


def edges(flow: dict[str, Any], *, only_restless: bool) -> set[tuple[str, str]]:
    found = set()
    for step in flow["steps"]:
        for name, target in step["exits"].items():
            rests = "menu" in step or ("queue" in step and name == "timeout")
            if not (only_restless and rests):
                found.add((step["step_id"], target))
    return found


def closure(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return who leads to whom over any number of steps, by Warshall's rule: not how the code finds it."""
    found = set(pairs)
    for middle, first, last in product(NAMES, NAMES, NAMES):
        if (first, middle) in found and (middle, last) in found:
            found.add((first, last))
    return found


@given(flows())
def test_unreachable_steps_are_exactly_those_that_no_way_leads_to(flow: dict[str, Any]) -> None:
    reached = {last for first, last in closure(edges(flow, only_restless=False)) if first == "s0"} | {"s0"}
    told = {fault.path for fault in faults_of_flow(flow, 0, NOTHING) if "no call can reach" in fault.message}
    assert told == {f"flows[0].steps[{n}]" for n, name in enumerate(NAMES) if name not in reached}


@given(flows())
def test_circles_are_told_exactly_when_a_step_leads_to_itself_without_an_input(flow: dict[str, Any]) -> None:
    pairs = closure(edges(flow, only_restless=True))
    told = [fault for fault in faults_of_flow(flow, 0, NOTHING) if "circles" in fault.message]
    assert bool(told) == any((name, name) in pairs for name in NAMES)


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
