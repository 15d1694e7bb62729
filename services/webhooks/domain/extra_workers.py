from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.webhooks.domain.pace import Pace

# An endpoint whose tries take so long keeps its workers from nobody but the slow, seconds.
SLOW_SECONDS = 1.0
# Who found nobody to give a worker up looks again after this time, seconds.
LOOK_SECONDS = 0.05
# Both lots, and once more a lot's size for those who are to end.
MOST_LOTS = 3


@dataclass(slots=True, eq=False)
class Crew:
    """The workers of one endpoint."""

    workers: int = 0
    idle: int = 0
    leaving: int = 0
    """How many of them are to end once they have done what they do now; their places are not theirs any more."""
    is_slow: bool = True
    """Whether its tries take long. As long as none has ended, nobody knows, and it is not to cost the quick ones."""
    look_at: float = 0.0
    """When it may be looked again for who gives it one."""
    pace: Pace = field(default_factory=Pace)

    @property
    def beyond_first(self) -> int:
        """How many there are beyond the first."""
        return max(0, self.workers - 1)

    @property
    def extra(self) -> int:
        """How many of these are to stay."""
        return max(0, self.workers - self.leaving - 1)

    def hangs(self, now: float) -> bool:
        """Whether it has had work for long and nothing of it ended."""
        return self.idle < self.workers and now - self.pace.ended >= SLOW_SECONDS


C = TypeVar("C", bound=Crew)


class ExtraWorkers(Generic[C]):
    """Shares a company's workers among its endpoints. Each has a first one anyhow; this is about those beyond it.

    The quick endpoints have one lot of them among themselves and the slow ones another, each of `limit`: who hangs
    takes none from those who answer. Where a lot is used up, whoever wants one more gets that of the endpoint that has
    most, down to equal parts. That worker ends when it has done what it does, and who turns slow brings theirs into
    the other lot; so for the length of a try there may be more than two lots, but never more than three.
    """

    def __init__(self, limit: int, rouse: Callable[[C], None]) -> None:
        self._limit = limit
        self._rouse = rouse
        """Makes an idle worker of an endpoint look whether it is to end."""
        self._having: dict[C, None] = {}
        """Who has more than one."""
        self._taken = {True: 0, False: 0}
        """By the slow, and by the quick."""
        self._running = 0
        """With those who are to end."""

    def begin(self, crew: C, now: float) -> bool:
        """Note one more worker of an endpoint if it may have one now. Somebody else may have given one up for it."""
        may = self._may_begin(crew, now)
        if may:
            self._change(crew, workers=1)
        return may

    def end(self, crew: C) -> None:
        """Note one worker less."""
        self._change(crew, workers=-1, leaving=-1 if crew.leaving else 0)

    def note_try(self, crew: C, seconds: float) -> None:
        """Note how long a try took."""
        is_slow = seconds >= SLOW_SECONDS
        if is_slow != crew.is_slow:
            self._class(crew, is_slow=is_slow)

    def _may_begin(self, crew: C, now: float) -> bool:
        if crew.workers == 0:
            return True
        if now < crew.look_at or self._running >= MOST_LOTS * self._limit:
            return False
        if self._has_left(crew):
            return True
        self._tell_who_hangs(now)
        if self._has_left(crew) or self._takes_from_richest(crew):
            return True
        crew.look_at = now + LOOK_SECONDS
        return False

    def _has_left(self, crew: C) -> bool:
        return self._taken[crew.is_slow] < self._limit

    def _tell_who_hangs(self, now: float) -> None:
        for crew in list(self._having):
            if not crew.is_slow and crew.hangs(now):
                self._class(crew, is_slow=True)

    def _takes_from_richest(self, crew: C) -> bool:
        leaving = self._running - sum(self._taken.values())
        if leaving >= self._limit:
            return False
        alike = (one for one in self._having if one.is_slow == crew.is_slow)
        richest = max(alike, key=lambda one: (one.extra, one.idle > 0), default=None)
        if richest is None or richest.extra < crew.extra + 2:
            return False
        self._let_go(richest, 1)
        return True

    def _class(self, crew: C, *, is_slow: bool) -> None:
        self._taken[crew.is_slow] -= crew.extra
        self._taken[is_slow] += crew.extra
        crew.is_slow, crew.look_at = is_slow, 0.0
        too_many = self._taken[is_slow] - self._limit
        if too_many > 0:
            self._let_go(crew, min(too_many, crew.extra))

    def _let_go(self, crew: C, count: int) -> None:
        """Let so many end: at once as far as they are idle, else after what they do."""
        self._change(crew, leaving=count)
        for _ in range(min(count, crew.idle)):
            self._rouse(crew)

    def _change(self, crew: C, *, workers: int = 0, leaving: int = 0) -> None:
        before, running = crew.extra, crew.beyond_first
        crew.workers += workers
        crew.leaving += leaving
        self._taken[crew.is_slow] += crew.extra - before
        self._running += crew.beyond_first - running
        if crew.extra:
            self._having[crew] = None
        else:
            self._having.pop(crew, None)
