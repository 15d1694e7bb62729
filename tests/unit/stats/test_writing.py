"""What waits to be written goes together, and snapshots after the documents that they stand on."""

from gevent.event import Event as Flag

from services.stats.adapters.memory import MemoryStore
from services.stats.store import CallFields, FactFields, TenantSnapshot
from services.stats.writing import Batch, Writer, snapshot_batch

PLACES = [("calls", number) for number in range(8)]


class Diary(MemoryStore):
    """A store that notes what it is asked, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def write(self, calls: CallFields, facts: FactFields | None = None) -> None:
        self.asked.append(f"write {len(calls)}")
        super().write(calls, facts)

    def save(self, partition: int, next_offset: int, changed: list[TenantSnapshot]) -> None:
        self.asked.append(f"save {partition} at {next_offset}")
        super().save(partition, next_offset, changed)


def test_snapshots_of_many_partitions_cost_no_round_of_collecting_each() -> None:
    store, stopping = Diary(), Flag()
    writer = Writer(store, collect_seconds=0.01)
    for number, place in enumerate(PLACES):
        writer.put(Batch({("acme", f"c{number}"): {"started": True}}, {place: 10}))
        writer.put(snapshot_batch(place, 10, [TenantSnapshot("acme", 10, b"x")]))
        writer.put(Batch({("acme", f"c{number}"): {"ended": True}}, {place: 11}))
    writer.end()
    writer.run(stopping)
    assert store.asked == ["write 8", *(f"save {number} at 10" for _, number in PLACES)]
    assert store.calls["acme", "c0"]["ended"]
    assert writer.written == dict.fromkeys(PLACES, 11)
