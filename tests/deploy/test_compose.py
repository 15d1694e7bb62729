"""One host: every variable is read by who gets it, every image is pinned, nothing runs as root or can be written."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.chart_settings import ROOT, SERVICES, settings_of, switch_variables
from local.stack.prometheus import rule_files
from services.cli.settings import DoctorSettings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
PARTS: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [*SERVICES, "tools", "topics", "freeswitch"]


def variables(part: str) -> set[str]:
    given = PARTS[part]["environment"]
    return {name.removeprefix("RINGMASTER_").lower() for name in given if name.startswith("RINGMASTER_")}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_all_that_it_is_given_and_is_given_all_that_it_must_have(service: str) -> None:
    assert variables(service) <= settings_of(service).keys()


def test_the_switch_and_the_doctor_read_all_that_they_are_given() -> None:
    assert variables("freeswitch") <= switch_variables()
    assert variables("tools") <= DoctorSettings.__dataclass_fields__.keys()


@pytest.mark.parametrize("part", OURS)
def test_what_is_ours_runs_as_nobody_on_a_root_that_it_cannot_write(part: str) -> None:
    one = PARTS[part]
    assert (one["read_only"], one["user"], one["cap_drop"]) == (True, "10001:10001", ["ALL"])
    assert one["security_opt"] == ["no-new-privileges:true"]


def test_every_image_is_pinned() -> None:
    assert all(re.search(r":(\$\{VERSION:-)?v?[0-9]+\.[0-9]+", one["image"]) for one in PARTS.values())


def test_nothing_but_the_switch_is_reached_from_outside() -> None:
    published = [port for one in PARTS.values() for port in one.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_secret_that_must_be_given_is_in_the_example() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    example = (ROOT / "deploy" / "compose.example.env").read_text(encoding="utf-8")
    needed = set(re.findall(r"\$\{([A-Z0-9_]+):\?", text))
    assert needed <= set(re.findall(r"^([A-Z0-9_]+)=", example, re.MULTILINE))


def test_every_volume_and_secret_that_is_used_is_declared() -> None:
    used = {
        volume.partition(":")[0] for one in PARTS.values() for volume in one.get("volumes", ()) if volume[0].isalpha()
    }
    assert used == COMPOSE["volumes"].keys()
    assert {secret for one in PARTS.values() for secret in one.get("secrets", ())} == COMPOSE["secrets"].keys()


def test_the_switch_drains_before_anybody_stops_who_decides_about_its_calls() -> None:
    switch = PARTS["freeswitch"]
    assert {"listener", "router"} <= set(switch["depends_on"])
    minutes = int(switch["stop_grace_period"].removesuffix("m"))
    assert minutes * 60 > int(switch["environment"]["RINGMASTER_DRAIN_SECONDS"])
    dockerfile = (ROOT / "freeswitch" / "Dockerfile").read_text(encoding="utf-8")
    # FreeSWITCH itself ends every call at SIGTERM; and its key for browsers' sound goes where it may write.
    assert "exec start freeswitch " in dockerfile
    assert "-certs /state/certs" in dockerfile


@pytest.mark.parametrize("part", [*OURS, "kafka", "prometheus"])
def test_every_folder_that_a_part_is_told_of_is_a_volume_of_its(part: str) -> None:
    """The root can't be written; and Kafka's log has to be there for the next container."""
    one = PARTS[part]
    mounts = [volume.rsplit(":ro", 1)[0].rpartition(":")[2] for volume in one.get("volumes", ())]
    mounts += [each.partition(":")[0] for each in one.get("tmpfs", ())] + ["/run/secrets"] * ("secrets" in one)
    mounts = [f"{each}/" for each in mounts] + ["/usr/share/ringmaster/"]
    told = [str(value) for value in one.get("environment", {}).values()]
    told += [word.partition("=")[2] for word in one.get("command", ())]
    lost = [path for path in told if path.startswith("/") and not f"{path}/".startswith(tuple(mounts))]
    assert not lost


def test_kafkas_log_is_on_its_volume() -> None:
    """The image itself writes below /tmp: without the variable a new container begins an empty log."""
    kafka = PARTS["kafka"]
    assert f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}" in kafka["volumes"]


def test_prometheus_starts_with_its_configuration_and_with_every_rule(promtool_program: Path, tmp_path: Path) -> None:
    """As the container sees it: the folder of rules, their tests too, is mounted beside the file."""
    config = ROOT / "deploy" / "prometheus.yml"
    shutil.copy(config, tmp_path / "prometheus.yml")
    shutil.copytree(ROOT / "deploy" / "k8s" / "ringmaster" / "rules", tmp_path / "rules")
    done = subprocess.run(
        [promtool_program, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = yaml.safe_load(config.read_text(encoding="utf-8"))["rule_files"]
    assert told == [f"rules/{path.name}" for path in rule_files()]


def test_prometheus_reaches_every_service_where_it_listens() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    (group,) = job["static_configs"]
    assert {target.partition(":")[0] for target in group["targets"]} == set(SERVICES)
    dockerfile = (ROOT / "deploy" / "images" / "Dockerfile").read_text(encoding="utf-8")
    for target in group["targets"]:
        name, _, port = target.partition(":")
        stage = dockerfile.partition(f"FROM runtime AS {name}")[2]
        assert f"RINGMASTER_HTTP_PORT={port}" in stage.partition("FROM")[0]
    # The listener is on the host's network: it listens at the bridge, and Prometheus knows it there.
    bridge = COMPOSE["networks"]["default"]["ipam"]["config"][0]["gateway"]
    assert PARTS["listener"]["environment"]["RINGMASTER_HTTP_HOST"] == bridge
    assert PARTS["prometheus"]["extra_hosts"] == [f"listener:{bridge}"]
