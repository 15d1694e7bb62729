"""A stored recording's bytes, onto this machine's disk, checked."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from services.recorder.domain.transcript.job import Source
from services.recorder.errors import FolderFailed, StoreLied


class Objects(Protocol):
    """What gives an object back."""

    def fetch(self, key: str) -> Iterator[bytes]:
        """Yield its bytes."""


def fetch(store: Objects, source: Source, path: Path) -> None:
    """Write an object to a file. Raises StoreFailed, FolderFailed, and StoreLied when it is not what was stored."""
    found = hashlib.sha256()
    size = 0
    try:
        with path.open("wb") as file:
            for block in store.fetch(source.key):
                size += len(block)
                if size > source.size_bytes:
                    raise StoreLied("the store gives back more than was stored")
                found.update(block)
                file.write(block)
    except OSError as error:
        raise FolderFailed(f"the sound can't be written to {path.parent}: {error.strerror}") from error
    if found.hexdigest() != source.sha256:
        raise StoreLied("the store gives back other bytes than were stored")
