"""The node's recordings folder: what waits in it, what is put aside, what is cleaned up."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.recorder.adapters.disk import look_of
from services.recorder.adapters.own_files import OWN_FOLDER, write_whole
from services.recorder.domain.backoff import Look
from services.recorder.domain.location import Location, NotALocation, location_of
from services.recorder.errors import FolderFailed

QUARANTINE = "quarantine"
_IGNORED = frozenset({OWN_FOLDER, "lost+found", ".answers"})
"""Our own, the file system's, and what callers say to menus, which is the listener's."""
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that may be a recording."""

    location: Location
    look: Look
    modified_seconds: float


@dataclass(frozen=True, slots=True)
class Stray:
    """Something that can't be a recording, by its place alone."""

    path: str
    reason: str
    modified_seconds: float


@dataclass(slots=True)
class Contents:
    """What one look into the folder found."""

    waiting: list[Waiting] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    empty_folders: list[tuple[str, float]] = field(default_factory=list)


def list_folder(root: Path, limit: int) -> Contents:
    """Walk the folder, at most `limit` recordings; symbolic links are not followed. Raises FolderFailed."""
    contents = Contents()
    try:
        _walk(str(root), "", contents, limit)
    except OSError as error:
        raise FolderFailed(f"the recordings folder can't be read: {error.strerror}") from error
    return contents


def _walk(folder: str, below: str, contents: Contents, limit: int) -> None:
    depth = below.count("/") + 1 if below else 0
    is_empty = True
    for entry in _entries(folder):
        if not depth and entry.name in _IGNORED:
            continue
        is_empty = False
        if len(contents.waiting) + len(contents.strays) >= limit:
            return
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False) and depth < _DEPTH - 1:
            _walk(entry.path, path, contents, limit)
        else:
            _note(entry, path, contents)
    if is_empty and depth:
        contents.empty_folders.append((below, Path(folder).stat().st_mtime))


def _entries(folder: str) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:
        return  # another recorder has cleaned it up since


def _note(entry: "os.DirEntry[str]", path: str, contents: Contents) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    try:
        location = location_of(path)
    except NotALocation as error:
        contents.strays.append(Stray(path, str(error), status.st_mtime))
        return
    contents.waiting.append(Waiting(location, look_of(status), status.st_mtime))


def remove_empty(root: Path, path: str) -> None:
    """Remove an empty folder; one that is not empty any more stays."""
    with suppress(OSError):
        (root / path).rmdir()


class Quarantine:
    """Where what is no recording is put aside for a person, on the same disk: nothing is copied, nothing deleted."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / OWN_FOLDER / QUARANTINE

    def put(self, path: str, reason: str) -> None:
        """Move it away with its reason beside it. Harmless when another recorder was quicker. Raises FolderFailed."""
        source = self._root / path
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            status = source.lstat()
            # Named by us: the former name may be anything that a file system takes.
            target = self._folder / f"{status.st_ino}-{status.st_mtime_ns}"
            write_whole(
                target.with_suffix(".json"),
                {
                    "path": ascii(path),
                    "reason": reason,
                    "size_bytes": status.st_size,
                    "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                },
            )
            source.rename(target.with_suffix(".file"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise FolderFailed(f"quarantine can't be written: {error.strerror}") from error

    def count(self) -> int:
        """Return how many things wait there for a person."""
        try:
            return sum(1 for entry in os.scandir(self._folder) if entry.name.endswith(".file"))
        except FileNotFoundError:
            return 0
