"""Which life of the log a position belongs to (ADR 56). No I/O.

Offsets begin at 0 again when Kafka is set up anew. Ids of outputs, snapshots, fences and what logs tell each other
would then repeat, or pass for old. So the router counts in positions: the epoch of a partition's log, then the offset.
"""

from dataclasses import dataclass

from services.router.adapters.snapshots import Place, SnapshotsUnavailable

SPAN = 10**11
"""Offsets of one epoch; with it a position fits into 64 bits for 170 years of epochs."""
FIRST_MINUTE = 29_453_760
"""2026-01-01 in minutes since 1970: an epoch is the minute after it in which a log was first taken up.

Minutes rise also where nothing is left that could be counted on from: only the switches' ledgers of commands.
"""
_MINUTE_MS = 60_000


class AnotherLog(SnapshotsUnavailable):
    """The snapshots are of another log than the broker's. Somebody has to say whether that is meant."""


@dataclass(frozen=True, slots=True)
class LogName:
    """What stands beside each committed offset: the log's epoch, and the id that Kafka gave the topic."""

    epoch: int = 0
    topic_id: str = ""

    def __str__(self) -> str:
        return f"{self.epoch}/{self.topic_id}"

    @classmethod
    def read(cls, note: str) -> "LogName | None":
        """Return what was noted; None where nothing was, or something that is not ours."""
        epoch, found, topic_id = note.partition("/")
        return cls(int(epoch), topic_id) if found and epoch.isascii() and epoch.isdigit() else None


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a partition's log when it is taken up: its topic's id, and the group's commit with its note."""

    topic_id: str
    committed: int | None
    note: LogName | None


def position_of(epoch: int, offset: int) -> int:
    """Return the position of an offset in an epoch; in epoch 0, that of logs older than this, they are equal."""
    return epoch * SPAN + offset


def epoch_of(position: int) -> int:
    """Return the epoch of a position."""
    return position // SPAN


def offset_of(position: int) -> int:
    """Return the offset of a position in its own log."""
    return position % SPAN


def new_epoch(now_ms: int, place: Place) -> int:
    """Return the epoch of a log that begins now, above that of what is kept whatever the clock says."""
    return max(now_ms // _MINUTE_MS - FIRST_MINUTE, epoch_of(place.next_offset) + 1)


def known_epoch(found: Found, place: Place) -> int | None:
    """Return the epoch of a log; None of one that nobody has taken up before. Raises AnotherLog."""
    noted = found.note if found.note is not None and found.note.topic_id == found.topic_id else None
    if place.next_offset:
        return _epoch_of_kept(found, noted, place)
    if noted is not None:
        return noted.epoch
    # An offset without a note was committed by a version that knew no epochs; brokers without topics' ids have none.
    return 0 if not found.topic_id or (found.committed is not None and found.note is None) else None


def _epoch_of_kept(found: Found, noted: LogName | None, place: Place) -> int:
    epoch = epoch_of(place.next_offset)
    is_of_it = place.log == found.topic_id or not found.topic_id
    is_older = not place.log and not epoch  # kept by a version that knew no epochs: of this log unless that has another
    if (is_of_it or is_older) and (noted is None or noted.epoch == epoch):
        return epoch
    raise AnotherLog(
        f"the log is topic {found.topic_id or 'without an id'}, and the routers' snapshots are of "
        f"{place.log or 'another one'}: "
        "set RINGMASTER_KAFKA_BOOTSTRAP right, or where Kafka was set up anew say so by "
        f"RINGMASTER_ROUTER_TAKES_LOG={found.topic_id} (runbook backup.md)"
    )
