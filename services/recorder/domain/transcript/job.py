"""A recording that waits to be written down, and who comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.recorder.domain.transcript.policy import Wishes
from services.recorder.domain.transcript.transcript import Subject

MOST_ATTEMPTS: Final = 6
"""A recording that so many workers gave up, or died over, is put aside."""


class JobState(Enum):
    """Where a job is. waiting → running → done or dead; running → waiting when its worker fails or dies."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the sound lies, and what it must be."""

    bucket: str
    key: str
    size_bytes: int
    sha256: str
    media_type: str
    channels: int


@dataclass(frozen=True, slots=True)
class Job:
    """One recording to be written down. Its id is the recording's: a second order for it is the same one."""

    subject: Subject
    source: Source
    wishes: Wishes
    started_us: int = 0
    """When the recording began; 0 where that is unknown."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker alone works on, while it renews its lease. `attempt` counts from 1 and fences the rest."""

    job: Job
    attempt: int


def next_tenants(served_ms: Mapping[str, float], now_ms: float) -> list[str]:
    """Return tenants that wait in the order in which they are to be served: start-time fair queueing.

    `served_ms` is how much sound each has been served, on one scale; `now_ms` is where that scale stands: who was away
    begins there, and can't make up for the time away.
    """
    return sorted(served_ms, key=lambda tenant: (max(served_ms[tenant], now_ms), tenant))


def served_after(served_ms: float, now_ms: float, cost_ms: int) -> float:
    """Return how much a tenant counts as served once `cost_ms` of its sound is taken up."""
    return max(served_ms, now_ms) + cost_ms
