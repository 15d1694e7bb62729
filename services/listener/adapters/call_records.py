"""Reads FreeSWITCH's file of call records to its end, again and again, and has told what nobody heard of.

The place up to which everything is known to be told is kept beside the spool. What is read twice after a kill does no
harm: the router knows calls that it ended.
"""

import os
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO, NamedTuple

import structlog
from gevent.event import Event as Flag

from services.listener import metrics
from services.listener.adapters.switch_port import SwitchPort
from services.listener.domain.call_records import Auditor, CallRecord, read_record
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.esl import commands as esl
from services.shared.esl.errors import NotSent, OutcomeUnknown

log = structlog.get_logger()
LOOK_SECONDS = 1.0
GRACE_SECONDS = 3.0
"""The events of a call may come so long after its record."""
READ_BYTES = 256 * 1024
LARGE_BYTES = 16 * 1024 * 1024
"""A file that is longer is rotated; FreeSWITCH names the old one by the date."""
REPLY_SECONDS = 5.0


class Mark(NamedTuple):
    """A place in a file: after a line."""

    inode: int
    place: int


class RecordFile:
    """FreeSWITCH's file, followed over its rotations. Raises OSError when it can't be read or the mark not be written.

    Without a mark of a former life it begins at the end: calls from before the platform are not the platform's.
    """

    def __init__(self, path: Path, mark: Path) -> None:
        self._path = path
        self._mark_path = mark
        self._file: BinaryIO | None = None
        self._rest = b""
        self.mark = _read_mark(mark) or self._end()

    def read(self) -> list[tuple[Mark, bytes]]:
        """Return the next whole lines, each with the place after it; empty when there are none yet."""
        if self._file is None:
            self._open()
        if self._file is None:
            return []
        fresh = self._file.read(READ_BYTES)
        data = self._rest + fresh
        whole = data.rfind(b"\n") + 1
        self._rest = data[whole:]
        lines = []
        for line in data[:whole].split(b"\n")[:-1]:
            self.mark = Mark(self.mark.inode, self.mark.place + len(line) + 1)
            lines.append((self.mark, line))
        if not fresh and self._follow():  # a last line that was torn, by a full disk, will never be whole
            return self.read()
        return lines

    def keep(self, mark: Mark) -> None:
        """Write down that everything before a place is told."""
        beside = self._mark_path.with_suffix(".new")
        beside.write_text(f"{mark.inode} {mark.place}\n", encoding="ascii")
        beside.replace(self._mark_path)

    def remove_old(self) -> None:
        """Remove the files that FreeSWITCH put aside, once all of them were read."""
        for old in self._put_aside():
            old.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _end(self) -> Mark:
        try:
            stat = self._path.stat()
            mark = Mark(stat.st_ino, stat.st_size)
        except FileNotFoundError:
            mark = Mark(0, 0)
        self.keep(mark)
        return mark

    def _put_aside(self) -> list[Path]:
        return sorted(self._path.parent.glob(self._path.name + ".*"))

    def _open(self) -> None:
        """Go on in the file where it was left, also when that was put aside meanwhile; a new one is read whole."""
        for path in (self._path, *self._put_aside()):
            try:
                if path.stat().st_ino == self.mark.inode:
                    self._take(path, self.mark.place)
                    return
            except FileNotFoundError:
                continue
        self._take(self._path, 0)

    def _take(self, path: Path, place: int) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        stat = os.fstat(file.fileno())
        place = place if place <= stat.st_size else 0
        file.seek(place)
        self.close()
        self._file, self._rest, self.mark = file, b"", Mark(stat.st_ino, place)

    def _follow(self) -> bool:
        """Change to the new file once the old one was put aside and is read to its end; whether there was a new one."""
        try:
            if self._path.stat().st_ino == self.mark.inode:
                return False
        except FileNotFoundError:
            return False
        self._take(self._path, 0)
        return True


@dataclass(frozen=True, slots=True)
class _Pending:
    record: CallRecord
    mark: Mark
    since: float


class CallRecordAudit:
    """`run` is its greenlet. It looks only while a reconciled session is up: before, everything would seem missing."""

    def __init__(
        self,
        file: RecordFile,
        auditor: Auditor,
        publish: Callable[[list[Input]], None],
        is_ready: Callable[[], bool],
        switch: SwitchPort,
    ) -> None:
        self._file = file
        self._auditor = auditor
        self._publish = publish
        self._is_ready = is_ready
        self._switch = switch
        self._pending: deque[_Pending] = deque()
        self._kept = file.mark
        self._is_failing = False

    def run(self, stopping: Flag) -> None:
        """Look each second until stopped."""
        try:
            while not stopping.wait(LOOK_SECONDS):
                if self._is_ready():
                    self._try_to_look()
        finally:
            self._file.close()

    def _try_to_look(self) -> None:
        try:
            self.look(monotonic())
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                log.warning("call_records_not_read", reason=str(error), advice="calls missed in a gap stay missed")
            self._is_failing = True

    def look(self, now: float) -> None:
        """Read what is new, tell what is missing, remember how far all is told. Raises OSError."""
        self._read(now)
        told_to = self._settle(now)
        if told_to != self._kept:
            self._file.keep(told_to)
            self._kept = told_to
        if not self._pending and told_to.place > LARGE_BYTES:
            self._rotate()

    def of_ended(self, gone: Collection[str]) -> list[Input]:
        """Tell the ends of legs that live for the table only: their records know more than that they are gone."""
        try:
            self._read(monotonic())
        except OSError as error:
            log.warning("call_records_not_read", reason=str(error), advice="their ends are told without a cause")
        told: list[Input] = []
        for pending in self._pending:
            if pending.record.leg_id in gone and not self._auditor.is_told(pending.record):
                told += self._auditor.missing(pending.record)
        return told

    def _read(self, now: float) -> None:
        while lines := self._file.read():
            for mark, line in lines:
                record = read_record(line)
                if record is not None:
                    self._pending.append(_Pending(record, mark, now))

    def _settle(self, now: float) -> Mark:
        """In the order of the file: drop what was told, tell what is overdue, leave what may still be told."""
        told_to = self._kept
        while self._pending:
            first = self._pending[0]
            if not self._auditor.is_told(first.record):
                if now - first.since < GRACE_SECONDS:
                    return told_to
                self._tell(first.record)
            told_to = first.mark
            self._pending.popleft()
        return self._file.mark

    def _tell(self, record: CallRecord) -> None:
        told = self._auditor.missing(record)
        if told:
            log.info("missed_call_told", call_id=record.leg_id, facts=len(told))
            metrics.RECONCILED.inc(len(told))
            self._publish(told)

    def _rotate(self) -> None:
        """Have FreeSWITCH begin a new file. What it wrote meanwhile is read from the old one, which goes next time."""
        self._file.remove_old()
        try:
            self._switch.submit(esl.api("cdr_csv", "rotate")).get(REPLY_SECONDS)
        except (NotSent, OutcomeUnknown):
            return


def _read_mark(path: Path) -> Mark | None:
    try:
        inode, place = path.read_text(encoding="ascii").split()
        return Mark(int(inode), int(place))
    except (FileNotFoundError, ValueError):
        return None
