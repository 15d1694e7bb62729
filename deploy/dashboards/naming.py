"""Holds PromQL against the metrics that the services have: a wrong name or label finds nothing, and says nothing."""

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import promql_parser
from prometheus_client import REGISTRY
from prometheus_client.registry import Collector

from services.shared.chassis.quick_metrics import QuickCounter, QuickHistogram

_MODULES: Final = (
    *(f"services.{name}.metrics" for name in ("console", "listener", "recorder", "router", "stats", "webhooks")),
    "services.shared.bus.metrics",
    "services.shared.chassis.web",
)
# What every process tells by itself, and what Prometheus adds.
_OF_PROCESS: Final = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds")
_OF_SCRAPE: Final = frozenset({"instance", "job", "le", "__name__"})
_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def metrics() -> dict[str, frozenset[str]]:
    """Return the labels of every series that the services can tell, by its name."""
    for module in _MODULES:
        importlib.import_module(module)
    found = {name: frozenset[str]() for name in _OF_PROCESS}
    for collector in list(REGISTRY._names_to_collectors.values()):  # noqa: SLF001 - it lists them nowhere else
        for family in getattr(collector, "describe", collector.collect)():
            if family.name.startswith("ringmaster_"):
                for suffix in _SUFFIXES[family.type]:
                    found[family.name + suffix] = _label_names(collector)
    live = importlib.import_module("services.stats.metrics").LIVE
    return found | {f"ringmaster_stats_{name}": frozenset(labels) for name, (_, labels) in live.items()}


def _label_names(collector: Collector) -> frozenset[str]:
    if isinstance(collector, QuickCounter | QuickHistogram):
        return frozenset(collector.label_names)
    return frozenset(getattr(collector, "_labelnames", ()))


def faults(expression: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Return what an expression asks for that nobody tells; recorded series are known by their labels alone."""
    tree = promql_parser.parse(expression)
    labels = frozenset[str]().union(*known.values(), _OF_SCRAPE)
    found = [f"no metric has the label {label}" for label in sorted(_modifiers(tree)) if label not in labels]
    for selector in _selectors(tree):
        name = selector.name
        if name is None:
            found += _pattern_faults(selector, known)
        elif name not in known:
            found.append(f"nobody tells {name}")
        else:
            asked = {matcher.name for matcher in selector.matchers.matchers}
            found += [f"{name} has no label {label}" for label in sorted(asked - known[name] - _OF_SCRAPE)]
    return found


def _pattern_faults(selector: Any, known: Mapping[str, frozenset[str]]) -> list[str]:
    (pattern,) = (each.value for each in selector.matchers.matchers if each.name == "__name__")
    return [] if any(re.fullmatch(pattern, name) for name in known) else [f"nobody tells {pattern}"]


def _selectors(tree: Any) -> Iterator[Any]:
    if type(tree).__name__ == "VectorSelector":
        yield tree
    for child in _children(tree):
        yield from _selectors(child)


def _modifiers(tree: Any) -> set[str]:
    found: set[str] = set()
    modifier = getattr(tree, "modifier", None)
    for part in (modifier, getattr(modifier, "matching", None), getattr(modifier, "card", None)):
        found |= set(getattr(part, "labels", None) or ())
    for child in _children(tree):
        found |= _modifiers(child)
    return found


def _children(tree: Any) -> Iterator[Any]:
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        child = getattr(tree, name, None)
        if child is not None:
            yield child
    yield from getattr(tree, "args", None) or ()
