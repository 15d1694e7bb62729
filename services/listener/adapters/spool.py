"""Inputs on the disk while Kafka is away: append-only segments, read and deleted oldest first.

A record is `length, crc32 of the rest, timestamp, key length, key, value`. A write reaches the kernel before `append`
returns (a killed listener loses nothing) and the disk within SYNC_SECONDS (a dead node loses at most that). A torn
tail is cut off at the next start. Where reading is, is a file of its own, written after Kafka's acknowledgement: what
was acknowledged and not yet noted is sent again, and a fact told twice has the same identity.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

SEGMENT_BYTES = 8 * 1024 * 1024
SYNC_SECONDS = 1.0
_MOST_BYTES = 16 * 1024 * 1024
_POSITION = "position"


class SpoolFull(Exception):
    """There is no room for more. The publisher stops taking facts until there is (and then reconciles)."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """One record as it will be sent, and where reading goes on after it."""

    key: str
    value: bytes
    timestamp_ms: int
    segment: int
    end: int


class Spool:
    """First in, first out, bounded by `max_bytes`; survives restarts."""

    def __init__(self, folder: Path, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._sizes = {int(path.stem): path.stat().st_size for path in folder.glob("*.spool")}
        self._read_segment, self._read_at = self._read_position()
        self._drop_read_segments()
        self._write_segment = max(self._sizes, default=self._read_segment)
        self._cut_torn_tail()
        self._file = self._open(self._write_segment)
        self._synced_at = monotonic()
        self._is_unsynced = False

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return max(0, sum(self._sizes.values()) - (self._read_at if self._read_segment in self._sizes else 0))

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self.size == 0

    def has_room(self, spare_bytes: int) -> bool:
        """Whether so many bytes more may come."""
        return sum(self._sizes.values()) + spare_bytes <= self._max_bytes

    def append(self, records: list[tuple[str, bytes, int]]) -> None:
        """Add (key, value, timestamp_ms) records together. Raises SpoolFull or OSError; then none of them is in it."""
        data = b"".join(_encode(*record) for record in records)
        if not self.has_room(len(data)):
            raise SpoolFull(f"the spool holds {self.size} bytes, the limit is {self._max_bytes}")
        if self._sizes[self._write_segment] >= self._segment_bytes:
            self._next_segment()
        before = self._sizes[self._write_segment]
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            os.ftruncate(self._file, before)
            raise
        self._sizes[self._write_segment] = before + len(data)
        self._is_unsynced = True

    def read(self, most: int) -> list[Spooled]:
        """Return the oldest records, without taking them."""
        found: list[Spooled] = []
        for segment in sorted(number for number in self._sizes if number >= self._read_segment):
            start = self._read_at if segment == self._read_segment else 0
            for record in _records(self._path(segment), segment, start):
                found.append(record)
                if len(found) == most:
                    return found
        return found

    def take(self, upto: Spooled) -> None:
        """Note that everything up to this record was acknowledged, and delete segments that are read.

        Raises OSError when the disk is full; then it counts for this life, and the next one tells some records again.
        """
        self._read_segment, self._read_at = upto.segment, upto.end
        if upto.segment == self._write_segment and upto.end == self._sizes[upto.segment] and upto.end:
            self._next_segment()
            self._read_segment, self._read_at = self._write_segment, 0
        self._drop_read_segments()  # before the note: it makes room for it
        beside = self._folder / f"{_POSITION}.new"
        beside.write_text(f"{self._read_segment} {self._read_at}", encoding="ascii")
        beside.replace(self._folder / _POSITION)

    def sync_when_due(self) -> None:
        """Bring what was written to the disk, at most once in SYNC_SECONDS. Raises OSError."""
        if self._is_unsynced and monotonic() - self._synced_at >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Bring what was written to the disk now."""
        os.fdatasync(self._file)
        self._synced_at, self._is_unsynced = monotonic(), False

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._file)

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:012d}.spool"

    def _open(self, segment: int) -> int:
        opened = os.open(self._path(segment), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        self._sizes.setdefault(segment, 0)
        return opened

    def _next_segment(self) -> None:
        self.sync()
        opened = self._open(self._write_segment + 1)
        os.close(self._file)
        self._write_segment += 1
        self._file = opened

    def _drop_read_segments(self) -> None:
        for segment in [number for number in self._sizes if number < self._read_segment]:
            self._path(segment).unlink(missing_ok=True)
            del self._sizes[segment]

    def _read_position(self) -> tuple[int, int]:
        try:
            segment, at = (self._folder / _POSITION).read_text(encoding="ascii").split()
            return int(segment), int(at)
        except (FileNotFoundError, ValueError):
            return min(self._sizes, default=0), 0

    def _cut_torn_tail(self) -> None:
        """Cut every segment after its last whole record: a crash can tear only the last, a bad disk any."""
        for segment in self._sizes:
            path, end = self._path(segment), 0
            for record in _records(path, segment, 0):
                end = record.end
            if end < self._sizes[segment]:
                os.truncate(path, end)
                self._sizes[segment] = end
        self._read_at = min(self._read_at, self._sizes.get(self._read_segment, 0))


def _encode(key: str, value: bytes, timestamp_ms: int) -> bytes:
    name = key.encode()
    rest = struct.pack("<qH", timestamp_ms, len(name)) + name + value
    return struct.pack("<II", len(rest), zlib.crc32(rest)) + rest


def _records(path: Path, segment: int, start: int) -> Iterator[Spooled]:
    """Read whole records from a place on; stop at the first that is torn or damaged."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        at = start
        while len(head := file.read(8)) == 8:  # noqa: PLR2004 - length and checksum
            length, checksum = struct.unpack("<II", head)
            rest = file.read(length) if 10 <= length <= _MOST_BYTES else b""  # noqa: PLR2004 - timestamp and key length
            if len(rest) != length or zlib.crc32(rest) != checksum:
                return
            timestamp_ms, name_length = struct.unpack_from("<qH", rest)
            at += 8 + length
            body = 10 + name_length
            yield Spooled(rest[10:body].decode("utf-8", "replace"), rest[body:], timestamp_ms, segment, at)
