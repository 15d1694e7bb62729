"""What readers tell of what the broker refuses, and who listens to it."""

import ast
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gevent.event import Event as Flag

from services.console.bootstrap import Console
from services.listener.bootstrap import Listener
from services.recorder import bootstrap as recorder
from services.recorder import transcribe_bootstrap as transcriber
from services.shared.bus.readings import Readings
from services.stats import bootstrap as stats
from services.webhooks.service import Webhooks

SERVICES = Path(__file__).parents[3] / "services"
TELLING = ("listener", "recorder", "webhooks", "stats", "console")
"""The router's own loop tells what keeps it from its log; the command line ends with the sentence."""
BESIDE = {"stats/rebuild.py"}
"""Runs once, and ends with the sentence."""


def test_who_has_not_read_yet_can_not_be_said_to_read() -> None:
    readings = Readings()
    tell = readings.of("ringmaster.calls", "stats")
    assert readings.trouble == "ringmaster.calls is not read yet"
    tell("")
    assert readings.trouble == ""


def test_what_is_refused_is_said_before_what_has_only_begun_and_once() -> None:
    readings = Readings()
    readings.of("ringmaster.tenants")
    readings.of("ringmaster.calls", "one")("it is refused")
    readings.of("ringmaster.calls", "two")("it is refused")
    assert readings.trouble == "it is refused; ringmaster.tenants is not read yet"


def test_a_reader_that_is_made_anew_is_the_same_one() -> None:
    readings = Readings()
    readings.of("ringmaster.calls", "one")("it is refused")
    again = readings.of("ringmaster.calls", "one")
    assert readings.trouble == "it is refused"
    again("")
    assert readings.trouble == ""


def _is_set() -> Flag:
    flag = Flag()
    flag.set()
    return flag


def _all_is_well(readings: Readings) -> SimpleNamespace:
    """Stand in for whatever else a service asks whether it is ready."""
    well = SimpleNamespace(trouble="", is_current=True, is_listening=True, current=_is_set(), ready=_is_set())
    outside = SimpleNamespace(needed=(), watches=(), readings=readings)
    here = SimpleNamespace(tenants=SimpleNamespace(loaded=_is_set()), pump=well, publisher=well, readings=readings)
    here.directory = here.desk = here._tenants = here._calls = here.events = well
    here._parts = here._outside = outside
    return here


READY: dict[str, Callable[[Any, Readings], tuple[bool, str]]] = {
    "listener": lambda well, _: Listener.ready(well),
    "recorder": lambda well, heard: recorder._readiness(well.pump, SimpleNamespace(trouble=str), heard),  # type: ignore[arg-type]
    "transcribe": lambda well, heard: transcriber._readiness(well.pump, heard, ()),
    "webhooks": lambda well, _: Webhooks.ready(well),
    "stats": stats._readiness,
    "console": lambda well, _: Console.ready(well),
}


@pytest.mark.parametrize("service", READY)
def test_a_service_that_is_refused_what_it_reads_is_not_ready_until_it_is_let_in(service: str) -> None:
    readings = Readings()
    tell, ready = readings.of("ringmaster.calls", service), READY[service]
    tell("the broker refuses it: do this")
    assert ready(_all_is_well(readings), readings) == (False, "the broker refuses it: do this")
    tell("")
    assert ready(_all_is_well(readings), readings)[0]


@pytest.mark.parametrize("service", TELLING)
def test_every_reader_of_a_service_tells(service: str) -> None:
    calls = [
        (path, node)
        for path in sorted((SERVICES / service).rglob("*.py"))
        if str(path.relative_to(SERVICES)) not in BESIDE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Consumer"
    ]
    assert calls
    silent = [f"{path}:{node.lineno}" for path, node in calls if "tells" not in {word.arg for word in node.keywords}]
    assert silent == []
