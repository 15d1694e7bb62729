"""The page says in Ukrainian whatever can be wrong with a rule or an endpoint, and whatever the API refuses."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.console.domain.validation import faults_of
from services.shared.sentence import Sentence, sentence

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ROOT / "services"
PAGE = (SERVICES / "webhooks" / "page" / "faults.js").read_text(encoding="utf-8")
SAYING = [
    *(SERVICES / "console" / "domain" / f"{name}.py" for name in ("rule_words", "webhook_wishes", "url", "shape")),
    *(SERVICES / "console" / name for name in ("changing.py",)),
    *(SERVICES / "shared" / name for name in ("expressions.py", "templates.py", "payload_templates.py")),
]
MAKERS = {"sentence", "BadExpression", "BadTemplate", "_counted"}
REFUSING = [
    *(SERVICES / "webhooks" / "api").glob("*.py"),
    *(SERVICES / "shared" / "chassis" / name for name in ("admission.py", "description.py")),
    SERVICES / "console" / "changing.py",
]


def block(name: str) -> dict[str, str]:
    """Return one of the page's tables."""
    text = PAGE[PAGE.index(f"const {name} = {{") :]
    text = text[: text.index("\n};")]
    pairs = re.findall(r'''(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|\b(\w[\w-]*)):\s*"((?:[^"\\]|\\.)*)"''', text)
    return {first or second or third: words for first, second, third, words in pairs}


SENTENCES, PROBLEMS = block("SENTENCES"), block("PROBLEMS")


def said(path: Path) -> Iterator[str]:
    """Yield the templates that a module says sentences by, also those that it keeps under a name first."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS and node.args:
            words = node.args[0]
            if isinstance(words, ast.Constant):
                yield str(words.value)
            elif isinstance(words, ast.Name) and words.id in named:
                yield named[words.id]


@pytest.mark.parametrize("path", SAYING, ids=lambda path: path.name)
def test_each_sentence_has_its_ukrainian_with_the_same_places(path: Path) -> None:
    templates = set(said(path))
    assert len(templates) >= 3
    for template in templates - {"template"}:
        places = set(re.findall(r"\{(\w+)\}", template))
        assert set(re.findall(r"\{(\w+)\}", SENTENCES[template])) == places, template


def test_each_kind_of_refusal_has_its_ukrainian() -> None:
    kinds = {
        kind
        for path in REFUSING
        for kind in re.findall(
            r'(?:problem\(\d+, |problem\(_STATUS.*?|_Refused\(|problem=)"([a-z-]+)"', path.read_text(encoding="utf-8")
        )
    }
    assert {"endpoint-closed", "changed-meanwhile", "bad-document", "no-key", "store-unavailable"} <= kinds
    assert kinds - PROBLEMS.keys() == set()


def test_what_the_schema_says_is_a_sentence_with_its_values() -> None:
    faults = {
        fault.path: fault.message for fault in faults_of({"rules": [{"rule_id": "a b", "widow": 1}], "queues": 5})
    }
    said_of = {path: (words.template, words.values) for path, words in faults.items() if isinstance(words, Sentence)}
    assert said_of["rules[0].widow"] == ("is not a field. Did you mean {hint}?", {"hint": "window"})
    assert said_of["queues"] == ("must be {what}.", {"what": "a list"})
    assert said_of["rules[0].rule_id"][0] == "{value} must be {meaning}."
    assert said_of["rules[0].rule_id"][1]["meaning"] in block("MEANINGS")


def test_a_value_is_never_read_as_a_template() -> None:
    hostile = sentence("there is no queue {name}.", name="{name.__class__} {0}")
    assert hostile == "there is no queue {name.__class__} {0}."
    assert hostile.values == {"name": "{name.__class__} {0}"}
