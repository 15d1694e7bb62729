"""What the chart passes is read by somebody, and what somebody reads can be passed."""

import re
from collections.abc import Callable
from typing import Final

import pytest

from deploy.tools.chart_settings import (
    BY_THE_CHART,
    SWITCH_BY_THE_CHART,
    WITH_ROLES,
    settings_of,
    settings_schema,
    switch_schema,
    switch_variables,
)
from services.cli.settings import DoctorSettings
from tests.deploy.conftest import CI, containers, workloads

NAMES = [path.name.removesuffix("-values.yaml") for path in CI]
PREFIX = "RINGMASTER_"
NAMES_SOMETHING_OUTSIDE: Final = re.compile(
    r"(bootstrap|uri|endpoint|host|bucket|encryption|engine|secret|secrets|tokens)$"
)
NOT_FOR_THE_DOCTOR: Final = {
    "http_host",  # where a service itself listens
    "transcribe_clip_engine",  # the same kind of server as transcribe_engine
}


def passed(text: str, container: str) -> set[str]:
    """Return the variables of a container, as fields."""
    found = next(
        (one for workload in workloads(text) for one in containers(workload) if one["name"] == container), None
    )
    if found is None:
        pytest.skip(f"{container} is not asked for in this example")
    return {variable["name"].removeprefix(PREFIX).lower() for variable in found["env"]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("service", WITH_ROLES)
def test_a_service_reads_all_that_it_is_given(rendered: Callable[[str], str], service: str, name: str) -> None:
    assert passed(rendered(name), service) <= settings_of(service).keys()


@pytest.mark.parametrize("service", WITH_ROLES)
def test_all_that_a_service_reads_can_be_given(rendered: Callable[[str], str], service: str) -> None:
    given = passed(rendered("everything"), service) | settings_schema(service)["properties"].keys()
    assert settings_of(service).keys() - given == set()


def test_nothing_is_said_to_be_the_charts_that_no_service_reads() -> None:
    assert {name for service in WITH_ROLES for name in settings_of(service)} >= BY_THE_CHART


@pytest.mark.parametrize("name", NAMES)
def test_the_switch_reads_all_that_it_is_given(rendered: Callable[[str], str], name: str) -> None:
    assert passed(rendered(name), "freeswitch") <= switch_variables()


def test_all_that_the_switch_reads_can_be_given(rendered: Callable[[str], str]) -> None:
    given = passed(rendered("everything"), "freeswitch") | switch_schema()["properties"].keys()
    # Its own default is the port at which the listener is told to look for it; a pod's hook drains, not its SIGTERM.
    assert switch_variables() - given == {"esl_port", "drain_seconds"}
    assert switch_variables() >= SWITCH_BY_THE_CHART


def test_whole_and_large_numbers_come_out_as_they_went_in(rendered: Callable[[str], str]) -> None:
    (listener,) = (
        one
        for workload in workloads(rendered("everything"))
        for one in containers(workload)
        if one["name"] == "listener"
    )
    values = {variable["name"]: variable.get("value") for variable in listener["env"]}
    assert values["RINGMASTER_SPOOL_MAX_BYTES"] == "2147483648"


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_reads_all_that_it_is_given(rendered: Callable[[str], str], name: str) -> None:
    assert passed(rendered(name), "doctor") <= doctor_fields() | settings_of("router").keys()


def test_the_doctor_is_told_of_everything_outside_that_a_service_of_the_chart_names(
    rendered: Callable[[str], str],
) -> None:
    text = rendered("everything")
    named = {one for service in WITH_ROLES for one in passed(text, service) if NAMES_SOMETHING_OUTSIDE.search(one)}
    assert {"kafka_bootstrap", "smtp_host", "transcribe_engine", "recorder_encryption"} <= named
    # The switch's event socket is on the loopback of its own pod.
    assert named - NOT_FOR_THE_DOCTOR - {"esl_host"} - passed(text, "doctor") == set()


def test_the_doctor_knows_everything_outside_that_a_service_can_name() -> None:
    named = {one for service in WITH_ROLES for one in settings_of(service) if NAMES_SOMETHING_OUTSIDE.search(one)}
    assert named - NOT_FOR_THE_DOCTOR - doctor_fields() == set()


def doctor_fields() -> set[str]:
    return set(DoctorSettings.__dataclass_fields__)
