"""What a page tells a person to type is there: the command, its options, the release, pods and files that it names."""

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from deploy.tools.chart_settings import ROOT
from services.cli import table
from tests.deploy.conftest import containers, manifests, workloads

KUBERNETES: Final = ROOT / "deploy" / "k8s"
PAGES: Final = [
    *sorted((KUBERNETES / "runbooks").glob("*.md")),
    KUBERNETES / "README.md",
    KUBERNETES / "tenants/README.md",
]
FENCE: Final = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED: Final = re.compile(r"(?:\.venv/bin/)?(?:ringmaster|inside|helm|kubectl|make|python)\s")
# Words that stand for something of the operator's.
MEANT: Final = {"VERSION": "3", "FILE": "x.yaml", "POD": "voice-ringmaster-router-0", "NODE": "node-1"}
OPEN: Final = "OPEN"
OF_NO_NAMESPACE: Final = ("create namespace", "label namespace", "diff ", "describe node ", "taint nodes ", "drain ")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def typed(page: Path) -> list[str]:
    """Return the commands of a page: lines of its blocks, and what stands between backticks in its text."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(FENCE.findall(text)).replace("\\\n", " ")
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
    parts = [part.strip(" })") for line in (*blocks.splitlines(), *spans) for part in re.split(r"\{ |; | \| ", line)]
    # What follows two dashes runs in a pod.
    return [re.split(r"  #| -- ", part)[0].strip() for part in parts if TYPED.match(part)]


def words(command: str) -> list[str]:
    """Return its words, with something where a page leaves it open (…)."""
    return [MEANT.get(word, word) for word in shlex.split(command.replace("…", OPEN), comments=True)]


def of(page: Path, *programs: str) -> list[list[str]]:
    found = [words(command) for command in typed(page)]
    return [each for each in found if each[0].rpartition("/")[2] in programs and len(each) > 1 and each[1] != OPEN]


@each_page
def test_every_command_of_ours_is_understood(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(page.parent)
    asked = of(page, "ringmaster", "inside")
    asked += [["ringmaster", *each[3:]] for each in of(page, "python") if each[2] == "services.cli" and len(each) > 3]
    for _, *arguments in asked:
        if arguments[0] == "$@":
            continue
        complete = any(each.startswith("-") for each in arguments) or len(arguments) > 2
        assert understood(arguments if complete else [*arguments, "--help"]), f"{page.name}: {' '.join(arguments)}"


def understood(arguments: list[str]) -> bool:
    """Whether the command line takes them; what it then does without settings does not matter."""
    if arguments[0] not in table.COMMANDS:
        return False
    try:
        table.run(arguments)
    except SystemExit as ended:
        return ended.code == 0
    return True


@each_page
def test_every_target_and_module_is_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{each[1]}:", makefile, re.MULTILINE) for each in of(page, "make"))
    modules = [each[2] for each in of(page, "python") if each[1] == "-m"]
    assert all(importlib.util.find_spec(module) for module in modules), modules


@cache
def help_of(program: Path, verb: str) -> str:
    return subprocess.run([program, verb, "--help"], capture_output=True, text=True, check=True).stdout


@each_page
def test_helm_is_told_the_one_release_with_options_that_it_knows(helm_program: Path, page: Path) -> None:
    for _, verb, *rest in of(page, "helm"):
        known = help_of(helm_program, verb)
        assert all(f"{each.partition('=')[0]} " in known for each in rest if each.startswith("--")), rest
        if not rest:
            continue  # named in a text, not to be typed as it is
        assert rest[0] == "voice"
        assert rest[rest.index("--namespace") + 1] == "voice"
        ours = [each for each in rest if each.startswith("deploy/")]
        assert all((ROOT / each).exists() for each in ours), ours


@pytest.fixture(scope="module")
def in_the_cluster(rendered: Callable[[str], str]) -> dict[str, set[str]]:
    """Return what a release `voice` makes: pods with their containers, and everything by kind/name."""
    text = rendered("everything")
    found: dict[str, set[str]] = {"objects": set()}
    for one in manifests(text):
        found["objects"].add(f"{one['kind'].lower()}/{one['metadata']['name']}")
    for one in workloads(text):
        name = one["metadata"]["name"]
        found[f"{name}-0" if one["kind"] == "StatefulSet" else name] = {each["name"] for each in containers(one)}
    return found


@each_page
def test_kubectl_is_told_the_namespace_and_things_that_are_there(
    page: Path, in_the_cluster: dict[str, set[str]]
) -> None:
    for _, *rest in of(page, "kubectl"):
        line = " ".join(rest)
        if not line.startswith(OF_NO_NAMESPACE):
            assert line.startswith("--namespace voice "), f"{page.name}: {line}"
        for kind, name in re.findall(r"\b(statefulset|deployment|job|service)/([\w-]+)", line):
            assert f"{kind}/{name}" in in_the_cluster["objects"]
        for pod in re.findall(r"(?:^| )(voice-ringmaster-[\w-]+)", line):
            assert pod in in_the_cluster, f"{page.name}: {line}"
        for pod, container in re.findall(r"(voice-ringmaster-[\w-]+) .*--container=(\w+)", line):
            assert container in in_the_cluster[pod]


def test_what_is_typed_once_is_a_shells_and_names_pods_that_are_there(in_the_cluster: dict[str, set[str]]) -> None:
    blocks = FENCE.findall((KUBERNETES / "runbooks" / "README.md").read_text(encoding="utf-8"))
    for block in blocks:
        done = subprocess.run(
            ["/bin/bash", "-n"], input=block.replace("…", "x"), text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    asked = [line.split()[1:] for block in blocks for line in block.splitlines() if line.startswith("ready voice")]
    assert asked
    assert all(container in in_the_cluster[pod] for pod, container in asked)


def test_the_pages_tell_a_person_to_type_much() -> None:
    """The reader of pages above finds what is there: a change of their form may not empty it."""
    assert sum(len(typed(page)) for page in PAGES) > 40
