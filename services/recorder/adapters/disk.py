"""One claimed file on the node's disk. No path is followed twice: every step works on the file that was opened."""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

import gevent

from services.recorder.domain.backoff import Look
from services.recorder.domain.location import Location
from services.recorder.errors import Claimed, FileChanged, FolderFailed, Gone, Hostile

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SMALL = 16
"""What is so many times smaller than a block comes from the heap, without a page fault."""
Result = TypeVar("Result")


def in_thread(work: Callable[..., Result], *arguments: object) -> Result:
    """Run disk work in the hub's thread pool: a slow disk must not stop the other recordings."""
    result, error = gevent.get_hub().threadpool.apply(_tried, (work, arguments))
    if error is not None:
        raise error
    return cast("Result", result)


def _tried(work: Callable[..., Result], arguments: tuple[object, ...]) -> tuple[Result | None, Exception | None]:
    """Return what it raises too: the pool prints what is raised in it, and who asked may well expect it."""
    try:
        return work(*arguments), None
    except Exception as error:  # noqa: BLE001 - raised again by the one who asked
        return None, error


def look_of(status: os.stat_result) -> Look:
    """Return what tells one state of a file from another."""
    return Look(status.st_ino, status.st_size, status.st_mtime_ns)


class Blocks:
    """Memory that is read into and used again: a new megabyte for each costs more page faults than reading it costs."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free: list[bytearray] = []

    @contextmanager
    def block(self, wanted_bytes: int) -> Iterator[memoryview]:
        """Lend a block, to threads too; whoever wants much less is given something small.

        After an exception it is not used again: a thread that nobody waits for any more may still be reading into it,
        and would put one recording's sound into another.
        """
        if wanted_bytes * _SMALL < self._size_bytes:
            yield memoryview(bytearray(wanted_bytes))
            return
        try:
            block = self._free.pop()
        except IndexError:
            block = bytearray(self._size_bytes)
        yield memoryview(block)
        self._free.append(block)


class ClaimedFile:
    """An open recording that this process alone works on.

    The claim is a lock that the kernel keeps with the open file: it ends with the process, so a kill leaves no stale
    claim behind and no lease has to run out.
    """

    def __init__(self, location: Location, folder: int, descriptor: int) -> None:
        self.location = location
        self._folder = folder
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self.look = look_of(status)
        self.size_bytes = status.st_size
        self.modified_seconds = status.st_mtime_ns / 1e9

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes, fewer only at the file's end; blocks. Raises FolderFailed."""
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise FolderFailed(f"the file can't be read: {error.strerror}") from error

    def read_into(self, place: memoryview, offset: int) -> int:
        """Fill a place from an offset on; return how many bytes there were; blocks. Raises FolderFailed."""
        try:
            return os.preadv(self._descriptor, [place], offset)
        except OSError as error:
            raise FolderFailed(f"the file can't be read: {error.strerror}") from error

    def is_open_for_writing(self) -> bool:
        """Whether any process holds the file open for writing, where the kernel can tell; else False.

        The kernel grants a read lease only on a file without writers. It needs the file's owner or CAP_LEASE.
        """
        try:
            # The default signal for a broken lease ends the process; this one is ignored by default.
            fcntl.fcntl(self._descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        return False

    def check_unchanged(self) -> None:
        """Raise FileChanged when the file is not the one that was claimed, or was written to since."""
        if look_of(os.fstat(self._descriptor)) != self.look or self.is_open_for_writing():
            raise FileChanged("the file was written to while it was uploaded")
        if not self._is_in_place():
            raise FileChanged("the file was replaced while it was uploaded")

    def delete(self) -> None:
        """Remove the file from its folder. Raises FileChanged, FolderFailed."""
        self.check_unchanged()
        try:
            os.unlink(self.location.file_name, dir_fd=self._folder)
        except OSError as error:
            raise FolderFailed(f"the file can't be deleted: {error.strerror}") from error

    def lock(self) -> None:
        """Take the claim. Raises Claimed; Gone when the former holder has finished with the file meanwhile."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Claimed("another recorder works on it") from error
        if not self._is_in_place():
            raise Gone("another recorder has finished it")

    def _is_in_place(self) -> bool:
        try:
            status = os.stat(self.location.file_name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return status.st_ino == self.look.inode


@contextmanager
def claim(root: Path, location: Location) -> Iterator[ClaimedFile]:
    """Open and lock one recording. Raises Gone, Claimed, Hostile for anything but a plain file, FolderFailed."""
    descriptors: list[int] = []
    try:
        descriptors.append(_open(str(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, None))
        for part in (location.tenant_id, location.call_id):
            descriptors.append(_open(part, _DIRECTORY, descriptors[-1]))
        folder = descriptors[-1]
        descriptors.append(_open(location.file_name, _FILE, folder))
        _check_plain(os.fstat(descriptors[-1]))
        file = ClaimedFile(location, folder, descriptors[-1])
        file.lock()
        yield file
    finally:
        for descriptor in reversed(descriptors):
            os.close(descriptor)


def _open(name: str, flags: int, folder: int | None) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError as error:
        raise Gone("the file is not there") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Hostile("a symbolic link stands where a file or folder should be") from error
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise Hostile("it is not a plain file") from error
        raise FolderFailed(f"the file can't be opened: {error.strerror}") from error


def _check_plain(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Hostile("it is not a plain file")
    if status.st_nlink > 1:
        raise Hostile("the file has a second name elsewhere")
