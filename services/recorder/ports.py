"""What one try of one recording needs of the world."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from services.recorder.adapters.measure import Waveform
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.adapters.s3 import Kind, Part
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import Location
from services.recorder.domain.policy import Policy


class Store(Protocol):
    """The object store."""

    bucket: str

    def describe(self, key: str) -> StoredObject | None:
        """Return what the store says of an object."""

    def put(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> StoredObject | None:
        """Store one object, each part read when it is sent.

        Returns what the store's answer proves that it holds; None = it has to be asked.
        """

    def read_back(self, key: str) -> str:
        """Fetch an object and return its hex SHA-256."""

    def delete(self, key: str) -> None:
        """Delete an object, verified."""


class Documents(Protocol):
    """The document store."""

    def find(self, recording_id: str) -> RecordingDocument | None:
        """Return a recording's document."""

    def write(self, document: RecordingDocument, waveform: Waveform | None = None) -> RecordingDocument:
        """Write a document with its picture and return it as it is kept: as deleted, where it was meanwhile."""

    def begin_removal(self, document: RecordingDocument, reason: str, at_us: int) -> RecordingDocument | None:
        """Mark a recording as one that goes; None while a legal hold keeps it."""

    def strip(self, document: RecordingDocument) -> None:
        """Delete what tells who is heard and what was said."""


class Announcements(Protocol):
    """The bus."""

    def stored(self, document: RecordingDocument) -> None:
        """Say that a recording is safe."""

    def failed(self, location: Location, reason: str, at_us: int) -> None:
        """Say that a recording can't be kept."""

    def deleted(self, document: RecordingDocument, actor: str) -> None:
        """Say that a recording was deleted."""


class KnownPolicies(Protocol):
    """What the companies want."""

    def of(self, tenant_id: str, line: str, queue_id: str) -> Policy:
        """Return the policy of a recording. Raises PoliciesUnknown."""


@dataclass(frozen=True, slots=True)
class World:
    """All of it."""

    store: Store
    documents: Documents
    announcements: Announcements
    policies: KnownPolicies
