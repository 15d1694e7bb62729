"""A reader can follow each service from its leaves up: no module needs, over others, itself; not even for types."""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

SERVICES = ("console", "listener", "recorder", "router", "stats", "webhooks")


def _imports() -> dict[str, set[str]]:
    """Return the modules of each domain with those that they import directly."""
    graph = grimp.build_graph("services")
    domains = tuple(f"services.{service}.domain." for service in SERVICES)
    return {
        module: {found for found in graph.find_modules_directly_imported_by(module) if found.startswith(domains)}
        for module in graph.modules
        if module.startswith(domains)
    }


def test_no_modules_of_a_domain_import_in_a_circle() -> None:
    imports = _imports()
    assert len(imports) > 80
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))
