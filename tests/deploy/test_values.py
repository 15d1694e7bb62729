"""Values that make no sense are refused before anything is changed, each with its place and in words."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.chart_settings import ROOT
from deploy.tools.schema import CHART, tenant_schema
from services.console.domain.validation import sound_document
from tests.deploy.conftest import run_helm

MINIMAL = f"--values={CHART / 'ci' / 'minimal-values.yaml'}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("kafka.bootstrap=kafka", ["/kafka/bootstrap"]),
        ("kafka.bootstrap=", ["kafka.bootstrap is empty"]),
        ("kafka.topics.partitions=0", ["/kafka/topics/partitions"]),
        ("s3.endpoint=", ["s3.endpoint is empty"]),
        ("s3.endpoint=minio", ["/s3/endpoint"]),
        ("image.tag=latest", ["/image/tag"]),
        ("router.replicas=many", ["/router/replicas"]),
        ("router.setings.x=1", ["/router", "setings"]),
        ("router.settings.router_session_second=3", ["/router/settings", "router_session_second"]),
        ("webhooks.settings.webhook_concurrency=eight", ["/webhooks/settings/webhook_concurrency"]),
        ("freeswitch.settings.carrier_network=anywhere", ["/freeswitch/settings/carrier_network"]),
        ("freeswitch.settings.carrier_port=70000", ["/freeswitch/settings/carrier_port"]),
        ("secrets.from=create", ["secrets.values.mongodb-uri is missing"]),
        ("secrets.from=external", ["secrets.store.name is empty"]),
        ("secrets.name=", ["secrets.name is empty"]),
        ("secrets.values.esl-password=ClueCon", ["/secrets/values/esl-password"]),
        ("ingress.enabled=true", ["ingress.consoleHost is empty"]),
        ("stats.replicas=2", ["/stats", "replicas"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(helm_program: Path, given: str, words: list[str]) -> None:
    done = run_helm(helm_program, "template", MINIMAL, "--set", given)
    assert done.returncode != 0
    assert all(word in done.stderr for word in words), done.stderr


def tenant(helm_program: Path, folder: Path, **changed: Any) -> str:
    document = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text(encoding="utf-8"))["tenants"]["oak"]
    path = folder / "tenant.yaml"
    path.write_text(yaml.safe_dump({"tenants": {"oak": document | changed}}), encoding="utf-8")
    return run_helm(helm_program, "template", MINIMAL, f"--values={path}").stderr


def test_a_tenant_is_refused_whole_with_every_fault(helm_program: Path, tmp_path: Path) -> None:
    told = tenant(helm_program, tmp_path, domain="NO DOMAIN", surprise=1, lines=[{"number": "12", "flow": "main"}])
    assert all(path in told for path in ("/tenants/oak/domain", "/tenants/oak/lines/0/number", "surprise"))


def test_many_companies_are_more_than_one_config_map_takes_and_each_reaches_the_job(
    helm_program: Path, tmp_path: Path
) -> None:
    """An API server takes a mebibyte of each: none may get much more than its share."""
    document = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text(encoding="utf-8"))["tenants"]["oak"]
    many = {f"shop-{n}": document | {"tenant_id": f"shop-{n}"} for n in range(64)}
    path = tmp_path / "many.yaml"
    path.write_text(yaml.safe_dump({"tenants": many}), encoding="utf-8")
    done = run_helm(helm_program, "template", MINIMAL, f"--values={path}", "--show-only=templates/tenants.yaml")
    assert done.returncode == 0, done.stderr
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    held = {one["metadata"]["name"]: one["data"] for one in found if one["kind"] == "ConfigMap"}
    assert max(map(len, held.values())) <= 64 // 6
    for one in found:
        if one["kind"] == "Job":
            pod = one["spec"]["template"]["spec"]
            (volume,) = (each for each in pod["volumes"] if each["name"] == "tenants")
            mounted = [name for source in volume["projected"]["sources"] for name in held[source["configMap"]["name"]]]
            assert sorted(mounted) == sorted(f"{name}.yaml" for name in many)
            assert pod["containers"][0]["args"][2:] == [f"/tenants/{name}" for name in sorted(mounted)]


def test_a_tenant_stands_under_its_own_id(helm_program: Path, tmp_path: Path) -> None:
    told = tenant(helm_program, tmp_path, tenant_id="elm")
    assert "tenants.oak.tenant_id is elm" in told


def test_a_control_character_is_refused_in_a_tenants_name_as_everywhere(helm_program: Path, tmp_path: Path) -> None:
    assert "/tenants/oak/name" in tenant(helm_program, tmp_path, name="Oak\x07")
    assert tenant(helm_program, tmp_path, name="Дуб та онуки") == ""


def test_the_chart_and_the_platform_mean_the_same_document() -> None:
    text = (ROOT / "proto" / "tenant.schema.json").read_text(encoding="utf-8")
    published = {name: part for name, part in json.loads(text).items() if not name.startswith("$")}
    in_their_spelling = re.sub(r"\\\\x\{([0-9a-f]{4})\}", r"\\\\u\1", json.dumps(tenant_schema()))
    assert json.loads(in_their_spelling) == published


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deploy" / "k8s" / "tenants").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_example_of_a_company_is_sound_for_chart_and_platform(helm_program: Path, path: Path) -> None:
    done = run_helm(helm_program, "template", MINIMAL, f"--values={path}")
    assert done.returncode == 0, done.stderr
    for document in yaml.safe_load(path.read_text(encoding="utf-8"))["tenants"].values():
        assert sound_document(yaml.safe_dump(document, allow_unicode=True).encode()) == document
