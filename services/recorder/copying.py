"""Copies of stored recordings on the drives that their company names: off the way of storing, until each is there."""

from collections import Counter
from collections.abc import Callable, Iterator
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

    def begin_copy(self, recording_id: str, remote: str, at_us: int) -> bool:
        """Keep that a copy is being made; False where the recording goes, or the copy is there by now."""

    def end_copy(self, recording_id: str, remote: str, at_us: int, *, is_there: bool) -> None:
        """Keep that the copy which was begun at a moment is there, or is not."""


class Sounds(Protocol):
    """Where the sound is."""

    def fetch(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes."""


class Drives(Protocol):
    """Where copies go."""

    def put(self, remote: str, key: str, pieces: Iterator[bytes], sha256: str) -> None:
        """Write an object, verified."""


class Copier:
    """Makes the copies that are missing. A copy that is made twice is the same one.

    That it is being made is kept first: who deletes the recording meanwhile waits for its end, so no copy outlives it.
    """

    def __init__(self, documents: Documents, sounds: Sounds, drives: Drives, now_us: Callable[[], int]) -> None:
        self._documents = documents
        self._sounds = sounds
        self._drives = drives
        self._now_us = now_us

    def copy_all(self) -> None:
        """Make each that is missing; what fails is tried at the next pass, and holds up no other drive."""
        failed: Counter[tuple[str, str]] = Counter()
        for document, remote in self._documents.copies_left():
            drive = (document.tenant_id, remote)
            if failed[drive] >= MOST_FAILURES:
                continue
            begun_us = self._now_us()
            if self._documents.begin_copy(document.recording_id, remote, begun_us):
                is_there = self._copy(document, remote)
                failed[drive] = 0 if is_there else failed[drive] + 1
                self._documents.end_copy(document.recording_id, remote, begun_us, is_there=is_there)

    def _copy(self, document: RecordingDocument, remote: str) -> bool:
        try:
            self._drives.put(remote, document.key, self._sounds.fetch(document.key), document.sha256)
        except TryAgain as error:
            names = {"recording_id": document.recording_id, "tenant_id": document.tenant_id}
            log.warning("copy_failed_for_now", remote=remote, reason=str(error), **names)
            return False
        return True
