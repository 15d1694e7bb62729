"""Follows ringmaster.inputs for one thing: the last fact of each leg, which goes into the documents of legs.

Persons are forgotten there where the router says that it has: all legs of their calls stand before.

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
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.stats import metrics
from services.stats.committing import Commits
from services.stats.documents import add_leg_to
from services.stats.domain.board import Board
from services.stats.forgetting import wish_of_legs
from services.stats.holding import Holding, Place
from services.stats.logs import LogReader, Logs
from services.stats.store import FactFields, StoreUnavailable
from services.stats.writing import Batch, Writer, wish_batch

GATHER_MS: Final = 1_000
"""Nobody needs a leg at once, and a fetch costs as much as thirty records."""
POLL_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 1.0
COMMIT_SECONDS: Final = 5.0

log = structlog.get_logger()


class Legs:
    """A member of its own group: what it has written is committed, and read no more after a start.

    Its reader need return nothing but what may be a leg's last fact: how far it has come is asked of the reader.
    """

    def __init__(self, board: Board, writer: Writer, logs: Logs, clock: Clock) -> None:
        self._board = board
        self._writer = writer
        self._logs = logs
        self._clock = clock
        self._held = Holding()
        self._positions: dict[Place, int] = {}
        # The start goes on from there.
        self._commits = Commits(writer, COMMIT_SECONDS)
        self.assigned = self._held.assigned

    def revoked(self, places: list[Place]) -> None:
        """Let partitions go."""
        self._held.revoked(places)
        self._commits.forget(set(places))
        for place in places:
            self._positions.pop(place, None)

    @property
    def is_current(self) -> bool:
        """Whether every leg that was told when we began is on its way into the documents."""
        return self._held.is_current

    def run(self, stopping: Flag, reader: LogReader) -> None:
        """Follow until stopped."""
        while not stopping.is_set():
            try:
                self._begin(reader)
                records = [r for r in reader.poll(POLL_SECONDS) if (r.topic, r.partition) in self._held.ours]
                self._take(records, _positions(reader, self._held.ours))
                self._commits.tell(reader, self._held.ours)
            except (BusUnavailable, StoreUnavailable) as error:
                log.warning("inputs_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
            self._board.are_legs_whole = self.is_current

    def _begin(self, reader: LogReader) -> None:
        """Note how far the log goes: reports about legs say so until it is read. A log made anew begins again."""
        anew = self._logs.made_anew(reader, self._held.ours)
        self._held.revoked(anew)
        self._held.assigned(anew)
        places = self._held.to_begin(reader)
        topic_id = reader.topic_id(INPUTS) if places else ""
        for place in places:
            end, committed = reader.end_offset(*place), reader.committed(*place) or 0
            self._logs.begin(place, topic_id, end, self._clock.now_ms())
            begin = max(committed if committed <= end else 0, reader.offset_at(*place, 0))
            reader.seek(*place, begin)
            self._held.begin(place, begin, end)

    def _take(self, records: list[Record], positions: dict[Place, int]) -> None:
        news = {place: at for place, at in positions.items() if self._positions.get(place) != at}
        if not news:
            return
        facts: FactFields = {}
        for record in records:
            try:
                given = Input.FromString(record.value)
                revision = self._logs.first((record.topic, record.partition)) + record.offset + 1
                add_leg_to(given, revision, facts)
                if given.HasField("person_forgotten") and not given.domain:
                    # What comes before is written first; it is committed with what comes after.
                    self._writer.put(Batch({}, {}, facts))
                    self._writer.put(wish_batch(wish_of_legs(given, revision)))
                    facts = {}
            except DecodeError:
                metrics.INVALID.labels(record.topic).inc()
                log.warning("input_unreadable", partition=record.partition, offset=record.offset)
        self._writer.put(Batch({}, news, facts))
        self._positions |= news
        self._held.reached(positions)
        gevent.idle()


def _positions(reader: Reader, places: set[Place]) -> dict[Place, int]:
    found = {place: reader.position(*place) for place in places}
    return {place: at for place, at in found.items() if at is not None}
