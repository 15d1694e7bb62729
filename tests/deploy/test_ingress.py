"""What people and programs ask for from outside reaches the service that answers it, and the rest stays inside."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.deploy.applications import applications
from tests.deploy.conftest import manifests

Render = Callable[[str], str]
HOSTS = {
    "api.example.net": ["console"],
    "live.example.net": ["stats"],
    "hooks.example.net": ["webhooks"],
    "recordings.example.net": ["recordings", "transcribe"],
}
INSIDE = ("/healthz", "/readyz", "/metrics", "/freeswitch/directory", "/freeswitch/dialplan", "/static/x")
"""For the cluster, for Prometheus, for the switch; and what Flask adds by itself."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Flask]:
    """Return their applications, by component."""
    return applications(tmp_path_factory.mktemp("recordings"))


def paths_of(application: Flask) -> set[str]:
    """Return a path of each route."""
    return {re.sub("<[^>]+>", "x", rule.rule) for rule in application.url_map.iter_rules()}


@pytest.fixture(scope="module")
def names(rendered: Render) -> dict[str, list[dict[str, Any]]]:
    """Return the paths of each name outside."""
    documents = [one for one in rendered("everything").split("\n---\n") if "\nkind: Ingress\n" in one]
    rules = [rule for text in documents for one in manifests(text) for rule in one["spec"]["rules"]]
    return {rule["host"]: rule["http"]["paths"] for rule in rules}


def reached(paths: list[dict[str, Any]], path: str) -> str | None:
    """Return the component that an ingress controller asks: the exact path, else the longest of whole elements."""
    fitting = [
        one
        for one in paths
        if path == one["path"] or (one["pathType"] == "Prefix" and f"{path}/".startswith(f"{one['path']}/"))
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda one: (one["pathType"] == "Exact", len(one["path"])))
    name: str = best["backend"]["service"]["name"]
    return name.removeprefix("voice-ringmaster-")


@pytest.mark.parametrize("host", HOSTS)
def test_each_route_is_reached_at_its_services_name(
    names: dict[str, list[dict[str, Any]]], services: dict[str, Flask], host: str
) -> None:
    for component in HOSTS[host]:
        asked = paths_of(services[component]) - set(INSIDE)
        own = {path for path in asked if component != "transcribe" or path.startswith("/v1/transcripts")}
        assert own
        assert {path: reached(names[host], path) for path in own} == dict.fromkeys(own, component)


def test_what_is_for_the_inside_is_reached_at_no_name(names: dict[str, list[dict[str, Any]]]) -> None:
    assert names.keys() == HOSTS.keys()
    assert [path for path in INSIDE for one in names.values() if reached(one, path) is not None] == []


def test_an_ingress_controller_reaches_each_backend_at_a_port_that_there_is(
    names: dict[str, list[dict[str, Any]]], rendered: Render
) -> None:
    documents = [one for one in rendered("everything").split("\n---\n") if "\nkind: Service\n" in one]
    found = [one for text in documents for one in manifests(text)]
    ports = {one["metadata"]["name"]: {port["name"] for port in one["spec"]["ports"]} for one in found}
    backends = [one["backend"]["service"] for paths in names.values() for one in paths]
    assert len({one["name"] for one in backends}) == 5
    assert [one for one in backends if one["port"]["name"] not in ports[one["name"]]] == []
