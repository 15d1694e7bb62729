import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from gevent.event import Event as Flag
from gevent.queue import Empty, Full, Queue

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import Reader
from services.shared.chassis.clock import Clock
from services.webhooks import metrics
from services.webhooks.directory import Directory
from services.webhooks.hearing import Place, Turn, heard

POLL_SECONDS = 0.25
# What was heard since the last commit has its effect once more after a crash, under the same ids.
COMMIT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
CATCH_UP_SECONDS = 20.0
FINISH_SECONDS = 5.0
MOST_TURNS = 100
"""So many looks at the log, of a hundred records at most, one part may be behind before it holds up the others."""

log = structlog.get_logger()


class DirectoryStale(Exception):
    """The tenants' documents could not be read in time. Going on would lose deliveries: the process starts again."""


class Part(Protocol):
    """Something that wants to hear the public events."""

    @property
    def name(self) -> str:
        """Its name in logs."""

    def take(self, turn: Turn) -> None:
        """Return when all effects of a turn are safe.

        Raises BusUnavailable or NotDelivered while they can't be: then it is given the same turn again, and what it
        makes a second time has the same ids.
        """


@dataclass(slots=True)
class Listening:
    """A part, what it has to hear yet, and how far all of it had its effect."""

    part: Part
    turns: Any = field(default_factory=lambda: Queue(MOST_TURNS))
    done: dict[Place, int] = field(default_factory=dict)
    epoch: int = 0
    ended: Flag = field(default_factory=Flag)

    def run(self, stopping: Flag) -> None:
        """Take turns until stopped. What was heard and not taken by then is heard again by the next process."""
        while not stopping.is_set():
            try:
                turn = self.turns.get(timeout=POLL_SECONDS)
            except Empty:
                continue
            self.take(turn, stopping)
        self.ended.set()

    def take(self, turn: Turn, stopping: Flag) -> None:
        """Let the part take one turn, as often as it needs to."""
        while turn.epoch == self.epoch and not stopping.is_set():
            try:
                self.part.take(turn)
            except (BusUnavailable, NotDelivered) as error:
                metrics.HELD_UP.labels(self.part.name).inc()
                log.warning("events_held_up", part=self.part.name, reason=str(error))
                stopping.wait(PAUSE_SECONDS)
            else:
                if turn.epoch == self.epoch:
                    self.done |= {one.place: one.record.offset + 1 for one in turn.heard}
                return

    def forget(self, epoch: int) -> None:
        """Begin anew: the partitions were shared out again."""
        self.epoch = epoch
        self.done.clear()
        while not self.turns.empty():
            self.turns.get_nowait()


class Follower:
    """Reads the public events once for all parts of the service.

    Each part takes them in order and at its own pace: one that waits for the broker holds the others up only when it is
    ten thousand events behind. An offset is committed when every part has had its effects acknowledged; a kill between
    any two lines repeats effects of the same ids and loses none.
    """

    def __init__(self, directory: Directory, clock: Clock, parts: Iterable[Part]) -> None:
        self._directory = directory
        self._clock = clock
        self.listening = [Listening(part) for part in parts]
        self._reader: Reader | None = None
        self._owned: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}
        self._committed_at = 0.0
        self._epoch = 0

    def run(self, reader: Reader, stopping: Flag) -> None:
        """Follow until stopped."""
        self._reader = reader
        self._require_current_directory()
        while not stopping.is_set():
            try:
                self.hear(reader, stopping)
                if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
                    self.commit()
            except BusUnavailable as error:
                log.warning("events_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
        deadline = time.monotonic() + FINISH_SECONDS
        for each in self.listening:
            each.ended.wait(max(0.0, deadline - time.monotonic()))
        self._commit_or_say()

    def hear(self, reader: Reader, stopping: Flag) -> None:
        """Look at the log once and hand what is there to every part. Raises BusUnavailable."""
        self._reader = reader
        records = reader.poll(POLL_SECONDS)
        self._own(reader)
        if any(not self._directory.knows(record.key) for record in records):
            self._require_current_directory()
        at_end_ms = 0 if records else self._clock.now_ms()
        turn = Turn(tuple(map(heard, records)), self._owned, at_end_ms, self._epoch)
        for each in self.listening:
            _hand(each, turn, stopping)

    def commit(self) -> None:
        """Commit what has had its effect in every part. Raises BusUnavailable."""
        self._committed_at = time.monotonic()
        first, *others = (each.done for each in self.listening)
        ready = {
            place: min([offset, *(done[place] for done in others)])
            for place, offset in first.items()
            if all(place in done for done in others)
        }
        news = {place: offset for place, offset in ready.items() if self._committed.get(place) != offset}
        if news and self._reader is not None:
            self._reader.commit(news)
            self._committed |= news

    def revoked(self, _places: Iterable[Place]) -> None:
        """Give the partitions away; who comes to one reads on from what is committed now."""
        self._commit_or_say()
        self._epoch += 1
        self._owned, self._committed = {}, {}
        for each in self.listening:
            each.forget(self._epoch)

    def _own(self, reader: Reader) -> None:
        owned = reader.assignment()
        if self._owned.keys() != set(owned):
            self._owned = {place: self._owned.get(place, reader.committed(*place) or 0) for place in owned}

    def _commit_or_say(self) -> None:
        try:
            self.commit()
        except BusUnavailable as error:
            log.warning("offsets_not_committed", reason=str(error))

    def _require_current_directory(self) -> None:
        if not self._directory.catch_up(CATCH_UP_SECONDS):
            raise DirectoryStale("the tenants' documents can't be read")


def _hand(to: Listening, turn: Turn, stopping: Flag) -> None:
    """Queue a turn; wait while the part is very far behind. That nothing came is no news to who has something to do."""
    if not turn.heard and not to.turns.empty():
        return
    while not stopping.is_set() and turn.epoch == to.epoch:
        try:
            to.turns.put(turn, timeout=POLL_SECONDS)
        except Full:
            continue
        else:
            return
