"""One host: every variable is read by who gets it, every image is pinned, nothing runs as root or can be written."""

import re
from typing import Any

import pytest
import yaml

from deploy.tools.chart_settings import ROOT, SERVICES, settings_of, switch_variables
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
