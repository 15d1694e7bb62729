"""What is asked of the delivery log, and what its figures mean."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

# Upper bounds of the classes that answers' times are counted in, milliseconds; the last class has none.
BOUNDS_MS = (25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
STATES = ("delivered", "waiting", "dead")
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Search:
    """Which deliveries are looked for; nothing means all. Moments are milliseconds of platform time."""

    endpoint_id: str = ""
    event_type: str = ""
    state: str = ""
    call_id: str = ""
    since_ms: int = 0
    until_ms: int = 0


@dataclass(slots=True)
class Figures:
    """How tries ended and how long the answered ones took, for one endpoint and some span of time."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    classes: Counter[int] = field(default_factory=Counter)

    def add(self, state: str, milliseconds: int | None, status: int) -> None:
        """Count one entry of the log; `milliseconds` is None where nothing was tried."""
        if state == "delivered":
            self.delivered += 1
        elif milliseconds is not None:
            self.failed += 1
        if state == "dead":
            self.dead += 1
        if milliseconds is not None and status:
            self.classes[class_of(milliseconds)] += 1

    def merge(self, other: "Figures") -> None:
        """Add the figures of another span."""
        self.delivered += other.delivered
        self.failed += other.failed
        self.dead += other.dead
        self.classes.update(other.classes)

    @property
    def success(self) -> float | None:
        """Which share of the tries was taken; None where none was made."""
        tried = self.delivered + self.failed
        return self.delivered / tried if tried else None

    def quantile_ms(self, share: float) -> int | None:
        """Return the upper bound of the class in which this share of the answers lies; None without answers."""
        whole = sum(self.classes.values())
        if not whole:
            return None
        passed = 0
        for number in sorted(self.classes):
            passed += self.classes[number]
            if passed >= share * whole:
                return BOUNDS_MS[min(number, len(BOUNDS_MS) - 1)]
        return BOUNDS_MS[-1]


def class_of(milliseconds: int) -> int:
    """Return the class of an answer's time."""
    return next((number for number, bound in enumerate(BOUNDS_MS) if milliseconds <= bound), len(BOUNDS_MS))


def merged(figures: Iterable[Figures]) -> Figures:
    """Return the figures of several spans together."""
    whole = Figures()
    for each in figures:
        whole.merge(each)
    return whole
