import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.programs import ProgramMissing, helm, kube_score, promtool
from deploy.tools.schema import CHART

CI = sorted((CHART / "ci").glob("*-values.yaml"))
Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def helm_program() -> Path:
    return _or_skipped(helm)


@pytest.fixture(scope="session")
def kube_score_program() -> Path:
    return _or_skipped(kube_score)


@pytest.fixture(scope="session")
def promtool_program() -> Path:
    return _or_skipped(promtool)


def _or_skipped(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except ProgramMissing as missing:
        pytest.skip(str(missing))


def run_helm(program: Path, *words: str, chart: Path = CHART) -> "subprocess.CompletedProcess[str]":
    command = [str(program), words[0], *(("voice",) if words[0] == "template" else ()), str(chart), *words[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="session")
def rendered(helm_program: Path) -> Callable[[str], str]:
    """Return what a file of ci/ makes, by its name without -values.yaml."""

    @cache
    def render(name: str) -> str:
        done = run_helm(helm_program, "template", "--namespace=voice", f"--values={CHART / 'ci' / name}-values.yaml")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return render


def manifests(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def containers(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the containers of a workload, those that go before it too."""
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def workloads(text: str) -> list[Manifest]:
    """Return whatever runs; a pod of its own as if it had a template too."""
    found = [one for one in manifests(text) if one["kind"] in ("Deployment", "StatefulSet", "Job", "Pod")]
    return [one | {"spec": {"template": one}} if one["kind"] == "Pod" else one for one in found]


def stays(workload: Manifest) -> bool:
    """Whether it runs until it is asked to stop."""
    return workload["kind"] not in ("Job", "Pod")
