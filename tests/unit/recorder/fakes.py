"""Stores and a bus in memory that keep what they are told, and can be away or lie."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from services.recorder.adapters.listeners import Listening, Share
from services.recorder.adapters.measure import Waveform
from services.recorder.adapters.mongo import FIRST_TRYS, RecordingDocument
from services.recorder.adapters.s3 import Kind, Part
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import Location
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Step
from services.recorder.errors import DocumentsFailed, Hostile, StoreFailed
from services.recorder.ports import Announcements, Documents, KnownPolicies, Store
from services.shared.contracts.ringmaster.v1.event_pb2 import Event


class Killed(BaseException):
    """The process ended here."""


def killed_after(last: Step) -> Callable[[Step, float], None]:
    """Return what ends the process behind a step."""

    def kill(step: Step, _seconds: float) -> None:
        if step is last:
            raise Killed

    return kill


@dataclass
class MemoryStore(Store):
    """Objects by key."""

    bucket: str = "recordings"
    objects: dict[str, bytes] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    is_away: bool = False
    computes_checksums: bool = True
    corrupt: Callable[[bytes], bytes] | None = None
    answers_with_checksums: bool = False
    loses: bool = False
    kinds: dict[str, Kind] = field(default_factory=dict)
    encrypts: bool = True

    def describe(self, key: str) -> StoredObject | None:
        self._check()
        return self._held(key)

    def _held(self, key: str) -> StoredObject | None:
        if key not in self.objects:
            return None
        body = self.objects[key]
        checksum = _single_checksum(body) if self.computes_checksums else None
        return StoredObject(len(body), self.said[key], checksum, self.kinds[key].encryption if self.encrypts else "")

    def put(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> StoredObject | None:
        self._check()
        body = b"".join(bytes(piece) for part in parts for piece in part)
        self.puts.append(key)
        if self.loses:
            return None
        self.objects[key] = self.corrupt(body) if self.corrupt else body
        self.said[key] = digest.sha256
        self.kinds[key] = kind
        return self._held(key) if self.answers_with_checksums else None

    def read_back(self, key: str) -> str:
        self._check()
        return hashlib.sha256(self.objects[key]).hexdigest()

    def delete(self, key: str) -> None:
        self._check()
        self.objects.pop(key, None)

    def _check(self) -> None:
        if self.is_away:
            raise StoreFailed("the object store is away")


def _single_checksum(body: bytes) -> str:
    digest = hashlib.sha256(body)
    return Digest(len(body), digest.hexdigest(), (digest.digest(),)).checksum


@dataclass
class MemoryDocuments(Documents):
    """Documents by recording."""

    rows: dict[str, RecordingDocument] = field(default_factory=dict)
    waveforms: dict[str, Waveform] = field(default_factory=dict)
    is_away: bool = False

    def find(self, recording_id: str) -> RecordingDocument | None:
        self._check()
        return self.rows.get(recording_id)

    def write(self, document: RecordingDocument, waveform: Waveform | None = None) -> RecordingDocument:
        self._check()
        known = self.rows.get(document.recording_id)
        if known and (known.tenant_id, known.call_id) != (document.tenant_id, document.call_id):
            raise Hostile("the recording's id belongs to another call")
        if known and known.deleted_us:
            return known
        if waveform:
            self.waveforms[document.recording_id] = waveform
        kept = replace(document, **{name: getattr(known, name) for name in FIRST_TRYS}) if known else document
        self.rows[document.recording_id] = kept
        return kept

    def begin_removal(self, document: RecordingDocument, reason: str, at_us: int) -> RecordingDocument | None:
        self._check()
        known = self.rows[document.recording_id]
        if known.legal_hold and not known.deleted_us:
            return None
        if not known.deleted_us:
            self.rows[known.recording_id] = known = replace(known, deleted_us=at_us, delete_reason=reason)
        return known

    def strip(self, document: RecordingDocument) -> None:
        self._check()
        self.waveforms.pop(document.recording_id, None)
        known = self.rows[document.recording_id]
        self.rows[known.recording_id] = replace(known, caller="", key="")

    def _check(self) -> None:
        if self.is_away:
            raise DocumentsFailed("the document store is away")


@dataclass
class MemoryAnnouncements(Announcements):
    """What was said, in order."""

    told: list[RecordingDocument] = field(default_factory=list)
    failures: list[tuple[Location, str]] = field(default_factory=list)
    deletions: list[tuple[RecordingDocument, str]] = field(default_factory=list)
    answers: list[Event] = field(default_factory=list)

    def stored(self, document: RecordingDocument) -> None:
        self.told.append(document)

    def failed(self, location: Location, reason: str, at_us: int) -> None:
        del at_us
        self.failures.append((location, reason))

    def deleted(self, document: RecordingDocument, actor: str) -> None:
        self.deletions.append((document, actor))

    def erased(self, answer: Event) -> None:
        self.answers.append(answer)


@dataclass
class OnePolicy(KnownPolicies):
    """The same policy for everybody."""

    policy: Policy = field(default_factory=Policy)

    def of(self, tenant_id: str, line: str, queue_id: str) -> Policy:
        return self.policy


@dataclass
class MemoryJournal:
    """Who did what, in order, and what is shared."""

    done: list[Listening] = field(default_factory=list)
    shares: dict[str, Share] = field(default_factory=dict)
    is_away: bool = False

    def note(self, done: Listening) -> None:
        self.note_all([done])

    def note_all(self, done: list[Listening]) -> None:
        if self.is_away:
            raise DocumentsFailed("the document store is away")
        self.done += done

    def of_recording(self, tenant_id: str, recording_id: str) -> list[dict[str, Any]]:
        return [
            {
                "actor": each.actor,
                "role": each.role,
                "what": each.what,
                "requests": 1,
                "first_us": each.at_us,
                "last_us": each.at_us,
            }
            for each in reversed(self.done)
            if (each.tenant_id, each.recording_id) == (tenant_id, recording_id)
        ]

    def share(self, share: Share) -> str:
        secret = f"secret-{len(self.shares)}"
        self.shares[secret] = share
        return secret

    def shared(self, secret: str, now_us: int) -> Share | None:
        share = self.shares.get(secret)
        return share if share and share.expires_us > now_us else None

    def shares_of(self, tenant_id: str, recording_id: str, now_us: int) -> list[Share]:
        mine = [e for e in self.shares.values() if (e.tenant_id, e.recording_id) == (tenant_id, recording_id)]
        return sorted((e for e in mine if e.expires_us > now_us), key=lambda e: -e.expires_us)

    def end_share(self, tenant_id: str, recording_id: str, share_id: str) -> bool:
        wanted = (tenant_id, recording_id, share_id)
        left = {s: e for s, e in self.shares.items() if (e.tenant_id, e.recording_id, e.share_id) != wanted}
        is_ended, self.shares = len(left) < len(self.shares), left
        return is_ended
