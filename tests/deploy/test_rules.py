"""Every alert has a page, a test that fires it and one that proves silence, and asks only for what is told."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.dashboards.naming import faults, metrics
from local.stack.prometheus import RULES, rule_files
from tests.deploy.applications import applications

RUNBOOKS = RULES.parents[1] / "runbooks"
SECTIONS = ["What it means", "What callers notice", "How to look", "What to do"]


def rules(kind: str) -> list[dict[str, Any]]:
    groups = [group for path in rule_files() for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def recorded() -> dict[str, frozenset[str]]:
    """Return the recorded series; those of a company have its label."""
    return {rule["record"]: frozenset({"tenant"} if "tenant" in rule["expr"] else ()) for rule in rules("record")}


def expectations(alert: str) -> set[bool]:
    """Return which of firing and silence an alert's tests expect."""
    found = set()
    for path in RULES.glob("*.test.yaml"):
        for case in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for test in case["promql_expr_test"]:
                if f'alertname="{alert}"' in test["expr"]:
                    found.add(bool(test["exp_samples"]))
    return found


ALERTS = [rule["alert"] for rule in rules("alert")]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_to_fire_and_to_be_silent(alert: str) -> None:
    assert expectations(alert) == {True, False}


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_and_where_its_page_is(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    page = RUNBOOKS / f"{rule['alert']}.md"
    assert rule["annotations"]["runbook"] == str(page.relative_to(Path(__file__).resolve().parents[2]))
    text = page.read_text("utf-8")
    assert text.startswith(f"# {rule['alert']}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all((RUNBOOKS / link).exists() for link in re.findall(r"\]\((\w+\.md)\)", text))


def test_there_is_no_page_without_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("Ringmaster*.md")} == set(ALERTS)
    assert len(ALERTS) == len(set(ALERTS))


@pytest.mark.parametrize("rule", [*rules("alert"), *rules("record")], ids=lambda rule: rule.get("alert", "recorded"))
def test_a_rule_asks_for_metrics_and_labels_that_somebody_tells(rule: dict[str, Any]) -> None:
    assert faults(rule["expr"], metrics() | recorded()) == []


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_names_only_metrics_that_there_are(page: Path) -> None:
    named = re.findall(r"ringmaster[_:][a-z0-9_:]+", page.read_text("utf-8"))
    assert [name for name in named if name not in metrics() | recorded()] == []


def test_no_process_answers_for_one_of_another_kind(tmp_path: Path) -> None:
    """By its name RingmasterServiceMissing looks for it: a transcriber hid that no recorder was there."""
    names = [one.name for one in applications(tmp_path).values()]
    assert names == ["console", "stats", "webhooks", "recorder", "transcribe"]
