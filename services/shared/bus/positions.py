"""Places in a partition's log that never come twice (ADR 56). No I/O.

Offsets begin at 0 again when Kafka is set up anew. Ids, snapshots and revisions that count in offsets would then
repeat or pass for old. So what outlives a log counts in positions: the epoch of the partition's log, then the offset.
Logs that were there before epochs were known keep epoch 0, whose positions are the offsets.
"""

from dataclasses import dataclass
from typing import Final

SPAN: Final = 10**11
"""Offsets of one epoch; with it a position fits into 64 bits for 170 years of epochs."""
FIRST_MINUTE: Final = 29_453_760
"""2026-01-01 in minutes since 1970: an epoch is the minute after it in which a log was first taken up.

Minutes rise also where nothing is left that could be counted on from: only the switches' ledgers of commands.
"""
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class LogName:
    """Which life of a partition's log it is: its epoch, and the topic's id in Kafka, empty where that gives none."""

    epoch: int = 0
    topic_id: str = ""

    def __str__(self) -> str:
        return f"{self.epoch}/{self.topic_id}"

    @classmethod
    def read(cls, note: str) -> "LogName | None":
        """Return what was noted as text; None where nothing was, or something that is not ours."""
        epoch, found, topic_id = note.partition("/")
        return cls(int(epoch), topic_id) if found and epoch.isascii() and epoch.isdigit() else None


def position_of(epoch: int, offset: int) -> int:
    """Return the position of an offset in an epoch; in epoch 0, that of logs older than this, they are equal."""
    return epoch * SPAN + offset


def epoch_of(position: int) -> int:
    """Return the epoch of a position."""
    return position // SPAN


def offset_of(position: int) -> int:
    """Return the offset of a position in its own log."""
    return position % SPAN


def epoch_begun(now_ms: int, after: int) -> int:
    """Return the epoch of a log that begins now (Unix time, ms), above a former one whatever the clock says."""
    return max(now_ms // _MINUTE_MS - FIRST_MINUTE, after + 1)
