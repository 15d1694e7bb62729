"""The chart as a cluster would get it: linted, rendered with each of its examples, judged by schemas and policies."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from deploy.tools.chart_settings import ROOT
from deploy.tools.schema import CHART
from tests.deploy.conftest import CI, containers, manifests, run_helm, stays, workloads
from tests.deploy.custom_resources import schemas

KUBERNETES = "1.35"
Render = Callable[[str], str]
NAMES = [path.name.removesuffix("-values.yaml") for path in CI]
every_example = pytest.mark.parametrize("name", NAMES)


@every_example
def test_helm_finds_nothing_to_complain_about(helm_program: Path, name: str) -> None:
    done = run_helm(helm_program, "lint", "--strict", f"--values={CHART / 'ci' / name}-values.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_chart_holds_of_others_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.tools.schema", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def judged(text: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Hold manifests against Kubernetes' own schemas, where no field is allowed that they do not name."""
    path, program = folder / "rendered.yaml", Path(sys.executable).with_name("kubernetes-validate")
    path.write_text(text, encoding="utf-8")
    command = [str(program), "--strict", "--quiet", "--no-warn", "-k", KUBERNETES, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@every_example
def test_every_manifest_is_one_that_kubernetes_takes(rendered: Render, name: str, tmp_path: Path) -> None:
    done = judged(rendered(name), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_that_judge_refuses_a_field_that_kubernetes_does_not_know(rendered: Render, tmp_path: Path) -> None:
    assert judged(rendered("minimal").replace("enableServiceLinks:", "enableServiceLink:", 1), tmp_path).returncode != 0


@every_example
def test_every_other_resource_is_as_its_operator_defines_it(rendered: Render, name: str) -> None:
    known, faults = schemas(), []
    for one in manifests(rendered(name)):
        kind = f"{one['apiVersion']}/{one['kind']}"
        group = one["apiVersion"].partition("/")[0]
        if "." in group and not group.endswith(".k8s.io"):
            assert kind in known, f"{kind} has no schema in custom_resources.yaml"
            faults += [f"{kind} {one['metadata']['name']}: {e.message}" for e in _errors(known[kind], one["spec"])]
    assert not faults


def _errors(schema: dict[str, Any], spec: dict[str, Any]) -> list[Any]:
    return list(Draft202012Validator(schema).iter_errors(spec))


@every_example
def test_policies_find_nothing(kube_score_program: Path, rendered: Render, name: str, tmp_path: Path) -> None:
    path = tmp_path / "rendered.yaml"
    path.write_text(rendered(name), encoding="utf-8")
    # Images are pinned by tag or digest: what is there need not be asked for again. A limit of processor time stops a
    # service for tenths of a second, and a caller hears that.
    command = [str(kube_score_program), "score", str(path), "--output-format=ci", "--ignore-container-cpu-limit"]
    ignored = ["--ignore-test=container-image-pull-policy"]
    if name == "one-node":
        ignored.append("--ignore-test=deployment-replicas")  # there is one node
    done = subprocess.run([*command, *ignored], capture_output=True, text=True, check=False, timeout=60)
    complaints = re.findall(r"^\[(?:CRITICAL|WARNING)\].*$", done.stdout, re.MULTILINE)
    assert "[OK]" in done.stdout, done.stdout + done.stderr
    assert not complaints


@every_example
def test_every_container_is_bound_as_tightly_as_can_be(rendered: Render, name: str) -> None:
    for workload in workloads(rendered(name)):
        pod = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for one in containers(workload):
            bound = one["securityContext"]
            assert (bound["readOnlyRootFilesystem"], bound["allowPrivilegeEscalation"]) == (True, False), one["name"]
            assert bound["runAsNonRoot"] is True
            assert bound["runAsUser"] >= 10_000
            assert bound["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
            assert "memory" in one["resources"]["limits"]
            assert not one["image"].endswith(":latest")


@every_example
def test_two_of_a_kind_go_down_only_one_by_one(rendered: Render, name: str) -> None:
    found = manifests(rendered(name))
    budgets = [one["spec"]["selector"]["matchLabels"] for one in found if one["kind"] == "PodDisruptionBudget"]
    for workload in workloads(rendered(name)):
        if stays(workload):
            labels = workload["spec"]["template"]["metadata"]["labels"]
            assert sum(one.items() <= labels.items() for one in budgets) == 1, workload["metadata"]["name"]


def test_a_switch_waits_for_its_calls_and_what_hears_it_ends_after_it(rendered: Render) -> None:
    (switch,) = (one for one in workloads(rendered("minimal")) if one["metadata"]["name"].endswith("-freeswitch"))
    pod = switch["spec"]["template"]["spec"]
    (freeswitch,) = pod["containers"]
    sidecars = {one["name"]: one.get("restartPolicy") for one in pod["initContainers"]}
    assert sidecars == {"sounds": None, "listener": "Always", "recorder": "Always"}
    drain, seconds = freeswitch["lifecycle"]["preStop"]["exec"]["command"]
    assert drain == "/usr/local/bin/drain"
    assert int(seconds) < pod["terminationGracePeriodSeconds"]
    assert switch["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


def _of(text: str, kind: str, component: str) -> dict[str, Any]:
    (found,) = (m for m in manifests(text) if m["kind"] == kind and m["metadata"]["name"].endswith(f"-{component}"))
    return found


def _lost_node(workload: dict[str, Any]) -> dict[str, int | None]:
    """Return how long its pods stay on a lost node, None = for ever, by what the cluster says of that."""
    tolerations = workload["spec"]["template"]["spec"].get("tolerations", ())
    return {one["key"].partition("/")[2]: one.get("tolerationSeconds") for one in tolerations}


@every_example
def test_who_can_be_elsewhere_leaves_a_lost_node_and_a_switch_does_not(rendered: Render, name: str) -> None:
    text = rendered(name)
    for component in ("stats", "console"):
        assert _lost_node(_of(text, "Deployment", component)) == {"not-ready": 30, "unreachable": 30}
    found = _lost_node(_of(text, "StatefulSet", "freeswitch"))
    assert (found["not-ready"], found["unreachable"]) == (None, None)


@every_example
def test_there_is_one_of_the_statistics_at_any_moment_behind_the_same_service(rendered: Render, name: str) -> None:
    stats = _of(rendered(name), "Deployment", "stats")["spec"]
    assert (stats["replicas"], stats["strategy"]) == (1, {"type": "Recreate"})
    service = _of(rendered(name), "Service", "stats")["spec"]
    assert (service["clusterIP"], service["ports"][0]["port"]) == ("None", 8085)  # can't be changed by an upgrade


def test_new_pods_of_an_upgrade_are_spread_among_themselves(rendered: Render) -> None:
    for workload in workloads(rendered("minimal")):
        for one in workload["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            begins_first = workload["kind"] == "Deployment"
            assert one.get("matchLabelKeys", []) == (["pod-template-hash"] if begins_first else [])


def test_another_version_of_the_chart_replaces_no_pod_by_itself(
    helm_program: Path, rendered: Render, tmp_path: Path
) -> None:
    """A label that every release changes would end each switch, and ask its callers to wait, for nothing."""
    chart = tmp_path / "ringmaster"
    shutil.copytree(CHART, chart)
    about = (chart / "Chart.yaml").read_text(encoding="utf-8")
    assert "\nversion: 0.1.0\n" in about
    (chart / "Chart.yaml").write_text(about.replace("\nversion: 0.1.0\n", "\nversion: 0.2.0\n"), encoding="utf-8")
    example = f"--values={CHART / 'ci' / 'minimal-values.yaml'}"
    done = run_helm(helm_program, "template", "--namespace=voice", example, chart=chart)
    assert done.returncode == 0, done.stderr

    def pods(text: str) -> dict[str, Any]:
        return {one["metadata"]["name"]: one["spec"]["template"] for one in workloads(text) if stays(one)}

    assert pods(done.stdout) == pods(rendered("minimal"))
    assert "ringmaster-0.2.0" in done.stdout


def test_no_request_is_sent_to_a_service_that_stops_and_it_has_time_to_end(rendered: Render) -> None:
    for workload in workloads(rendered("minimal")):
        if not stays(workload) or workload["metadata"]["name"].endswith("-freeswitch"):
            continue
        pod = workload["spec"]["template"]["spec"]
        (one,) = pod["containers"]
        assert one["lifecycle"]["preStop"]["sleep"]["seconds"] + 12 < pod["terminationGracePeriodSeconds"]
        assert one["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_rules_and_dashboards_are_taken_as_they_are(helm_program: Path, tmp_path: Path) -> None:
    chart = tmp_path / "ringmaster"
    shutil.copytree(CHART, chart)
    rule = {
        "groups": [
            {
                "name": "x",
                "rules": [{"alert": "X", "expr": "up == 0", "annotations": {"summary": "{{ $labels.pod }} is away"}}],
            }
        ]
    }
    (chart / "rules").mkdir(exist_ok=True)
    (chart / "rules" / "extra.yaml").write_text(yaml.safe_dump(rule), encoding="utf-8")
    (chart / "rules" / "extra.test.yaml").write_text("tests: []\n", encoding="utf-8")
    (chart / "dashboards").mkdir(exist_ok=True)
    (chart / "dashboards" / "extra.json").write_text('{"title": "{{ queue }}"}\n', encoding="utf-8")
    done = run_helm(helm_program, "template", f"--values={CHART / 'ci' / 'everything-values.yaml'}", chart=chart)
    assert done.returncode == 0, done.stderr
    found = {
        one["metadata"]["name"]: one for one in manifests(done.stdout) if one["metadata"]["name"].endswith("-extra")
    }
    assert found["voice-ringmaster-rules-extra"]["spec"] == rule
    assert found["voice-ringmaster-dashboard-extra"]["data"]["extra.json"].strip() == '{"title": "{{ queue }}"}'


def test_every_rule_passes_promtool_with_its_own_tests(promtool_program: Path) -> None:
    for path in sorted((CHART / "rules").glob("*.yaml")):
        what = ("test", "rules") if path.name.endswith(".test.yaml") else ("check", "rules", "--lint-fatal")
        done = subprocess.run(
            [promtool_program, *what, path], capture_output=True, text=True, check=False, cwd=path.parent
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "expected"), [("everything", ["2"]), ("minimal", [])])
def test_a_silent_router_is_replaced_soon_where_our_own_cluster_allows_it(
    rendered: Callable[[str], str], name: str, expected: list[str]
) -> None:
    router = next(one for one in workloads(rendered(name)) if one["metadata"]["name"].endswith("router"))
    environment = [entry for one in containers(router) for entry in one.get("env", ())]
    session = [entry["value"] for entry in environment if entry["name"] == "RINGMASTER_ROUTER_SESSION_SECONDS"]
    assert session == expected


def test_a_feeds_reader_reads_that_topic_alone_and_webhooks_alone_write_feeds(rendered: Render) -> None:
    users = {one["metadata"]["name"]: one for one in manifests(rendered("everything")) if one["kind"] == "KafkaUser"}
    acls = {name: one["spec"]["authorization"]["acls"] for name, one in users.items()}
    topics = {
        name: [each["resource"]["name"] for each in acl if each["resource"]["type"] == "topic"]
        for name, acl in acls.items()
    }
    [reader] = [name for name in users if "feed-acme" in name]
    assert topics[reader] == ["ringmaster.feed.acme"]
    assert {word for each in acls[reader] for word in each["operations"]} == {"Read", "Describe"}
    [webhooks] = [name for name in users if "webhooks" in name]
    assert [name for name in topics if "ringmaster.feed." in topics[name]] == [webhooks]
    own = next(each for each in acls[webhooks] if each["resource"]["name"] == "ringmaster.feed.")
    assert (own["resource"]["patternType"], set(own["operations"])) == ("prefix", {"Create", "Describe", "Write"})


def test_the_console_may_ask_how_long_topics_keep_a_record(rendered: Render) -> None:
    """The proof of an erasure says it (ADR 26)."""
    users = [one for one in manifests(rendered("everything")) if one["kind"] == "KafkaUser"]
    (console,) = [one for one in users if one["metadata"]["name"].endswith("console")]
    acls = [each for each in console["spec"]["authorization"]["acls"] if "DescribeConfigs" in each["operations"]]
    assert [each["resource"]["name"] for each in acls] == ["ringmaster."]


@every_example
def test_every_folder_that_a_container_is_told_of_is_a_volume_of_its_pod(rendered: Render, name: str) -> None:
    """Nothing else can be written: a listener without the recordings' volume made no folder, and none was kept."""
    for workload in workloads(rendered(name)):
        for one in containers(workload):
            mounts = [f"{mount['mountPath']}/" for mount in one["volumeMounts"]]
            paths = [entry["value"] for entry in one.get("env", ()) if entry.get("value", "").startswith("/")]
            lost = [path for path in paths if not f"{path}/".startswith((*mounts, "/usr/share/ringmaster/"))]
            assert not lost, f"{one['name']}: {lost}"


def test_the_doctor_asks_each_service_where_it_listens(rendered: Render) -> None:
    """A headless service has no port of its own: a request goes to the pod, at the port that it names."""
    found = manifests(rendered("minimal"))
    ports = {
        one["metadata"]["name"]: {port["name"]: port["containerPort"] for port in container["ports"]}["http"]
        for one in workloads(rendered("minimal"))
        for container in containers(one)
        if container["name"] in ("console", "router", "stats", "webhooks")
    }
    told = {}
    for one in found:
        if one["kind"] == "Service" and (name := one["metadata"]["name"]) in ports:
            (port,) = one["spec"]["ports"]
            told[name] = port["port"]
            assert one["spec"].get("clusterIP") != "None" or port["port"] == ports[name]
    (doctor,) = (one for one in found if one["metadata"]["name"].endswith("-doctor"))
    (asked,) = (
        entry["value"]
        for entry in doctor["spec"]["containers"][0]["env"]
        if entry["name"] == "RINGMASTER_DOCTOR_SERVICES"
    )
    urls = [each.partition("=")[2] for each in asked.split(",")]
    assert sorted(urls) == sorted(f"http://{name}.voice.svc:{port}" for name, port in told.items())


def test_helm_shows_what_the_doctor_says(rendered: Render) -> None:
    """`helm test --logs` looks for a pod of the hook's own name, and would wait for a Job's every try."""
    hooks = [
        one for one in manifests(rendered("minimal")) if one["metadata"].get("annotations", {}).get("helm.sh/hook")
    ]
    (tested,) = (one for one in hooks if one["metadata"]["annotations"]["helm.sh/hook"] == "test")
    assert (tested["kind"], tested["spec"]["restartPolicy"]) == ("Pod", "Never")
