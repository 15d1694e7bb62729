import time
from collections.abc import Iterable

import structlog
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader
from services.shared.bus.topics import CALLS
from services.shared.chassis.clock import Clock
from services.webhooks.directory import Directory
from services.webhooks.hearing import Place, Turn, heard
from services.webhooks.listening import Listening

POLL_SECONDS = 0.25
# What was heard since the last commit has its effect once more after a crash, under the same ids.
COMMIT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
CATCH_UP_SECONDS = 20.0
FINISH_SECONDS = 5.0
MOST_BEHIND = 10_000
"""So many events one part may be behind before it holds up the others: however few each look at the log has brought."""

log = structlog.get_logger()


class DirectoryStale(Exception):
    """The tenants' documents could not be read in time. Going on would lose deliveries: the process starts again."""


class Follower:
    """Reads the public events once for all parts of the service.

    Each part takes them at its own pace: one that waits for the broker holds the others up only when it is
    ten thousand events behind. An offset is committed when every part has had its effects acknowledged; a kill between
    any two lines repeats effects of the same ids and loses none.
    """

    def __init__(self, directory: Directory, clock: Clock, listening: Iterable[Listening]) -> None:
        self._directory = directory
        self._clock = clock
        self.listening = list(listening)
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
        turn = Turn(tuple(map(heard, records)), self._owned, at_end_ms, self._epoch, reader.partitions(CALLS))
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
    """Let a turn wait for a part; wait while that is very far behind."""
    if not to.wants(turn):
        return
    while to.behind >= MOST_BEHIND and not stopping.is_set() and turn.epoch == to.epoch:
        to.room.clear()
        to.room.wait(POLL_SECONDS)
    if turn.epoch == to.epoch:
        to.bring(turn)
