"""Stores and a bus in memory that keep what they are told, and can be away or lie."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import Location
from services.recorder.errors import DocumentsFailed, Hostile, StoreFailed
from services.recorder.storing import Announcements, Documents, Store


class Killed(BaseException):
    """The process ended here."""


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
    loses: bool = False

    def describe(self, key: str) -> StoredObject | None:
        self._check()
        if key not in self.objects:
            return None
        body = self.objects[key]
        checksum = _single_checksum(body) if self.computes_checksums else None
        return StoredObject(len(body), self.said[key], checksum)

    def put(self, key: str, parts: Iterator[bytes], digest: Digest) -> None:
        self._check()
        body = b"".join(parts)
        self.puts.append(key)
        if self.loses:
            return
        self.objects[key] = self.corrupt(body) if self.corrupt else body
        self.said[key] = digest.sha256

    def read_back(self, key: str) -> str:
        self._check()
        return hashlib.sha256(self.objects[key]).hexdigest()

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
    is_away: bool = False

    def find(self, recording_id: str) -> RecordingDocument | None:
        self._check()
        return self.rows.get(recording_id)

    def write(self, document: RecordingDocument) -> RecordingDocument:
        self._check()
        known = self.rows.get(document.recording_id)
        if known and (known.tenant_id, known.call_id) != (document.tenant_id, document.call_id):
            raise Hostile("the recording's id belongs to another call")
        kept = replace(document, stored_us=known.stored_us) if known else document
        self.rows[document.recording_id] = kept
        return kept

    def _check(self) -> None:
        if self.is_away:
            raise DocumentsFailed("the document store is away")


@dataclass
class MemoryAnnouncements(Announcements):
    """What was said, in order."""

    told: list[RecordingDocument] = field(default_factory=list)
    failures: list[tuple[Location, str]] = field(default_factory=list)

    def stored(self, document: RecordingDocument) -> None:
        self.told.append(document)

    def failed(self, location: Location, reason: str, at_us: int) -> None:
        del at_us
        self.failures.append((location, reason))
