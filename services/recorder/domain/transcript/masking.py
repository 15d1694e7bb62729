"""When a recording was masked, on the recording's own scale of time."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class MarkKind(Enum):
    """What happened to a recording while it was made."""

    PAUSED = "paused"
    MASKED = "masked"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Something that happened to a recording, by platform time."""

    at_us: int
    kind: MarkKind


def masked_ranges(started_us: int, marks: Iterable[Mark], duration_ms: int) -> list[tuple[int, int]]:
    """Return the milliseconds of the recording in which it was masked. Time does not pass in it while it is paused.

    A mask that nobody ended lasts to the end. Where the start is unknown, everything counts as masked from the first
    mask on: better a gap than a card number.
    """
    ranges: list[tuple[int, int]] = []
    masked_at: int | None = None
    paused_at: int | None = None
    paused_us = 0
    for mark in sorted(marks, key=lambda mark: mark.at_us):
        position = 0 if not started_us else max(0, ((paused_at or mark.at_us) - started_us - paused_us) // 1000)
        if mark.kind is MarkKind.MASKED and masked_at is None:
            masked_at = position
        elif mark.kind is MarkKind.PAUSED and paused_at is None:
            paused_at = mark.at_us
        elif mark.kind is MarkKind.RESUMED:
            if masked_at is not None and started_us:
                ranges.append((masked_at, position))
                masked_at = None
            if paused_at is not None:
                paused_us += mark.at_us - paused_at
                paused_at = None
    if masked_at is not None:
        ranges.append((masked_at, duration_ms))
    return ranges
