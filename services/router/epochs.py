"""Which life of the log the router takes up (ADR 56). No I/O.

Ids of outputs, snapshots, fences and what logs tell each other count in positions (services/shared/bus/positions.py).
"""

from dataclasses import dataclass

from services.router.adapters.snapshots import Place, SnapshotsUnavailable
from services.shared.bus.positions import LogName, epoch_begun, epoch_of


class AnotherLog(SnapshotsUnavailable):
    """The snapshots are of another log than the broker's. Somebody has to say whether that is meant."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a partition's log when it is taken up: its topic's id, and the group's commit with its note."""

    topic_id: str
    committed: int | None
    note: LogName | None


def new_epoch(now_ms: int, place: Place) -> int:
    """Return the epoch of a log that begins now, above that of what is kept whatever the clock says."""
    return epoch_begun(now_ms, epoch_of(place.next_offset))


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
