"""What a service tells when it has forgotten a person (SPEC 10.5): the same fact has the same id."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from services.shared.contracts.ringmaster.v1.event_pb2 import Event, HeldBack, PersonErased

SERVICES: Final = ("router", "console", "recorder", "stats", "legs", "webhooks")
"""Who answers an erasure: the log's own readers, and everybody who keeps something of it."""
REQUESTED: Final = "person.erasure_requested"


def person_erased(
    asked: Event,
    service: str,
    at_ms: int,
    removed: Mapping[str, int] | None = None,
    held_back: Sequence[HeldBack] = (),
    fault: str = "",
) -> Event:
    """Return a service's answer to an erasure that was asked for; what was removed of nothing is left out."""
    erasure_id = asked.person_erasure_requested.erasure_id
    return answer_to(asked.tenant_id, erasure_id, service, at_ms, removed, held_back, fault)


def answer_to(
    tenant_id: str,
    erasure_id: str,
    service: str,
    at_ms: int,
    removed: Mapping[str, int] | None = None,
    held_back: Sequence[HeldBack] = (),
    fault: str = "",
) -> Event:
    """Return the answer to an erasure that is known by its id."""
    body = PersonErased(erasure_id=erasure_id, service=service, held_back=held_back, fault=fault)
    body.removed.update({kind: count for kind, count in (removed or {}).items() if count})
    content = tenant_id.encode() + b"\0" + body.SerializeToString(deterministic=True)
    event = Event(
        event_id=f"erased-{hashlib.sha256(content).hexdigest()[:32]}",
        tenant_id=tenant_id,
        subject=f"erasure:{erasure_id}",
        person_erased=body,
    )
    event.time.FromMilliseconds(at_ms)
    return event
