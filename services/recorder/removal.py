"""Takes a stored recording out of the world: its sound, its picture, who is heard in it; last of all it is told."""

from collections.abc import Callable
from typing import Protocol

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.errors import TryAgain

COPYING_US = 1_800 * 1_000_000
"""A copy takes no longer; one that was begun before that was cut off by a kill."""
RETENTION, SILENT, ERASURE = "retention", "silent", "erasure"
"""Why a recording is deleted."""


class BeingCopied(TryAgain):
    """A copy is being made: deleted now, it would be there again in a moment."""

    outcome = "being_copied"


class DeletingStore(Protocol):
    """What deletes sound."""

    def delete(self, key: str) -> None:
        """Delete an object with all its versions, verified."""


class DeletingDocuments(Protocol):
    """What deletes what is known of a recording."""

    def begin_removal(self, document: RecordingDocument, reason: str, at_us: int) -> RecordingDocument | None:
        """Mark a recording as one that goes; None while a legal hold keeps it."""

    def strip(self, document: RecordingDocument) -> None:
        """Delete what tells who is heard and what was said."""


class DeletingDrives(Protocol):
    """What deletes copies."""

    def delete(self, remote: str, key: str) -> None:
        """Delete a copy. Harmless when there is none."""


class Telling(Protocol):
    """What tells it."""

    def deleted(self, document: RecordingDocument, actor: str) -> None:
        """Say that a recording was deleted."""


class Removal:
    """Deletes recordings so that a kill between any two steps is made good by doing all of them again.

    The mark comes first: from then on no reader is given the recording, and no later try stores it anew.
    """

    def __init__(
        self,
        store: DeletingStore,
        documents: DeletingDocuments,
        telling: Telling,
        now_us: Callable[[], int],
        drives: DeletingDrives | None = None,
    ) -> None:
        """Without `drives` it begins the removal of what is copied; who knows the drives ends it."""
        self._store = store
        self._documents = documents
        self._telling = telling
        self._now_us = now_us
        self._drives = drives

    def remove(self, document: RecordingDocument, reason: str, actor: str = "") -> RecordingDocument | None:
        """Delete a recording and return its last document; None while a legal hold keeps it. Raises TryAgain."""
        marked = self._documents.begin_removal(document, reason, self._now_us())
        if marked is None:
            return None
        if marked.key:
            self._store.delete(marked.key)
            if marked.copies and self._drives is None:
                return marked
            self._delete_copies(marked)
        self._telling.deleted(marked, actor)
        self._documents.strip(marked)
        return marked

    def _delete_copies(self, document: RecordingDocument) -> None:
        if self._drives is None or not document.copies:
            return
        if document.copying_us and self._now_us() - document.copying_us < COPYING_US:
            raise BeingCopied("a copy of it is being made; it is deleted when that has ended")
        for remote in document.copies:
            self._drives.delete(remote, document.key)
