from collections.abc import Callable
from typing import Final

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.backlog import Backlog
from services.shared.bus.errors import BusError
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record

POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0

log = structlog.get_logger()


def _nothing() -> None:
    """Have nothing to do."""


class Follower:
    """Reads whole topics from their beginning and on. `current` is set once all is known that was there at the start.

    `connect` makes a reader without a group; it is called until it succeeds, so a service can begin without a broker.
    `take` gets each record, in order of its partition; where it raises DecodeError the record is passed over, and
    `unreadable` is told. `taken` is called after the records of each fetch, `reached` once, just before `current` is
    set: what has not come by then is not in the log. `pause_seconds` go by before a broker that does not answer is
    asked again.
    """

    def __init__(
        self,
        connect: Callable[[], Reader],
        take: Callable[[Record], None],
        *,
        taken: Callable[[], None] = _nothing,
        reached: Callable[[], None] = _nothing,
        unreadable: Callable[[Record], None] | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._connect = connect
        self._take = take
        self._taken = taken
        self._reached = reached
        self._has_reached = False
        self._unreadable = unreadable
        self._pause_seconds = pause_seconds
        self._reader: Reader | None = None
        self._backlog: Backlog | None = None
        self.current = Flag()
        self.trouble = "not read to its end yet"
        """Why nothing new may be known, one sentence; empty while the broker answers and all was read."""

    def run(self, stopping: Flag) -> None:
        """Follow until stopped; a broker that is away is asked again, and nothing is read twice for that."""
        try:
            while not stopping.is_set():
                try:
                    self._follow()
                except BusError as error:
                    if self.trouble != str(error):
                        self.trouble = str(error)
                        log.warning("topic_not_read", reason=self.trouble)
                    stopping.wait(self._pause_seconds)
        finally:
            if self._reader is not None:
                self._reader.close()

    def _follow(self) -> None:
        if self._reader is None:
            self._reader = self._connect()
        if self._backlog is None:
            self._backlog = Backlog(self._reader)
        if self._backlog.is_read and not self._has_reached:
            self._reached()
            self._has_reached = True
            self.current.set()
        records = self._backlog.poll(POLL_SECONDS)
        for record in records:
            self._give(record)
        if records:
            self._taken()
        self.trouble = "" if self.current.is_set() else self.trouble

    def _give(self, record: Record) -> None:
        try:
            self._take(record)
        except DecodeError:
            log.warning("record_unreadable", topic=record.topic, partition=record.partition, offset=record.offset)
            if self._unreadable is not None:
                self._unreadable(record)
