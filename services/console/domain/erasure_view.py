"""What the log tells of erasures: who has answered what. It never holds the person's number (SPEC 10.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import Event, PersonErased
from services.shared.erased import SERVICES

OPEN, DONE, FAILED, WAITING = "open", "done", "failed", "waiting"
Report = dict[str, Any]


@dataclass(slots=True)
class Erasure:
    """One erasure as far as it is known."""

    tenant_id: str
    erasure_id: str
    person: str = ""
    actor: str = ""
    asked_ms: int = 0
    answers: dict[str, Report] = field(default_factory=dict)
    log: list[Report] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Who has not said that it did its part."""
        return [name for name in SERVICES if self.answers.get(name, {}).get("state") != DONE]

    def report(self) -> Report:
        """Return the proof as it is kept: open until every service has done its part."""
        return {
            "erasure_id": self.erasure_id,
            "tenant_id": self.tenant_id,
            "state": OPEN if self.missing else DONE,
            "person": self.person,
            "actor": self.actor,
            "asked_ms": self.asked_ms,
            "missing": self.missing,
            "services": [_service(name, self.answers.get(name)) for name in SERVICES],
            "log": self.log,
        }


class ErasureView:
    """Erasures of all tenants that the log tells of. Applying an event twice changes nothing."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Erasure] = {}
        self._changed: set[tuple[str, str]] = set()

    def find(self, tenant_id: str, erasure_id: str) -> Erasure | None:
        """Return one erasure."""
        return self._known.get((tenant_id, erasure_id))

    def take_changed(self) -> list[Erasure]:
        """Return, each once, what has changed since this was last asked."""
        changed, self._changed = self._changed, set()
        return [self._known[place] for place in sorted(changed)]

    def not_kept(self, erasures: Sequence[Erasure]) -> None:
        """Take note that these have to be looked at again."""
        self._changed.update((one.tenant_id, one.erasure_id) for one in erasures)

    def asked(self, event: Event) -> Erasure:
        """Take the beginning of an erasure."""
        body = event.person_erasure_requested
        erasure = self._of(event.tenant_id, body.erasure_id)
        erasure.person, erasure.actor, erasure.asked_ms = body.person, body.actor, event.time.ToMilliseconds()
        return erasure

    def answered(self, event: Event) -> None:
        """Take a service's answer; the last one counts."""
        body = event.person_erased
        erasure = self._of(event.tenant_id, body.erasure_id)
        erasure.answers[body.service] = _answer(body, event.time.ToMilliseconds())

    def _of(self, tenant_id: str, erasure_id: str) -> Erasure:
        place = (tenant_id, erasure_id)
        self._changed.add(place)
        return self._known.setdefault(place, Erasure(tenant_id, erasure_id))


def _answer(body: PersonErased, at_ms: int) -> Report:
    held = [{"kind": one.kind, "count": one.count, "reason": one.reason} for one in body.held_back]
    removed = {kind: body.removed[kind] for kind in sorted(body.removed)}
    state = FAILED if body.fault else DONE
    return {"state": state, "at_ms": at_ms, "removed": removed, "held_back": held, "fault": body.fault}


def _service(name: str, answer: Report | None) -> Report:
    nothing: Final = {"state": WAITING, "at_ms": 0, "removed": {}, "held_back": [], "fault": ""}
    return {"service": name, **(answer or nothing)}
