from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# What tells the entries of a list apart, in this order; a list of other things is compared as a whole.
_KEYS = (
    "domain_id",
    "queue_id",
    "flow_id",
    "step_id",
    "schedule_id",
    "list_id",
    "endpoint_id",
    "agent_id",
    "number",
    "rule_id",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs between two documents; a side that does not have it is None."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.path}: {self.after}"
        if self.after is None:
            return f"- {self.path}: {self.before}"
        return f"~ {self.path}: {self.before} -> {self.after}"


def changes(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """Yield what differs, by path. Entries with an id are found by it, so that a new order alone is one change."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from changes(before.get(name), after.get(name), f"{path}.{name}" if path else name)
        return
    keyed_before, keyed_after = _keyed(before), _keyed(after)
    if keyed_before is None or keyed_after is None:
        yield Change(path, before, after)
        return
    for key in sorted(keyed_before.keys() | keyed_after.keys()):
        yield from changes(keyed_before.get(key), keyed_after.get(key), f"{path}[{key}]")
    if list(keyed_before) != list(keyed_after) and keyed_before.keys() == keyed_after.keys():
        yield Change(f"{path} (order)", list(keyed_before), list(keyed_after))


def _keyed(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return None
    for key in _KEYS:
        if value and all(key in entry for entry in value):
            return {entry[key]: entry for entry in value}
    return {} if not value else None
