"""The node's recordings folder: what waits in it, what is put aside, what is cleaned up."""

import os
import time
from bisect import bisect_right
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
    stopped_in: str = ""
    """The company's folder in which there was enough; empty when all was looked at."""

    @property
    def found(self) -> int:
        """How many things may be recordings, or can't."""
        return len(self.waiting) + len(self.strays)


def list_folder(root: Path, limit: int, behind: str = "") -> Contents:
    """Walk the folder, at most `limit` recordings; symbolic links are not followed. Raises FolderFailed.

    The companies behind `behind` come first: one whose recordings have piled up hides nobody else's for longer than one
    look.
    """
    contents = Contents()
    try:
        companies = sorted(_entries(str(root)), key=lambda entry: entry.name)
        at = bisect_right([entry.name for entry in companies], behind)
        for entry in (*companies[at:], *companies[:at]):
            if entry.name in _IGNORED:
                continue
            if contents.found >= limit:
                return contents
            contents.stopped_in = entry.name
            if not _look(entry, entry.name, contents, limit):
                return contents
    except OSError as error:
        raise FolderFailed(f"the recordings folder can't be read: {error.strerror}") from error
    contents.stopped_in = ""
    return contents


def _look(entry: "os.DirEntry[str]", path: str, contents: Contents, limit: int) -> bool:
    """Note what lies at a path and below; whether that was all of it."""
    if entry.is_dir(follow_symlinks=False) and path.count("/") < _DEPTH - 1:
        return _walk(entry.path, path, contents, limit)
    _note(entry, path, contents)
    return True


def _walk(folder: str, below: str, contents: Contents, limit: int) -> bool:
    is_empty = True
    for entry in _entries(folder):
        is_empty = False
        if contents.found >= limit or not _look(entry, f"{below}/{entry.name}", contents, limit):
            return False
    if is_empty:
        contents.empty_folders.append((below, Path(folder).stat().st_mtime))
    return True


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
        source = self._source(path)
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

    def _source(self, path: str) -> Path:
        """Return what is moved: a link on the way to a file is put aside itself, whatever it leads to stays."""
        source = self._root / path
        folders = [self._root / part for part in reversed(Path(path).parents[:-1])]
        return next((folder for folder in folders if folder.is_symlink()), source)

    def count(self) -> int:
        """Return how many things wait there for a person."""
        try:
            return sum(1 for entry in os.scandir(self._folder) if entry.name.endswith(".file"))
        except FileNotFoundError:
            return 0
