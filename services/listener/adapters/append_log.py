"""A small file of lines that only grows, until it is written anew in one step.

A write reaches the kernel before `append` returns, so a killed process loses nothing; the file is not fsynced, because
what it says is of use only while FreeSWITCH on this same node lives. A torn last line is cut off when it is opened.
"""

import os
from collections.abc import Iterable
from pathlib import Path


class AppendLog:
    """Lines without line feeds in one file. Raises OSError (a full disk); what was appended before stays readable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lines = _whole_lines(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        self.count = len(self._lines)

    def take_lines(self) -> list[bytes]:
        """Return the lines found when it was opened, once."""
        lines, self._lines = self._lines, []
        return lines

    def append(self, lines: Iterable[bytes]) -> None:
        """Add lines together. After an OSError none of them counts."""
        data = b"".join(line + b"\n" for line in lines)
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
            if written < len(data):
                os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, before)
            raise
        self.count += data.count(b"\n")

    def rewrite(self, lines: Iterable[bytes]) -> None:
        """Replace all lines in one step: either the old file is there or the new one."""
        beside = self._path.with_suffix(".new")
        data = b"".join(line + b"\n" for line in lines)
        beside.write_bytes(data)
        beside.replace(self._path)
        os.close(self._file)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self.count = data.count(b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _whole_lines(path: Path) -> list[bytes]:
    """Read the lines and cut off a torn last one."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return data[:whole].split(b"\n")[:-1]
