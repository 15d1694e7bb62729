"""What the public events tell of callbacks: the open ones, and the last that are done (SPEC 4)."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import Event

MOST_DONE: Final = 1_000
"""Of a tenant; who wants older ones asks the events."""
OPEN_STATES: Final = frozenset({"planned", "calling"})


@dataclass(slots=True)
class SeenCallback:
    """One task. Moments are milliseconds since 1970 UTC, 0 = not told."""

    callback_id: str
    number: str = ""
    name: str = ""
    queue_id: str = ""
    line: str = ""
    reason: str = ""
    state: str = "planned"
    requested_ms: int = 0
    due_ms: int = 0
    expires_ms: int = 0
    keeps_place: bool = False
    attempts: int = 0
    cause: str = ""
    """Of the last failure, or why it was cancelled."""
    agent_id: str = ""
    call_id: str = ""
    ended_ms: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it may still be done."""
        return self.state in OPEN_STATES


@dataclass(slots=True)
class _Tenant:
    open: dict[str, SeenCallback] = field(default_factory=dict)
    done: dict[str, SeenCallback] = field(default_factory=dict)


class CallbackView:
    """Callbacks of all tenants. Applying an event twice changes nothing."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}

    def find(self, tenant_id: str, callback_id: str) -> SeenCallback | None:
        """Return one callback; None for one that is unknown, or done long ago."""
        tenant = self._tenants.get(tenant_id, _Tenant())
        return tenant.open.get(callback_id) or tenant.done.get(callback_id)

    def open_ones(self, tenant_id: str) -> list[SeenCallback]:
        """Return the open callbacks, by the moment from which on they are due."""
        tasks = self._tenants.get(tenant_id, _Tenant()).open.values()
        return sorted(tasks, key=lambda task: (task.due_ms, task.callback_id))

    def done_ones(self, tenant_id: str) -> Iterator[SeenCallback]:
        """Yield the callbacks that are done, the last one first."""
        yield from reversed(self._tenants.get(tenant_id, _Tenant()).done.values())

    def forget(self, tenant_id: str, numbers: Collection[str]) -> int:
        """Drop a person's callbacks, and return how many there were."""
        tenant = self._tenants.get(tenant_id, _Tenant())
        count = 0
        for tasks in (tenant.open, tenant.done):
            for callback_id in [one.callback_id for one in tasks.values() if one.number in numbers]:
                del tasks[callback_id]
                count += 1
        return count

    def apply(self, event: Event) -> None:
        """Take one event."""
        kind = event.WhichOneof("body") or ""
        change = _CHANGES.get(kind)
        if change is None:
            return
        body = getattr(event, kind)
        tenant = self._tenants.setdefault(event.tenant_id, _Tenant())
        if body.callback_id in tenant.done:
            return
        task = tenant.open.setdefault(body.callback_id, SeenCallback(body.callback_id))
        task.number, task.queue_id = body.number, body.queue_id
        change(task, event, body)
        if not task.is_open:
            task.ended_ms = event.time.ToMilliseconds()
            tenant.done[task.callback_id] = tenant.open.pop(task.callback_id)
            if len(tenant.done) > MOST_DONE:
                del tenant.done[next(iter(tenant.done))]


def _requested(task: SeenCallback, event: Event, body: Any) -> None:
    task.requested_ms = event.time.ToMilliseconds()
    task.name, task.line, task.reason, task.keeps_place = body.name, body.line, body.reason, body.keeps_place
    task.due_ms, task.expires_ms = body.due_at.ToMilliseconds(), body.expires_at.ToMilliseconds()


def _rescheduled(task: SeenCallback, _event: Event, body: Any) -> None:
    task.state = "planned"
    task.due_ms, task.expires_ms = body.due_at.ToMilliseconds(), body.expires_at.ToMilliseconds()


def _attempted(task: SeenCallback, event: Event, body: Any) -> None:
    task.state, task.attempts = "calling", body.attempt
    task.agent_id, task.call_id = body.agent_id, event.call_id


def _succeeded(task: SeenCallback, event: Event, body: Any) -> None:
    task.state, task.attempts = "succeeded", body.attempt
    task.agent_id, task.call_id = body.agent_id, event.call_id


def _failed(task: SeenCallback, _event: Event, body: Any) -> None:
    task.state, task.cause = "failed" if body.final else "planned", body.cause
    task.due_ms = 0 if body.final else body.next_at.ToMilliseconds()


def _cancelled(task: SeenCallback, _event: Event, body: Any) -> None:
    task.state, task.cause = "cancelled", body.reason


def _expired(task: SeenCallback, _event: Event, _body: Any) -> None:
    task.state = "expired"


_CHANGES: Final[dict[str, Callable[[SeenCallback, Event, Any], None]]] = {
    "callback_requested": _requested,
    "callback_rescheduled": _rescheduled,
    "callback_attempted": _attempted,
    "callback_succeeded": _succeeded,
    "callback_failed": _failed,
    "callback_cancelled": _cancelled,
    "callback_expired": _expired,
}
TOLD_BY: Final = frozenset(kind.replace("_", ".", 1) for kind in _CHANGES)
"""The types of the events that matter here; others need not be decoded."""
