"""One partition in memory: which inputs count, which timers come back, and what a snapshot is taken of."""

import gc
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from services.router import partition as partition_module
from services.router.adapters.snapshots import PartitionSnapshot, TenantSnapshot
from services.router.domain.errors import UnreadableInput
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.state import TenantState
from services.router.partition import DueTimer, Partition
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import START_MS, TENANT, Log, document

LATER_MS = START_MS + 3_600_000
EMPTY = PartitionSnapshot(0, [], frozenset())


def _records(log: Log, key: str = TENANT) -> list[Record]:
    return [
        Record(INPUTS, 0, offset, time_ms, key, given.SerializeToString())
        for offset, (time_ms, given) in enumerate(log.inputs)
    ]


def _story() -> Log:
    log = Log(document())
    log.ready("olena")
    log.queue("c1")
    return log


def _taken(partition: Partition, records: list[Record]) -> None:
    for record in records:
        partition.take(record, LATER_MS)


def _ours() -> Partition:
    partition = Partition(0, EMPTY)
    partition.take_over(0, LATER_MS)
    return partition


def test_of_what_is_followed_no_timer_is_kept_until_it_is_taken_over() -> None:
    partition = Partition(0, EMPTY)
    _taken(partition, _records(_story()))
    assert partition.next_due_ms() is None
    partition.take_over(partition.next_offset, LATER_MS)
    assert partition.next_due_ms() == min(partition.states[TENANT].timers.values())


def test_what_was_followed_wants_a_snapshot_soon_and_not_at_once() -> None:
    partition = Partition(0, EMPTY)
    partition.take_over(0, LATER_MS)
    assert partition.inputs_since_snapshot == 0
    _taken(partition, _records(_story()))
    assert partition.inputs_since_snapshot > 1
    partition.take_over(partition.next_offset, LATER_MS)
    assert partition.inputs_since_snapshot == 1


def _decided() -> float:
    found = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return sum(each.value for each in found if each.name == "ringmaster_router_inputs_total")


def test_an_input_is_measured_by_who_sends_what_follows_from_it() -> None:
    records, before = _records(_story()), _decided()
    partition = Partition(0, EMPTY)
    partition.take_over(len(records) - 2, LATER_MS)
    _taken(partition, records)
    assert _decided() - before == 2


def test_timers_that_were_cancelled_or_moved_do_not_come_back() -> None:
    partition = _ours()
    _taken(partition, _records(_story()))
    timers = partition.states[TENANT].timers
    (moved, due_ms), (gone, _) = sorted(timers.items())[:2]
    timers[moved] += 1
    del timers[gone]
    found = partition.due(LATER_MS, 100)
    assert not {moved, gone} & {timer.timer_id for timer in found}
    assert due_ms not in [timer.due_ms for timer in found if timer.timer_id == moved]


def test_a_snapshot_leaves_no_stale_timers_behind_and_none_twice() -> None:
    partition = _ours()
    _taken(partition, _records(_story()))
    timers = partition.states[TENANT].timers
    timers["lease:c1"] += 1
    partition._heap += [partition._heap[-1], (timers["lease:c1"], timers["lease:c1"], TENANT, "lease:c1")]
    partition.changed_tenants()
    assert sorted((timer_id, due_ms) for _, due_ms, _, timer_id in partition._heap) == sorted(timers.items())
    assert partition._heap == sorted(partition._heap)


def test_a_timer_comes_back_once() -> None:
    partition = Partition(0, EMPTY)
    partition.states[TENANT] = TenantState(TENANT, timers={"lease:c1": 7})
    partition.take_over(0, LATER_MS)
    assert partition.due(6, 100) == []
    assert partition.due(7, 100) == [DueTimer(TENANT, "lease:c1", 7)]
    assert partition.due(8, 100) == []


def test_of_many_timers_the_first_come_back_first_and_the_rest_with_the_next_look() -> None:
    partition = Partition(0, EMPTY)
    timers = {f"lease:c{number}": number for number in range(7)}
    partition.states[TENANT] = TenantState(TENANT, timers=timers)
    partition.take_over(0, LATER_MS)
    looks = [[timer.due_ms for timer in partition.due(5, 4)] for _ in range(3)]
    assert looks == [[0, 1, 2, 3], [4, 5], []]


def test_a_snapshot_is_of_those_who_have_changed_since_the_last_one() -> None:
    partition = _ours()
    records = _records(_story())
    _taken(partition, records)
    assert partition.changed_tenants() == [TENANT]
    assert (partition.changed_tenants(), partition.inputs_since_snapshot) == ([], 0)
    other = Input(tenant_id="borealis", document=document())
    other.document.tenant_id = "borealis"
    partition.take(Record(INPUTS, 0, len(records), START_MS, "borealis", other.SerializeToString()), LATER_MS)
    assert (partition.changed_tenants(), partition.inputs_since_snapshot) == (["borealis"], 0)


def test_a_partition_begins_where_its_log_does_and_never_before_its_snapshot() -> None:
    partition = Partition(0, PartitionSnapshot(7, [], frozenset()))
    partition.pass_over(3)
    assert partition.next_offset == 7
    partition.pass_over(9)
    assert partition.next_offset == 9


@pytest.mark.parametrize(
    ("key", "tenant_id", "domain"),
    [("", "", ""), ("", TENANT, ""), ("borealis", TENANT, ""), (TENANT, TENANT, "north")],
)
def test_an_input_under_another_key_is_refused_and_makes_no_tenant(key: str, tenant_id: str, domain: str) -> None:
    partition = _ours()
    given = Input(tenant_id=tenant_id, domain=domain, document=document())
    with pytest.raises(UnreadableInput):
        partition.take(Record(INPUTS, 0, 0, START_MS, key, given.SerializeToString()), LATER_MS)
    assert partition.states == {}


@pytest.mark.parametrize("was_on", [True, False])
def test_a_snapshot_is_restored_without_collections_and_leaves_them_as_they_were(
    *, was_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile: list[bool] = []

    def restored(snapshot: dict[str, Any]) -> TenantState:
        meanwhile.append(gc.isenabled())
        return from_snapshot(snapshot)

    monkeypatch.setattr(partition_module, "from_snapshot", restored)
    data = orjson.dumps(to_snapshot(TenantState(TENANT)))
    if not was_on:
        gc.disable()
    try:
        Partition(0, PartitionSnapshot(4, [TenantSnapshot(TENANT, 4, data)], frozenset()))
        assert gc.isenabled() == was_on
    finally:
        gc.enable()
    assert meanwhile == [False]


def test_where_the_log_is_ahead_a_timer_lasts_an_eighth_longer_and_never_beyond_its_moment() -> None:
    partition = Partition(0, EMPTY)
    partition.states[TENANT] = TenantState(TENANT, now_ms=START_MS, timers={"lease:c1": START_MS + 10_000})
    for ahead_ms, moment in ((0, 10_000), (400, 9_600 + 400), (5_000, 6_250), (60_000, -48_750), (-7, 10_000)):
        partition.take_over(0, START_MS - ahead_ms)
        assert partition.next_due_ms() == START_MS + moment, ahead_ms
