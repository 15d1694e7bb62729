"""Follows ringmaster.inputs for one thing: the last fact of each leg, which goes into the documents of legs.

The public events are of calls; which carrier a leg came through and with which SIP status it ended is not among them.
"""

from typing import Final

import gevent
import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.stats import metrics
from services.stats.committing import Commits
from services.stats.documents import add_leg_to
from services.stats.domain.board import Board
from services.stats.store import FactFields
from services.stats.writing import Batch, Writer

GATHER_MS: Final = 1_000
"""Nobody needs a leg at once, and a fetch costs as much as ten records."""
POLL_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 1.0
COMMIT_SECONDS: Final = 5.0
Place = tuple[str, int]

log = structlog.get_logger()


class Legs:
    """A member of its own group: what it has written is committed, and read no more after a start."""

    def __init__(self, board: Board, writer: Writer) -> None:
        self._board = board
        self._writer = writer
        self._new: set[Place] = set()
        self._ours: set[Place] = set()
        self._targets: dict[Place, int] = {}
        # The start goes on from there.
        self._commits = Commits(writer, COMMIT_SECONDS)

    def assigned(self, places: list[Place]) -> None:
        """Take note of partitions that are ours now; the broker's callback, so nothing waits here."""
        self._new |= set(places) - self._ours

    def revoked(self, places: list[Place]) -> None:
        """Let partitions go."""
        self._commits.forget(set(places))
        for place in places:
            self._ours.discard(place)
            self._new.discard(place)
            self._targets.pop(place, None)

    @property
    def is_current(self) -> bool:
        """Whether every leg that was told when we began is on its way into the documents."""
        return bool(self._ours) and not self._new and not self._targets

    def run(self, stopping: Flag, reader: Reader) -> None:
        """Follow until stopped."""
        while not stopping.is_set():
            try:
                records = reader.poll(POLL_SECONDS)
                self._begin(reader)
                self._take(records)
                self._commits.tell(reader, self._ours)
            except BusUnavailable as error:
                log.warning("inputs_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
            self._board.are_legs_whole = self.is_current

    def _begin(self, reader: Reader) -> None:
        """Note how far the log goes: reports about legs say so until it is read."""
        for place in sorted(self._new & set(reader.assignment())):
            end = reader.end_offset(*place)
            if max(reader.committed(*place) or 0, reader.offset_at(*place, 0)) < end:
                self._targets[place] = end
            self._new.discard(place)
            self._ours.add(place)

    def _take(self, records: list[Record]) -> None:
        facts: FactFields = {}
        positions: dict[Place, int] = {}
        for record in records:
            positions[record.topic, record.partition] = record.offset + 1
            try:
                add_leg_to(Input.FromString(record.value), record.offset + 1, facts)
            except DecodeError:
                metrics.INVALID.labels(record.topic).inc()
                log.warning("input_unreadable", partition=record.partition, offset=record.offset)
        if not records:
            return
        self._writer.put(Batch({}, positions, facts))
        for place in [each for each, end in self._targets.items() if positions.get(each, 0) >= end]:
            del self._targets[place]
        gevent.idle()
