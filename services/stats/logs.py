"""Which life of a log an offset is of (ADR 56): Kafka may be set up anew, and offsets begin at 0 again.

What is written counts in positions (services/shared/bus/positions.py). They only grow, so a revision of the new log is
above every mark of the former one, and a snapshot of the former one is none of the new. A log that is there keeps
epoch 0, whose positions are the offsets.
"""

import time
from collections.abc import Iterable
from typing import Final, Protocol

import structlog

from services.shared.bus.ports import Reader
from services.shared.bus.positions import LogName, epoch_begun, epoch_of, position_of
from services.stats.store import Store

LOOK_SECONDS: Final = 2.0
"""So often the broker is asked whether a topic is still the one that was taken up."""
Place = tuple[str, int]

log = structlog.get_logger()


class LogReader(Reader, Protocol):
    """A reader that knows topics' ids."""

    def topic_id(self, topic: str) -> str:
        """Return the id that the broker gave a topic when it was made, empty where it gives none."""


class Logs:
    """The logs of one reader, by partition; the store knows which was taken up last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[Place, LogName] = {}
        self._looked_at = time.monotonic()

    def begin(self, place: Place, topic_id: str, end: int, now_ms: int, kept: int = 0) -> int:
        """Take a partition's log up, which ends at an offset, and return its first position.

        `kept` is the position that a snapshot speaks of. Nothing may be written of the log before: after a kill it is
        the same one. Raises StoreUnavailable.
        """
        known = self._store.log_of(*place)
        former = known or LogName()
        epoch = max(former.epoch, epoch_of(kept))
        is_same = not (former.topic_id and topic_id) or former.topic_id == topic_id
        if not is_same or kept > position_of(epoch, end):
            epoch = epoch_begun(now_ms, epoch)
            log.warning("log_begun_anew", topic=place[0], partition=place[1], epoch=epoch, topic_id=topic_id)
        name = self._names[place] = LogName(epoch, topic_id or former.topic_id)
        if name != known:
            self._store.keep_log(*place, name)
        return position_of(epoch, 0)

    def first(self, place: Place) -> int:
        """Return the first position of a partition that was begun."""
        return position_of(self._names[place].epoch, 0)

    def made_anew(self, reader: LogReader, places: Iterable[Place]) -> set[Place]:
        """Return those whose topic was made anew since they were begun; asks seldom. Raises BusUnavailable."""
        if time.monotonic() < self._looked_at + LOOK_SECONDS:
            return set()
        self._looked_at = time.monotonic()
        mine = {place: self._names[place].topic_id for place in places}
        ids = {topic: reader.topic_id(topic) for topic in {topic for topic, _ in mine}}
        return {place for place, topic_id in mine.items() if topic_id and ids[place[0]] not in ("", topic_id)}
