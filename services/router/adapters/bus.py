from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.shared.bus.consumer import Consumer
from services.shared.bus.ports import BatchSender, Reader
from services.shared.bus.producer import Producer
from services.shared.bus.topics import INPUTS

GROUP = "router"
GATHER_MS = 2
"""A fifth off the latency at 50 calls/s on two cores (bench/latency): what is decided together costs less."""
FOLLOWER_GATHER_MS = 50
"""Nobody waits for a copy."""
Place = tuple[str, int]
Places = Collection[Place]
OnTaken = Callable[[Places], None]


class LogReader(Reader, Protocol):
    """A reader that says which log it reads, and what the group has committed of it."""

    def commit(self, positions: Mapping[Place, int], notes: Mapping[Place, str] = ...) -> None:
        """Say that everything before these offsets has had its effect; a note stands beside each."""

    def noted_of(self, topic: str, partitions: Collection[int]) -> dict[int, tuple[int, str]]:
        """Return the group's committed offsets of those partitions that have one, each with the note beside it."""

    def topic_id(self, topic: str) -> str:
        """Return the id that the broker gave the topic when it was made, empty where it gives none."""


class ClosingReader(LogReader, Protocol):
    """A reader that can be left."""

    def others(self) -> frozenset[int]:
        """Return the log's partitions that are not ours now."""

    def close(self, *, hands_over: bool = False) -> None:
        """Leave the group; `hands_over` lets others have the partitions at once."""


class Follower(LogReader, Protocol):
    """A reader of every partition that is no member of the group."""

    def close(self) -> None:
        """End the connection."""


class ClosingSender(BatchSender, Protocol):
    """A sender that can be left."""

    def close(self) -> None:
        """End the connection."""


class Bus(Protocol):
    """Where the log is read and the outputs are sent; both raise BusUnavailable when the broker is away."""

    def reader(self, on_revoked: OnTaken, on_lost: OnTaken) -> ClosingReader:
        """Join the group that reads ringmaster.inputs; what is revoked is nobody's yet, what is lost another's."""

    def follower(self) -> Follower:
        """Connect to read what others decide, and what they have committed."""

    def sender(self) -> ClosingSender:
        """Connect to send."""


@dataclass(frozen=True, slots=True)
class KafkaBus:
    """The true broker."""

    bootstrap: str
    name: str
    session_seconds: float

    def reader(self, on_revoked: OnTaken, on_lost: OnTaken) -> ClosingReader:
        """Join the group under this process's name."""
        return Consumer(
            self.bootstrap,
            GROUP,
            [INPUTS],
            self.name,
            gather_ms=GATHER_MS,
            session_seconds=self.session_seconds,
            keeps_partitions=True,
            on_revoked=on_revoked,
            on_lost=on_lost,
        )

    def follower(self) -> Follower:
        """Connect."""
        name = f"{self.name}-standby"
        return Consumer(self.bootstrap, GROUP, [INPUTS], name, gather_ms=FOLLOWER_GATHER_MS, only_follows=True)

    def sender(self) -> ClosingSender:
        """Connect."""
        return Producer(self.bootstrap, self.name)
