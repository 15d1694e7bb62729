"""What operators make of the chart's resources, as they were seen to (ADR 55)."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.dashboards.naming import metrics
from deploy.tools.chart_settings import ROOT
from deploy.tools.schema import CHART
from tests.deploy.conftest import manifests, run_helm

Manifest = dict[str, Any]
OF_THE_OPERATOR = {"service", "endpoint", "pod", "container", "namespace", "node", "job", "instance"}
"""Labels that the Prometheus operator gives every target of a ServiceMonitor."""
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What Pod Security's `restricted` asks of a container."""


@pytest.fixture(scope="module")
def resources(rendered: Callable[[str], str]) -> dict[str, list[Manifest]]:
    """Return what the example makes for operators, by kind."""
    found: dict[str, list[Manifest]] = {}
    for text in rendered("everything").split("\n---\n"):
        if "\napiVersion: kafka.strimzi.io/" in text or "\napiVersion: monitoring.coreos.com/" in text:
            for one in manifests(text):
                found.setdefault(one["kind"], []).append(one)
    return found


def test_a_label_that_services_tell_is_theirs_and_not_the_operators(resources: dict[str, list[Manifest]]) -> None:
    """Else it comes as `exported_…`, and no rule or dashboard finds it: six services that answered were missing."""
    told = frozenset[str]().union(*metrics().values()) & OF_THE_OPERATOR
    assert "service" in told
    (monitor,) = resources["ServiceMonitor"]
    for endpoint in monitor["spec"]["endpoints"]:
        assert {one["regex"] for one in endpoint["relabelings"] if one["action"] == "labeldrop"} == told


@pytest.mark.parametrize("kind", ["Kafka", "KafkaNodePool"])
def test_no_label_of_a_release_comes_to_a_broker(resources: dict[str, list[Manifest]], kind: str) -> None:
    """Strimzi hands labels on to pods, and replaces a pod whose labels change: each upgrade would have taken all."""
    (found,) = resources[kind]
    changing = ("helm.sh/chart", "app.kubernetes.io/version")
    assert not [name for name in changing if name in found["metadata"]["labels"]]


def test_brokers_and_their_operators_may_be_where_pods_are_restricted(resources: dict[str, list[Manifest]]) -> None:
    (kafka,) = (one["spec"] for one in resources["Kafka"])
    bound = [kafka["kafka"]["template"]["kafkaContainer"], *kafka["entityOperator"]["template"].values()]
    assert [one["securityContext"] for one in bound] == [RESTRICTED] * 3


def test_brokers_are_spread_over_nodes(resources: dict[str, list[Manifest]]) -> None:
    """With two of three on a node that is lost, nothing can be written."""
    (kafka,) = resources["Kafka"]
    spread = kafka["spec"]["kafka"]["template"]["pod"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    labels = {"strimzi.io/name": f"{kafka['metadata']['name']}-kafka"}
    assert all(one["labelSelector"]["matchLabels"] == labels for one in spread)


def test_an_operators_own_version_of_kafka_is_taken_unless_one_is_named(
    resources: dict[str, list[Manifest]], helm_program: Path
) -> None:
    """Each operator takes few, and refuses the cluster with any other."""
    (kafka,) = resources["Kafka"]
    assert not {"version", "metadataVersion"} & kafka["spec"]["kafka"].keys()
    given = ["--set", "kafka.strimzi.version=4.3.1,kafka.strimzi.metadataVersion=4.3-IV0"]
    path = CHART / "ci" / "everything-values.yaml"
    done = run_helm(helm_program, "template", f"--values={path}", *given, "--show-only=templates/strimzi.yaml")
    (named,) = (one for one in manifests(done.stdout) if one["kind"] == "Kafka")
    assert (named["spec"]["kafka"]["version"], named["spec"]["kafka"]["metadataVersion"]) == ("4.3.1", "4.3-IV0")


def names_in(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """Return the names of an assignment, each with what it stands for."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(map(ast.unparse, target.elts), node.value.elts, strict=True)
        else:
            yield ast.unparse(target), node.value


def groups_of(path: Path) -> Iterator[str]:
    """Return how the groups begin whose names are written out in the file where a reader is made."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text if "Consumer(" in text else "")
    named = dict(pair for node in ast.walk(tree) if isinstance(node, ast.Assign) for pair in names_in(node))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Consumer":
            given = named.get(ast.unparse(call.args[1]), call.args[1])
            first = given.values[0] if isinstance(given, ast.JoinedStr) else given
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def test_each_user_may_join_the_groups_that_its_service_reads_with(resources: dict[str, list[Manifest]]) -> None:
    """The transcriber reads as a part of the recorder, and its user was let into groups of its own name alone."""
    groups: dict[str, set[str]] = {}
    for path in (ROOT / "services").rglob("*.py"):
        user = "transcribe" if path.name.startswith("transcribe") else path.relative_to(ROOT).parts[1]
        groups.setdefault(user, set()).update(groups_of(path))
    assert groups["transcribe"] == {"recorder.transcribe", "recorder.clips"}
    assert groups["recorder"] == {"recorder."}
    users = {one["metadata"]["name"].removeprefix("voice-ringmaster-"): one for one in resources["KafkaUser"]}
    for name, wanted in groups.items():
        allowed = [
            acl["resource"]["name"]
            for acl in users.get(name, {"spec": {"authorization": {"acls": []}}})["spec"]["authorization"]["acls"]
            if acl["resource"]["type"] == "group" and {"Read", "Describe"} <= set(acl["operations"])
        ]
        assert [group for group in wanted if not group.startswith(tuple(allowed))] == [], name
