"""Copies of stored recordings on the drives that their company names: off the way of storing, until each is there."""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import structlog

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.errors import TryAgain

MOST_FAILURES = 3
"""A company's drive that has failed so often in a row is left alone until the next pass."""

log = structlog.get_logger()


class Documents(Protocol):
    """Which copies are missing."""

    def copies_left(self) -> Iterator[tuple[RecordingDocument, str]]:
        """Return recordings and the remotes on which they are not yet."""

    def copied(self, recording_id: str, remote: str) -> None:
        """Keep that a copy is there."""


class Sounds(Protocol):
    """Where the sound is."""

    def fetch(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes."""


class Drives(Protocol):
    """Where copies go."""

    def put(self, remote: str, key: str, pieces: Iterator[bytes], sha256: str) -> None:
        """Write an object, verified."""


class Copier:
    """Makes the copies that are missing. A copy that is made twice is the same one."""

    def __init__(self, documents: Documents, sounds: Sounds, drives: Drives) -> None:
        self._documents = documents
        self._sounds = sounds
        self._drives = drives

    def copy_all(self) -> None:
        """Make each that is missing; what fails is tried at the next pass, and holds up no other drive."""
        failed: Counter[tuple[str, str]] = Counter()
        for document, remote in self._documents.copies_left():
            drive = (document.tenant_id, remote)
            if failed[drive] >= MOST_FAILURES:
                continue
            try:
                self._drives.put(remote, document.key, self._sounds.fetch(document.key), document.sha256)
            except TryAgain as error:
                failed[drive] += 1
                names = {"recording_id": document.recording_id, "tenant_id": document.tenant_id}
                log.warning("copy_failed_for_now", remote=remote, reason=str(error), **names)
                continue
            failed[drive] = 0
            self._documents.copied(document.recording_id, remote)
