"""How tries out of the waiting room are written down: together, so that many ends are one write (ADR 24)."""

from dataclasses import dataclass, field
from itertools import islice

import gevent
import structlog
from gevent.event import Event as Flag

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.waiting import End, Settlement, StoreUnavailable, WaitingRoom, name_of

BATCH = 500
# So many may wait to be written before who brings more waits too: a store that is away for minutes.
MOST_UNWRITTEN = 20_000
PAUSE_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class Settling:
    """Takes the ends of tries at once and writes them together; one write is under way at a time.

    What comes while the store writes goes with the next write: on a quick store each end is written as it comes, on a
    slow one hundreds are. While the store is away they are kept, and written when it is back: before, what was
    delivered meanwhile was sent again when its lease ended. A kill loses what was not written: it is tried again then.
    It ends last: tries that are under way at a stop bring their ends until `ended`.
    """

    room: WaitingRoom
    ended: Flag
    _unwritten: dict[str, tuple[Settlement, list[Flag]]] = field(default_factory=dict)
    _came: Flag = field(default_factory=Flag)
    _has_room: Flag = field(default_factory=Flag)

    def __contains__(self, name: str) -> bool:
        """Whether the end of a delivery is not written yet: the room shows it as it was."""
        return name in self._unwritten

    def add(self, delivery: Delivery, end: End) -> None:
        """Take an end. Waits only while very many do."""
        while len(self._unwritten) >= MOST_UNWRITTEN and not self.ended.is_set():
            self._has_room.clear()
            self._has_room.wait(PAUSE_SECONDS)
        self._take(Settlement(delivery, end), [])

    def written(self, delivery: Delivery, end: End) -> bool:
        """Take an end and return when it is written; False when the service stops first."""
        flag = Flag()
        self._take(Settlement(delivery, end), [flag])
        gevent.wait([flag, self.ended], count=1)
        return bool(flag.is_set())

    def run(self) -> None:
        """Write what comes until nothing does any more, and once after."""
        while not self.ended.is_set():
            gevent.wait([self._came, self.ended], count=1)
            if not self.flush():
                self.ended.wait(PAUSE_SECONDS)
        self.flush()

    def flush(self) -> bool:
        """Write what waits; False when the store does not take it: it is kept."""
        self._came.clear()
        while self._unwritten:
            batch = dict(islice(self._unwritten.items(), BATCH))
            try:
                self.room.settle([settlement for settlement, _ in batch.values()])
            except StoreUnavailable as error:
                metrics.STORE_FAILURES.inc()
                log.warning("ends_not_written", count=len(self._unwritten), reason=str(error))
                self._came.set()
                return False
            for name, (settlement, flags) in batch.items():
                # Something newer may have come of it while this was written.
                if self._unwritten.get(name, (None,))[0] is settlement:
                    del self._unwritten[name]
                for flag in flags:
                    flag.set()
            self._has_room.set()
        return True

    def _take(self, settlement: Settlement, flags: list[Flag]) -> None:
        name = name_of(settlement.delivery)
        former = self._unwritten.get(name)
        self._unwritten[name] = settlement, [*(former[1] if former else ()), *flags]
        self._came.set()
