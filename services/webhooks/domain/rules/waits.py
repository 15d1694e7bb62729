"""Callers who wait for too long, noticed while they wait (SPEC 7.4)."""

from dataclasses import dataclass, field
from typing import Final

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

MOST_WAITING: Final = 10_000


@dataclass(slots=True)
class Waiting:
    """A caller in a queue."""

    joined_id: str
    joined_ms: int
    queue_id: str
    is_told: bool = False


@dataclass(slots=True)
class Waits:
    """What a rule with `wait` knows: who waits, and whose long wait has been told.

    That somebody has waited for too long is a public event like any other: it goes into the log, and the rule fires
    when it comes back out of it. So a kill between the two loses nothing, and does nothing twice.
    """

    rule_id: str
    wait: tn.RuleWait
    waiting: dict[str, Waiting] = field(default_factory=dict)

    def take(self, event: Event, at_ms: int) -> list[Event]:
        """Take the next event; return kpi.recovered when a long wait ends."""
        kind = event.WhichOneof("body")
        if kind == "queue_joined" and self._is_ours(event.queue_joined.queue_id):
            self._join(event, at_ms)
        elif kind == "queue_left" and self._is_ours(event.queue_left.queue_id):
            self.waiting.pop(event.call_id, None)
            if event.queue_left.wait_ms >= self._longest_ms:
                return [self._recovered(event, event.queue_left.queue_id, event.queue_left.wait_ms)]
        elif kind == "call_ended":
            self.waiting.pop(event.call_id, None)
        elif kind == "kpi_violated" and event.kpi_violated.kpi_id == self.rule_id:
            self.told(event.call_id)
        return []

    def due(self, tenant_id: str, now_ms: int) -> list[Event]:
        """Return kpi.violated for everybody who has waited for too long and of whom nobody was told."""
        return [
            self._violated(tenant_id, call_id, one)
            for call_id, one in self.waiting.items()
            if not one.is_told and one.joined_ms + self._longest_ms <= now_ms
        ]

    def told(self, call_id: str) -> None:
        """Note that somebody's long wait is in the log."""
        if call_id in self.waiting:
            self.waiting[call_id].is_told = True

    @property
    def _longest_ms(self) -> int:
        return self.wait.seconds * 1000

    def _is_ours(self, queue_id: str) -> bool:
        return self.wait.queue_id in ("", queue_id)

    def _join(self, event: Event, at_ms: int) -> None:
        if event.call_id in self.waiting and self.waiting[event.call_id].joined_id == event.event_id:
            return
        self.waiting[event.call_id] = Waiting(event.event_id, at_ms, event.queue_joined.queue_id)
        if len(self.waiting) > MOST_WAITING:
            del self.waiting[next(iter(self.waiting))]

    def _violated(self, tenant_id: str, call_id: str, one: Waiting) -> Event:
        event = Event(event_id=f"violated-{self.rule_id}-{one.joined_id}", tenant_id=tenant_id, call_id=call_id)
        event.time.FromMilliseconds(one.joined_ms + self._longest_ms)
        event.subject = f"queue:{one.queue_id}"
        body = event.kpi_violated
        body.kpi_id, body.subject = self.rule_id, event.subject
        body.value = body.norm = float(self.wait.seconds)
        return event

    def _recovered(self, left: Event, queue_id: str, wait_ms: int) -> Event:
        event = Event(event_id=f"recovered-{self.rule_id}-{left.event_id}", tenant_id=left.tenant_id)
        event.call_id, event.subject = left.call_id, f"queue:{queue_id}"
        event.time.CopyFrom(left.time)
        body = event.kpi_recovered
        body.kpi_id, body.subject = self.rule_id, event.subject
        body.value, body.norm = wait_ms / 1000, float(self.wait.seconds)
        return event
