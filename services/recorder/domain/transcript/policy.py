"""Whether and how a tenant wants a recording written down (SPEC 6.4)."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from services.recorder.domain.transcript.transcript import SPEAKERS, Speaker
from services.recorder.domain.transcript.words import Personal
from services.shared.contracts.ringmaster.v1.tenant_pb2 import (
    PersonalData,
    TenantDocument,
    TranscriptionMode,
    TranscriptionSides,
)

_SIDES: Final = {
    TranscriptionSides.TRANSCRIPTION_SIDES_AGENT: (Speaker.AGENT,),
    TranscriptionSides.TRANSCRIPTION_SIDES_CUSTOMER: (Speaker.CUSTOMER,),
}
_KEEPS: Final = {
    PersonalData.PERSONAL_DATA_CARD: Personal.CARD,
    PersonalData.PERSONAL_DATA_PHONE: Personal.PHONE,
    PersonalData.PERSONAL_DATA_EMAIL: Personal.EMAIL,
    PersonalData.PERSONAL_DATA_DIGITS: Personal.DIGITS,
}
_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class Wishes:
    """How one recording is to be written down. Kept with its job: a later document does not change it half-way."""

    sides: tuple[Speaker, ...] = SPEAKERS
    language: str = ""
    languages: tuple[str, ...] = ()
    keeps: frozenset[Personal] = field(default_factory=frozenset)
    priority: int = 0


def wishes_for(document: TenantDocument, recording_id: str, queue_id: str, chosen: str = "") -> Wishes | None:
    """Return a tenant's wishes for a recording, None for one that is not to be written down.

    `chosen` is the language that the call's flow has chosen: who pressed 2 for English is heard in English, whatever
    the queue's other callers speak.
    """
    policy = document.transcription
    queue = next((one for one in policy.queues if one.queue_id == queue_id), None) if queue_id else None
    mode = (queue and queue.mode) or policy.mode
    if mode != TranscriptionMode.TRANSCRIPTION_MODE_ALL or not is_drawn(recording_id, policy.percent):
        return None
    sides = (queue and queue.sides) or policy.sides
    return Wishes(
        _SIDES.get(sides, SPEAKERS),
        chosen or (queue and queue.language) or policy.language,
        tuple(document.languages),
        frozenset(_KEEPS[kind] for kind in policy.keeps if kind in _KEEPS),
        policy.priority + (queue.priority if queue else 0),
    )


def is_drawn(recording_id: str, percent: int) -> bool:
    """Whether a recording is among so many in a hundred; 0 = all. By its id, so that every worker answers the same."""
    if percent in (0, _HUNDRED):
        return True
    lot = int.from_bytes(hashlib.sha256(recording_id.encode()).digest()[:8], "big")
    return lot % _HUNDRED < percent
