"""What the events tell of queues and agents: the figures that a what-if compares."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

_HANDLING = (ev.AGENT_STATE_TALKING, ev.AGENT_STATE_HOLDING, ev.AGENT_STATE_WRAP_UP)
_GAVE_UP = (ev.QUEUE_EXIT_ABANDONED, ev.QUEUE_EXIT_SHORT_ABANDONED)


@dataclass
class QueueTally:
    """The callers of one queue. Who went on to another queue counts there."""

    waits_ms: list[int] = field(default_factory=list)
    answered: int = 0
    in_time: int = 0
    gave_up: int = 0

    def figures(self) -> dict[str, float]:
        """Return the figures: counts, seconds, shares."""
        callers, waits = len(self.waits_ms), sorted(self.waits_ms)
        if not callers:
            return {"callers": 0}
        return {
            "callers": callers,
            "answered": self.answered / callers,
            "abandoned": self.gave_up / callers,
            "service_level": self.in_time / callers,
            "mean_wait_seconds": sum(waits) / callers / 1000,
            "p90_wait_seconds": waits[(9 * callers - 1) // 10] / 1000,
        }


class Tally:
    """Counts callers who joined between two moments, milliseconds since 1970 UTC, and agents' time between them.

    `only` names the callers who count; None = all of them.
    """

    def __init__(self, from_ms: int, until_ms: int, only: frozenset[str] | None = None) -> None:
        self._from_ms, self._until_ms, self._only = from_ms, until_ms, only
        self.counted: set[str] = set()
        self.queues: dict[str, QueueTally] = defaultdict(QueueTally)
        self._joined: dict[str, int] = {}
        self._spent_ms: Counter[int] = Counter()

    def see(self, now_ms: int, events: Iterable[Event]) -> None:
        """Count what was told at a moment."""
        for event in events:
            kind = event.WhichOneof("body")
            if kind == "queue_joined" and self._from_ms <= now_ms < self._until_ms:
                if self._only is None or event.call_id in self._only:
                    self._joined[event.call_id] = now_ms
            elif kind == "queue_left" and event.call_id in self._joined:
                del self._joined[event.call_id]
                self.counted.add(event.call_id)
                self._left(event.queue_left)
            elif kind == "agent_state_changed":
                self._spent(now_ms, event.agent_state_changed)

    def figures(self) -> dict[str, Any]:
        """Return all figures: by queue, over all of them, and the agents' occupancy."""
        whole = QueueTally()
        for queue in self.queues.values():
            whole.waits_ms += queue.waits_ms
            whole.answered += queue.answered
            whole.in_time += queue.in_time
            whole.gave_up += queue.gave_up
        handling = sum(self._spent_ms[state] for state in _HANDLING)
        present = handling + self._spent_ms[ev.AGENT_STATE_IDLE]
        return {
            "queues": {queue_id: self.queues[queue_id].figures() for queue_id in sorted(self.queues)},
            "all": whole.figures() | {"occupancy": handling / present if present else 0.0},
        }

    def _left(self, left: ev.QueueLeft) -> None:
        if left.exit == ev.QUEUE_EXIT_OVERFLOW:
            return
        queue = self.queues[left.queue_id]
        queue.waits_ms.append(left.wait_ms)
        queue.answered += left.exit == ev.QUEUE_EXIT_ANSWERED
        queue.in_time += left.exit == ev.QUEUE_EXIT_ANSWERED and left.within_service_level
        queue.gave_up += left.exit in _GAVE_UP

    def _spent(self, now_ms: int, changed: ev.AgentStateChanged) -> None:
        """Count the time in the state that ends now, as far as it lies between the two moments."""
        began_ms = max(self._from_ms, now_ms - changed.former_ms)
        self._spent_ms[changed.former_state] += max(0, min(now_ms, self._until_ms) - began_ms)
