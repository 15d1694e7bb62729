"""Norms (SPEC 8.6): when a metric's value breaks one, and when it keeps it again."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Norm:
    """What a tenant's document says of one norm."""

    kpi_id: str
    metric: str
    subject: str
    window_minutes: int
    is_at_least: bool
    norm: float
    margin: float
    least_count: int

    def breaks(self, value: float) -> bool:
        """Whether a value is on the wrong side of the norm."""
        return value < self.norm if self.is_at_least else value > self.norm

    def keeps_well(self, value: float) -> bool:
        """Whether a value is on the right side, and by the margin: what dances around the norm is told once."""
        return value >= self.norm + self.margin if self.is_at_least else value <= self.norm - self.margin


@dataclass(frozen=True, slots=True)
class Standing:
    """How a norm stands: `turn` counts its violations and recoveries. `is_told`: the last one was published."""

    is_violated: bool = False
    turn: int = 0
    value: float = 0.0
    norm: float = 0.0
    at_ms: int = 0
    is_told: bool = True


def judge(norm: Norm, standing: Standing, value: float | None, count: int, now_ms: int) -> Standing:
    """Return how a norm stands now. Without a value, or with too few to judge by, it stands as it stood."""
    if value is None or count < norm.least_count:
        return standing
    turns = norm.keeps_well(value) if standing.is_violated else norm.breaks(value)
    if not turns:
        return standing
    return replace(
        standing,
        is_violated=not standing.is_violated,
        turn=standing.turn + 1,
        value=value,
        norm=norm.norm,
        at_ms=now_ms,
        is_told=False,
    )
