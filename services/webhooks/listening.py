"""How a part of the service hears the public events: what waits for it, and how far all of it had its effect."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from gevent.event import Event as Flag
from gevent.queue import Empty, Queue

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.webhooks import metrics
from services.webhooks.hearing import Place, Turn

POLL_SECONDS = 0.25
PAUSE_SECONDS = 1.0

log = structlog.get_logger()


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


class Listening(Protocol):
    """What the one reader of the events knows of a part."""

    @property
    def name(self) -> str:
        """The part's name in logs."""

    @property
    def behind(self) -> int:
        """How many events wait for it."""

    @property
    def epoch(self) -> int:
        """How often it has begun anew."""

    @property
    def room(self) -> Flag:
        """Set whenever fewer wait."""

    @property
    def done(self) -> dict[Place, int]:
        """Up to where everything had its effect, of the partitions in which something had."""

    @property
    def ended(self) -> Flag:
        """Set when it takes nothing any more."""

    def wants(self, turn: Turn) -> bool:
        """Whether a turn is news to it."""

    def bring(self, turn: Turn) -> None:
        """Let a turn wait for it."""

    def forget(self, epoch: int) -> None:
        """Begin anew: the partitions were shared out again."""

    def run(self, stopping: Flag) -> None:
        """Take what waits until stopped. What was not taken by then is heard again by the next process."""


@dataclass(slots=True)
class InTurns:
    """Of a part that takes one turn after another, as the log has them."""

    part: Part
    turns: Any = field(default_factory=Queue)
    behind: int = 0
    room: Flag = field(default_factory=Flag)
    done: dict[Place, int] = field(default_factory=dict)
    epoch: int = 0
    ended: Flag = field(default_factory=Flag)

    @property
    def name(self) -> str:
        """The part's name in logs."""
        return self.part.name

    def run(self, stopping: Flag) -> None:
        """Take turns until stopped."""
        while not stopping.is_set():
            try:
                turn = self.next(POLL_SECONDS)
            except Empty:
                continue
            self.take(turn, stopping)
        self.ended.set()

    def wants(self, turn: Turn) -> bool:
        """Whether it is news: that nothing came is none to who has something to do."""
        return bool(turn.heard) or bool(self.turns.empty())

    def bring(self, turn: Turn) -> None:
        """Queue a turn."""
        self.turns.put(turn)
        self.behind += len(turn.heard)

    def next(self, seconds: float = 0.0) -> Turn:
        """Return the next turn; raise Empty where none comes in time."""
        turn: Turn = self.turns.get(timeout=seconds) if seconds else self.turns.get_nowait()
        self.behind -= len(turn.heard)
        self.room.set()
        return turn

    def take(self, turn: Turn, stopping: Flag) -> None:
        """Let the part take one turn, as often as it needs to."""
        while turn.epoch == self.epoch and not stopping.is_set():
            try:
                self.part.take(turn)
            except (BusUnavailable, NotDelivered) as error:
                note_held_up(self.name, error)
                stopping.wait(PAUSE_SECONDS)
            else:
                if turn.epoch == self.epoch:
                    self.done |= {one.place: one.record.offset + 1 for one in turn.heard}
                return

    def forget(self, epoch: int) -> None:
        """Begin anew."""
        self.epoch = epoch
        self.done.clear()
        while not self.turns.empty():
            self.next()


def in_turns(parts: Iterable[Part]) -> list[InTurns]:
    """Let each of several parts take one turn after another."""
    return [InTurns(part) for part in parts]


def note_held_up(name: str, error: Exception) -> None:
    """Tell that a part could not make its effects safe; it is given the same again."""
    metrics.HELD_UP.labels(name).inc()
    log.warning("events_held_up", part=name, reason=str(error))
