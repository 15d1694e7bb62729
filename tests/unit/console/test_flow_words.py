"""Faults of flows that a document may have: each named by its path, with what to do (SPEC 2.2)."""

import time
import tracemalloc
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from services.console.domain.fault import Fault
from services.console.domain.flow_words import BUNDLED
from services.console.domain.translation import to_contract
from services.console.domain.validation import BadDocument, faults_of, sound_document
from services.router.domain.configuration import Configuration

Document = dict[str, Any]
ROOT: Final = Path(__file__).parents[3]
PROMPTS: Final = ("may-we", "enter", "shall-we", "greet", "rate", "thanks")

FLOWS = """
- flow_id: main
  start: who
  variables:
    - {name: account, type: text}
    - {name: score, type: number, initial: "3"}
    - {name: vip, type: flag, initial: "false"}
    - {name: mail, type: email, initial: "nobody@example.com"}
    - {name: tongue, type: language, initial: uk}
  steps:
    - step_id: who
      check_list: {list_id: black}
      exits: {listed: bye, not_listed: may}
    - step_id: may
      consent: {mode: press_key, prompts: [may-we]}
      exits: {given: ask, refused: ask}
    - step_id: ask
      collect: {prompts: [enter], variable: account, min_digits: 4, max_digits: 8}
      exits: {next: count, timeout: bye, invalid: bye}
    - step_id: count
      set: {variable: score, expression: "vars.score + size(vars.account)"}
      exits: {next: which}
    - step_id: which
      branch:
        cases:
          - {condition: "vars.score > 9 && !vars.vip", exit: boss}
          - {condition: "caller.startsWith('+38067')", exit: hello}
      exits: {boss: boss, hello: hello, otherwise: back}
    - step_id: hello
      say: {text: "Good day, {caller}"}
      exits: {next: inner}
    - step_id: inner
      subflow: {flow_id: feedback}
      exits: {next: back}
    - step_id: boss
      agent: {agent_id: olena}
      exits: {unavailable: back, answered: inner}
    - step_id: back
      callback: {queue_id: sales, prompts: [shall-we]}
      exits: {requested: bye, declined: mail}
    - step_id: mail
      voicemail: {prompts: [greet]}
      exits: {next: look}
    - step_id: look
      lookup:
        url: "https://crm.example/customers/{caller}?x={vars.account}"
        fields: {caller: "{caller}", points: "{vars.score}"}
        results: [{path: customer.orders.0.id, variable: account}]
      exits: {next: bye, failed: bye}
    - step_id: bye
      hangup: {}
- flow_id: feedback
  start: rate
  steps:
    - step_id: rate
      survey: {survey_id: nps, prompts: [rate]}
      exits: {next: return, skipped: return}
"""


@pytest.fixture
def tenant(acme: Document) -> Document:
    found = {**acme, "flows": yaml.safe_load(FLOWS)}
    found["prompts"] = [{"prompt_id": name} for name in PROMPTS]
    for line in found["lines"]:
        line["flow"] = "main"
    found["queues"] = [{name: queue[name] for name in queue if name != "exit_keys"} for queue in acme["queues"]]
    return found


def test_a_flow_of_all_types_is_sound_and_the_router_takes_it(tenant: Document) -> None:
    assert faults_of(tenant) == []
    contract = to_contract(tenant, 1)
    Configuration(contract)
    assert contract.flows[0].variables[1].initial == "3"


def change(tenant: Document, path: str, value: Any) -> None:
    """Set, or with None take away, what stands at a path like 0.steps.3.set.text below flows."""
    place: Any = tenant["flows"]
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value


BROKEN: list[tuple[str, Any, str, str]] = [
    ("0.variables.1.name", "account", "flows[0].variables[1].name", "declared twice"),
    ("0.variables.1.initial", "x", "flows[0].variables[1].initial", "whole number"),
    ("0.variables.2.initial", "yes", "flows[0].variables[2].initial", "true or false"),
    ("0.variables.3.initial", "a@b, c@d", "flows[0].variables[3].initial", "one mail address"),
    ("0.variables.4.initial", "de", "flows[0].variables[4].initial", "one of the company's languages"),
    ("0.steps.2.collect.variable", "mail", "flows[0].steps[2].collect.variable", "is of type email"),
    ("0.variables.0.type", "list", "flows[0].variables[0].type", "not known"),
    ("0.variables.0.name", "a b", "flows[0].variables[0].name", "letters, digits"),
    ("1.variables", [{"name": "score", "type": "text"}], "flows[1].variables[0].type", "a number in another flow"),
    ("0.steps.2.collect.variable", "pin", "flows[0].steps[2].collect.variable", "no variable pin"),
    ("0.steps.2.collect.variable", "vip", "flows[0].steps[2].collect.variable", "is of type flag"),
    ("0.steps.2.collect.min_digits", 9, "flows[0].steps[2].collect.min_digits", "above max_digits"),
    ("0.steps.3.set", {"variable": "score"}, "flows[0].steps[3].set", ""),
    ("0.steps.3.set.expression", "vars.nobody", "flows[0].steps[3].set.expression", "no vars.nobody"),
    ("0.steps.3.set.variable", "x", "flows[0].steps[3].set.variable", "no variable x"),
    ("0.steps.4.branch.cases.0.condition", "a ==", "flows[0].steps[4].branch.cases[0].condition", "There is no a"),
    ("0.steps.4.branch.cases.1.exit", "lost", "flows[0].steps[4].exits.lost", "is missing"),
    ("0.steps.4.branch.cases.1.exit", "boss", "flows[0].steps[4].exits.hello", "no such exit"),
    ("0.steps.4.exits.otherwise", None, "flows[0].steps[4].exits.otherwise", "is missing"),
    ("0.steps.5.say.text", "Hello {nobody}", "flows[0].steps[5].say.text", "no {nobody}"),
    ("0.steps.5.say.text", "Hello {caller.__class__}", "flows[0].steps[5].say.text", "no {caller.__class__}"),
    ("0.steps.6.subflow.flow_id", "x", "flows[0].steps[6].subflow.flow_id", "no flow x"),
    ("0.steps.6.subflow.flow_id", "main", "flows[0].steps[6].subflow.flow_id", "main -> main"),
    ("0.steps.7.agent.agent_id", "x", "flows[0].steps[7].agent.agent_id", "no agent x"),
    ("0.steps.7.exits.unavailable", None, "flows[0].steps[7].exits.unavailable", "is missing"),
    ("0.steps.8.callback.queue_id", "x", "flows[0].steps[8].callback.queue_id", "no queue x"),
    ("0.steps.9.voicemail.end_digit", "ab", "flows[0].steps[9].voicemail.end_digit", "a digit"),
    ("0.steps.1.consent.prompts", None, "flows[0].steps[1].consent.prompts", "is missing"),
    ("0.steps.1.exits.given", None, "flows[0].steps[1].exits.given", "is missing"),
    ("0.steps.10.lookup.url", "https://{caller}/x", "flows[0].steps[10].lookup.url", "host must be written out"),
    ("0.steps.10.lookup.url", "https://crm.example?{caller}", "flows[0].steps[10].lookup.url", "end it with a /"),
    ("0.steps.10.lookup.url", "file:///etc/passwd", "flows[0].steps[10].lookup.url", "http://"),
    ("0.steps.10.lookup.url", "https://crm.example/{x}", "flows[0].steps[10].lookup.url", "no {x}"),
    ("0.steps.10.lookup.fields.points", "{", "flows[0].steps[10].lookup.fields.points", "single brace"),
    ("0.steps.10.lookup.results.0.variable", "x", "flows[0].steps[10].lookup.results[0].variable", "no variable x"),
    ("0.steps.10.lookup.results.0.path", "a..b", "flows[0].steps[10].lookup.results[0].path", "names and numbers"),
    ("0.steps.10.lookup.timeout_ms", 60_000, "flows[0].steps[10].lookup.timeout_ms", "at most"),
    ("0.steps.10.exits.failed", None, "flows[0].steps[10].exits.failed", "is missing"),
    ("1.steps.0.survey.lowest", 7, "flows[1].steps[0].survey.lowest", "above highest"),
    ("1.steps.0.step_id", "return", "flows[1].steps[0].step_id", "means the end of a flow"),
    ("1.steps.0.exits.next", "nowhere", "flows[1].steps[0].exits.next", "no step nowhere"),
]


@pytest.mark.parametrize(("path", "value", "expected", "words"), BROKEN, ids=lambda value: str(value)[:40])
def test_one_broken_thing_is_named_by_its_path(
    tenant: Document, path: str, value: Any, expected: str, words: str
) -> None:
    change(tenant, path, value)
    faults = faults_of(tenant)
    assert any(fault.path == expected and words in fault.message for fault in faults), faults


def test_a_circle_through_a_subflow_that_asks_the_caller_ends_with_the_callers_patience(tenant: Document) -> None:
    change(tenant, "0.steps.6.exits.next", "inner")
    assert faults_of(tenant) == []


def test_a_circle_through_a_subflow_that_asks_nobody_is_endless(tenant: Document) -> None:
    change(tenant, "0.steps.6.exits.next", "inner")
    tenant["flows"][1]["steps"] = [{"step_id": "rate", "play": {"prompts": ["thanks"]}, "exits": {"next": "return"}}]
    assert Fault("flows[0].steps[6]", "a call could run in circles without an input: inner -> inner.") in faults_of(
        tenant
    )


def test_flows_that_call_each_other_are_named_with_the_whole_way(tenant: Document) -> None:
    tenant["flows"][1]["steps"].append({"step_id": "deep", "subflow": {"flow_id": "main"}, "exits": {"next": "return"}})
    change(tenant, "1.steps.0.exits.next", "deep")
    told = [fault for fault in faults_of(tenant) if "may not call itself" in fault.message]
    assert len(told) == 1
    assert {"main -> feedback -> main.", "feedback -> main -> feedback."} & {told[0].message.partition(": ")[2]}


@pytest.mark.parametrize("declared", [[], [{"prompt_id": "greet"}, {"prompt_id": "rate", "text": "From one to five?"}]])
def test_a_prompt_that_nobody_has_is_named_with_its_path(tenant: Document, declared: list[Document]) -> None:
    tenant["prompts"] = declared
    paths = {fault.path for fault in faults_of(tenant)}
    assert {"flows[0].steps[1].consent.prompts[0]", "flows[0].steps[2].collect.prompts[0]"} <= paths
    assert ("flows[0].steps[9].voicemail.prompts[0]" in paths) == (not declared)


def test_the_switchs_own_prompts_need_no_declaration_and_a_slip_of_the_pen_is_told_apart(tenant: Document) -> None:
    change(tenant, "0.steps.9.voicemail.prompts", ["welcome", "all_busy", "welcom"])
    assert [(fault.path, fault.message) for fault in faults_of(tenant)] == [
        (
            "flows[0].steps[9].voicemail.prompts[2]",
            "there is no prompt welcom (did you mean welcome?); add it to prompts, with a text or as your own file.",
        )
    ]


def test_the_switchs_own_prompts_are_those_that_its_image_has() -> None:
    rows = (ROOT / "freeswitch" / "sounds" / "prompts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert {row.partition("\t")[0] for row in rows} == BUNDLED


def bounded(raw: bytes, seconds: float, megabytes: float) -> list[Fault]:
    """Return the faults of a hostile text; fail when reading it takes too long or too much."""
    tracemalloc.start()
    began = time.process_time()  # not the wall: others may work on this machine
    with pytest.raises(BadDocument) as refused:
        sound_document(raw)
    took, (_, most) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < seconds
    assert most < megabytes * 1_000_000
    return refused.value.faults


HOSTILE = {
    "10 MB": b"a: " + b"x" * 10_000_000,
    "10 MB of steps": b"- {step_id: a, exits: {next: a}}\n" * 300_000,
    "deep brackets": b"a: " + b"[" * 50_000 + b"]" * 50_000,
    "deep indentation": b"".join(b" " * depth + b"a:\n" for depth in range(1_000)),
    "alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\n"
    + b"".join(b"%c: &%c [*%c, *%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(1, 20)),
    "alias of itself": b"a: &a [*a]",
    "tag": b"a: !!python/object/apply:os.system [ls]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_in_bounded_time_and_memory(name: str) -> None:
    assert len(bounded(HOSTILE[name], seconds=3, megabytes=60)) == 1


def test_the_largest_flow_graph_is_checked_in_bounded_time(tenant: Document) -> None:
    """Many circles and many steps between them: the check is linear, not a search from every step."""
    steps = [
        {
            "step_id": f"s{n}",
            "check_list": {"list_id": "black"},
            "exits": {"listed": f"s{n + 1}", "not_listed": f"s{n // 2}"},
        }
        for n in range(499)
    ]
    steps.append({"step_id": "s499", "hangup": {}})
    tenant["flows"] += [{"flow_id": f"f{n}", "start": "s0", "steps": steps} for n in range(30)]
    began = time.process_time()  # not the wall: others may work on this machine
    faults = faults_of(tenant)
    assert time.process_time() - began < 20
    assert any("circles" in fault.message for fault in faults)


def test_hostile_conditions_by_the_thousand_are_refused_in_bounded_time(tenant: Document) -> None:
    worst = " || ".join(["caller.matches('(.+)+(a|b)*(.*)*$')"] * 5)
    steps = [
        {"step_id": f"s{n}", "set": {"variable": "vip", "expression": worst}, "exits": {"next": f"s{n + 1}"}}
        for n in range(499)
    ]
    steps.append({"step_id": "s499", "hangup": {}})
    tenant["flows"] += [{"flow_id": f"f{n}", "start": "s0", "steps": steps} for n in range(11)]
    began = time.process_time()  # not the wall: others may work on this machine
    faults = faults_of(tenant)
    assert time.process_time() - began < 20
    assert Fault("flows", "hold more than 5000 conditions and texts.") in faults
