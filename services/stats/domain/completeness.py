"""What a number may lack, and why (DESIGN rule 10)."""

from dataclasses import dataclass
from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import Event

MOST_GAPS: Final = 50


@dataclass(frozen=True, slots=True)
class Mark:
    """A time from which facts may be missing. `until_ms` None: it goes on. `kind` is a word of this module."""

    kind: str
    node: str
    from_ms: int
    until_ms: int | None

    def touches(self, from_ms: int, until_ms: int) -> bool:
        """Whether a number over [from, until) may be incomplete."""
        return self.from_ms < until_ms and (self.until_ms is None or self.until_ms >= from_ms)


class Completeness:
    """Gaps and absences that the events of the switches tell. Repeats change nothing."""

    def __init__(self) -> None:
        self.gaps: dict[tuple[str, int, int], None] = {}
        # Node → (moment, sequence, is away): the newest word on it counts.
        self.nodes: dict[str, tuple[int, int, bool]] = {}

    def take(self, event: Event, kind: str, time_ms: int) -> bool:
        """Take an event of a switch; False when it is none, or changes nothing."""
        if kind == "switch_gap":
            return self._take_gap(event)
        if kind not in ("switch_connected", "switch_disconnected", "switch_restarted"):
            return False
        node = getattr(event, kind).node
        known = self.nodes.get(node, (0, 0, False))
        if (time_ms, event.sequence) <= known[:2]:
            return False
        self.nodes[node] = (time_ms, event.sequence, kind == "switch_disconnected")
        return True

    def marks(self, from_ms: int, until_ms: int) -> list[Mark]:
        """Return what touches [from, until)."""
        found = [Mark("switch_gap", node, start, end) for node, start, end in self.gaps]
        found += [Mark("switch_away", node, at_ms, None) for node, (at_ms, _, is_away) in self.nodes.items() if is_away]
        return [mark for mark in found if mark.touches(from_ms, until_ms)]

    def to_document(self) -> dict[str, Any]:
        """Return it for a snapshot."""
        return {"gaps": list(self.gaps), "nodes": self.nodes}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Completeness":
        """Read it from a snapshot."""
        completeness = cls()
        completeness.gaps = dict.fromkeys((node, start, end) for node, start, end in document["gaps"])
        completeness.nodes = {node: (at, number, away) for node, (at, number, away) in document["nodes"].items()}
        return completeness

    def _take_gap(self, event: Event) -> bool:
        body = event.switch_gap
        gap = (body.node, getattr(body, "from").ToMilliseconds(), body.until.ToMilliseconds())
        if gap in self.gaps:
            return False
        self.gaps[gap] = None
        if len(self.gaps) > MOST_GAPS:
            del self.gaps[next(iter(self.gaps))]
        return True
