"""What the live numbers know of a call, an agent, a queue, a line."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from services.stats.domain.shift import Shift
from services.stats.domain.tally import Tally
from services.stats.domain.waiting import WaitingLine
from services.stats.domain.windows import CallBook, QuarterBook, SlidingTotals

WINDOWS_SECONDS: Final = (300, 900)
# Names are written by callers: what is longer is cut.
MOST_NAME: Final = 60


class Stage(IntEnum):
    """What a call is doing."""

    FLOW = 0
    WAITING = 1
    TALKING = 2
    ENDED = 3


@dataclass(slots=True)
class SeenCall:
    """A call as far as events told it. `seen` has bit n set when the event of sequence n was taken.

    `since_ms` is when its stage began; `caller` is (number, name), written by the caller.
    """

    seen: int = 0
    sequence: int = 0
    stage: Stage = Stage.FLOW
    queue_id: str = ""
    ended_ms: int = 0
    is_counted: bool = False
    since_ms: int = 0
    line: str = ""
    agent_id: str = ""
    caller: tuple[str, str] = ("", "")


class Ledger:
    """The sums of a queue, a line or an agent, or of all queues together."""

    def __init__(self) -> None:
        self.windows = SlidingTotals(WINDOWS_SECONDS)
        self.book = QuarterBook()

    def add(self, at_ms: int, delta: Tally) -> None:
        """Count something that happened at a moment."""
        self.windows.add(at_ms // 1000, delta)
        self.book.add(at_ms, delta)

    def advance(self, now_ms: int) -> None:
        """Let the windows slide."""
        self.windows.advance(now_ms // 1000)


@dataclass(slots=True)
class QueueLive:
    """One queue. `estimate` is (when, ms): the wait that was estimated for who joined last (SPEC 3.6)."""

    line: WaitingLine = field(default_factory=WaitingLine)
    ledger: Ledger = field(default_factory=Ledger)
    estimate: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class LineLive:
    """One line that customers dial. Its calls are counted by their start, as the tenant's are."""

    in_progress: int = 0
    calls: CallBook = field(default_factory=CallBook)
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(slots=True)
class SeenAgent:
    """An agent as far as events told. Each part has the (moment, sequence) of its newest word."""

    state: str = "offline"
    since_ms: int = 0
    queue_id: str = ""
    state_at: tuple[int, int] = (0, 0)
    status: str = "offline"
    reason: str = ""
    status_at: tuple[int, int] = (0, 0)
    wrapped_at: tuple[int, int] = (0, 0)
    shift: Shift = field(default_factory=Shift)
    ledger: Ledger = field(default_factory=Ledger)
