"""Which log a partition is that we are given, before anything of it is decided (ADR 56)."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import structlog

from services.router.adapters.log import Log
from services.router.adapters.snapshots import Place, Snapshots
from services.router.epochs import AnotherLog, Found, known_epoch, new_epoch
from services.router.partition import Partition
from services.shared.bus.positions import LogName, epoch_of, offset_of, position_of
from services.shared.bus.topics import INPUTS

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A partition whose log is known: the group's position in it, and the place of the newest snapshot."""

    committed: int
    place: Place


def take_up(
    reader: Log, snapshots: Snapshots, numbers: Collection[int], now_ms: int, takes_log: str
) -> dict[int, TakenUp]:
    """Find out which logs partitions are, and begin those that nobody has; what begins is kept before it is used.

    All are asked for at once: the callers of a router that is gone wait for the answers.

    `takes_log` is the id of a topic to which the snapshots may be carried over though they are of another one. Raises
    AnotherLog, BusError, SnapshotsUnavailable; Rebalancing: try again.
    """
    places, found = snapshots.places(numbers), reader.find(numbers)
    epochs: dict[int, int | None] = {}
    for number in numbers:
        try:
            epochs[number] = known_epoch(found[number], places[number])
        except AnotherLog:
            if not takes_log or found[number].topic_id != takes_log:
                raise
    for number, epoch in epochs.items():
        new = new_epoch(now_ms, places[number])
        reader.begin(number, LogName(new if epoch is None else epoch, found[number].topic_id))
    if begun := [number for number, epoch in epochs.items() if epoch is None]:
        reader.keep_names({number: found[number].committed or 0 for number in begun})
    if others := [number for number in numbers if number not in epochs]:
        for number in others:
            _carry_over(reader, snapshots, number, places[number], found[number], now_ms)
        places |= snapshots.places(others)
    return {
        number: TakenUp(position_of(reader.name(number).epoch, found[number].committed or 0), places[number])
        for number in numbers
    }


def restored(reader: Log, snapshots: Snapshots, number: int) -> Partition:
    """Return a partition as its snapshot says. Raises AnotherLog, SnapshotsUnavailable."""
    snapshot, first = snapshots.load(number), reader.first(number)
    strangers = [tenant.tenant_id for tenant in snapshot.tenants if epoch_of(tenant.next_offset) != epoch_of(first)]
    if strangers:
        raise AnotherLog(f"what is kept of {strangers[0]} is of another log: remove router_states (runbook backup.md)")
    partition = Partition(number, snapshot, reader.name(number).topic_id)
    partition.pass_over(first)
    return partition


def must_be_its_log(reader: Log, partition: Partition) -> None:
    """Refuse a log that ends before our snapshot of it: all that comes would pass for decided already."""
    end = reader.ends_at(partition.number)
    if end < partition.next_offset:
        place = f"{INPUTS}/{partition.number} ends at {offset_of(end)}"
        snapshot = f"its snapshot was taken at {offset_of(partition.next_offset)}"
        raise AnotherLog(
            f"{place}, and {snapshot}: this is another log, or its brokers have lost its end: bring that back, or "
            "remove the snapshots (runbook backup.md)"
        )


def pass_over_gap(reader: Log, partition: Partition) -> None:
    """Go on where the log begins: nobody brings what its retention has taken, and it would be waited for."""
    first = reader.begins_at(partition.number)
    if first > partition.next_offset:
        wanted, begins_at = offset_of(partition.next_offset), offset_of(first)
        log.error("log_begins_later", partition=partition.number, wanted=wanted, begins_at=begins_at)
        partition.pass_over(first)


def _carry_over(reader: Log, snapshots: Snapshots, number: int, place: Place, found: Found, now_ms: int) -> None:
    """Keep the states as those before the log's first input: callbacks, statuses and documents outlive a lost Kafka.

    Killed at any point it is done again in the same way: the name is kept first, the place last.
    """
    noted = found.note is not None and found.note.topic_id == found.topic_id
    epoch = found.note.epoch if noted and found.note is not None else new_epoch(now_ms, place)
    reader.begin(number, LogName(epoch, found.topic_id))
    reader.keep_names({number: found.committed or 0})
    begin = position_of(epoch, found.committed or 0)
    tenants = [replace(tenant, next_offset=begin) for tenant in snapshots.load(number).tenants]
    snapshots.save_tenants(number, tenants)
    snapshots.save_place(number, begin, place.core, found.topic_id)
    log.warning("snapshots_carried_over", partition=number, tenants=len(tenants), topic_id=found.topic_id, epoch=epoch)
