"""One suite for the bus in memory and the bus on the broker: the fake may not differ from the real thing."""

import time
import uuid

import pytest

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Outgoing, Reader
from services.shared.bus.record import Record
from services.shared.bus.topics import DEAD_LETTERS, partition_of
from services.shared.testing.memory_bus import MAX_POLL_RECORDS
from services.shared.testing.waiting import wait_until
from tests.contract.conftest import PARTITIONS, Bus


def _read(reader: Reader, count: int, *keys: str) -> list[Record]:
    """Read until `count` records of some keys came."""
    found: list[Record] = []

    def have_come() -> bool:
        found.extend(record for record in reader.poll(0.5) if record.key in keys)
        return len(found) >= count

    wait_until(have_come, f"{count} records of {keys}")
    return found


def test_records_of_a_key_come_in_order_with_all_that_was_sent(bus: Bus) -> None:
    key = str(uuid.uuid4())
    for number in range(150):
        bus.sender.send(DEAD_LETTERS, key, b"%d" % number, timestamp_ms=1000 + number, headers={"ce_id": str(number)})
    bus.sender.flush(60)
    records = _read(bus.reader(bus.group, [DEAD_LETTERS]), 150, key)
    assert [record.value for record in records] == [b"%d" % number for number in range(150)]
    assert records[7].timestamp_ms == 1007
    assert records[7].headers == {"ce_id": "7"}
    assert len({record.partition for record in records}) == 1


def test_records_sent_together_come_in_order_between_those_sent_alone(bus: Bus) -> None:
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    together: list[Outgoing] = [
        (other if number % 3 else one, b"%d" % number, 2000 + number, {"ce_id": str(number)} if number % 2 else None)
        for number in range(200)
    ]
    bus.sender.send(DEAD_LETTERS, one, b"before", timestamp_ms=1999)
    receipt = bus.sender.send_many(DEAD_LETTERS, together)
    bus.sender.send(DEAD_LETTERS, one, b"after", timestamp_ms=2200).wait(60)
    receipt.wait(60)
    assert receipt.acknowledged
    assert not receipt.failed
    reader = bus.reader(bus.group, [DEAD_LETTERS])
    records = _read(reader, 202, one, other)
    for key, expected in (
        (one, [(b"before", 1999, {}), *_sent(together, one), (b"after", 2200, {})]),
        (other, _sent(together, other)),
    ):
        assert [(each.value, each.timestamp_ms, each.headers) for each in records if each.key == key] == expected


def _sent(records: list[Outgoing], key: str) -> list[tuple[bytes, int, dict[str, str]]]:
    return [(value, timestamp_ms, dict(headers or {})) for name, value, timestamp_ms, headers in records if name == key]


def test_nothing_sent_together_is_acknowledged_at_once(bus: Bus) -> None:
    receipt = bus.sender.send_many(DEAD_LETTERS, [])
    receipt.wait(60)
    assert receipt.acknowledged


def test_a_new_reader_of_the_group_goes_on_from_the_committed_offset(bus: Bus) -> None:
    key = str(uuid.uuid4())
    for number in range(10):
        bus.sender.send(DEAD_LETTERS, key, b"%d" % number, timestamp_ms=1)
    bus.sender.flush(60)
    first = bus.reader(bus.group, [DEAD_LETTERS])
    seen = _read(first, 10, key)
    first.commit({(DEAD_LETTERS, seen[4].partition): seen[4].offset + 1})
    assert first.committed(DEAD_LETTERS, seen[4].partition) == seen[4].offset + 1
    again = _read(bus.reader(bus.group, [DEAD_LETTERS]), 5, key)
    assert [record.value for record in again] == [b"5", b"6", b"7", b"8", b"9"]


def test_committed_offsets_are_asked_for_together(bus: Bus) -> None:
    key = str(uuid.uuid4())
    bus.sender.send(DEAD_LETTERS, key, b"x", timestamp_ms=1).wait(60)
    reader = bus.reader(bus.group, [DEAD_LETTERS])
    partition = _read(reader, 1, key)[0].partition
    assert reader.committed_of(DEAD_LETTERS, [partition]) == {}
    reader.commit({(DEAD_LETTERS, partition): 1})
    assert reader.committed_of(DEAD_LETTERS, range(4)) == {partition: 1}


def test_a_reader_can_go_back(bus: Bus) -> None:
    key = str(uuid.uuid4())
    receipts = [bus.sender.send(DEAD_LETTERS, key, b"%d" % number, timestamp_ms=1) for number in range(3)]
    offsets = [receipt.wait(60) for receipt in receipts]
    reader = bus.reader(bus.group, [DEAD_LETTERS])
    seen = _read(reader, 3, key)
    assert [record.offset for record in seen] == offsets
    assert reader.end_offset(DEAD_LETTERS, seen[0].partition) == offsets[-1] + 1
    assert seen[0].partition == partition_of(key, reader.partitions(DEAD_LETTERS))
    reader.seek(DEAD_LETTERS, seen[0].partition, offsets[1])
    assert [record.value for record in _read(reader, 2, key)] == [b"1", b"2"]


def test_who_goes_back_where_it_does_not_read_is_told_so_as_of_a_broker_that_is_away(bus: Bus) -> None:
    reader = bus.reader(None, [DEAD_LETTERS])
    with pytest.raises(BusUnavailable, match=r"no\.such\.topic/7"):
        reader.seek("no.such.topic", 7, 1)


def test_a_moment_leads_to_the_first_record_that_is_not_older(bus: Bus) -> None:
    # A key that no other test has means a partition that they share: the moments lie far behind theirs.
    key, base = str(uuid.uuid4()), 4_000_000_000_000 + time.monotonic_ns() // 1_000
    moments = [base + 10, base + 40, base + 20, base + 60]
    offsets = [bus.sender.send(DEAD_LETTERS, key, b"x", timestamp_ms=at).wait(60) for at in moments]
    reader = bus.reader(bus.group, [DEAD_LETTERS])
    partition = _read(reader, 4, key)[0].partition
    found = [reader.offset_at(DEAD_LETTERS, partition, base + at) for at in (0, 20, 41, 60, 61)]
    assert found == [offsets[0], offsets[1], offsets[3], offsets[3], offsets[3] + 1]


def test_a_partition_that_pauses_returns_nothing_until_it_is_resumed(bus: Bus) -> None:
    key = str(uuid.uuid4())
    bus.sender.send(DEAD_LETTERS, key, b"a", timestamp_ms=1).wait(60)
    reader = bus.reader(bus.group, [DEAD_LETTERS])
    partition = _read(reader, 1, key)[0].partition
    reader.pause(DEAD_LETTERS, partition)
    bus.sender.send(DEAD_LETTERS, key, b"b", timestamp_ms=1).wait(60)
    assert [record for record in reader.poll(0.5) if record.key == key] == []
    reader.resume(DEAD_LETTERS, partition)
    assert [record.value for record in _read(reader, 1, key)] == [b"b"]


def test_a_partition_that_is_never_read_to_its_end_keeps_no_other_waiting(bus: Bus) -> None:
    topic = bus.own_topic()
    keys = {partition_of(key := str(number), PARTITIONS): key for number in range(100)}
    busy, others = keys.pop(0), set(keys.values())
    for key in (*[busy] * 3 * MAX_POLL_RECORDS, *others):
        bus.sender.send(topic, key, b"x", timestamp_ms=1)
    bus.sender.flush(60)
    reader = bus.reader(None, [topic])

    def all_have_come() -> bool:
        for record in reader.poll(0.5):
            others.discard(record.key)
            bus.sender.send(topic, busy, b"more", timestamp_ms=1)
        return not others

    wait_until(all_have_come, "a record of each partition")


def test_the_generation_never_falls_when_a_reader_is_replaced(bus: Bus) -> None:
    key = str(uuid.uuid4())
    bus.sender.send(DEAD_LETTERS, key, b"x", timestamp_ms=1).wait(60)
    first = bus.reader(bus.group, [DEAD_LETTERS])
    _read(first, 1, key)
    former = first.generation()
    second = bus.reader(bus.group, [DEAD_LETTERS])
    _read(second, 1, key)
    assert second.generation() >= former


def test_a_reader_that_wants_few_gets_those_and_knows_how_far_it_has_come(bus: Bus) -> None:
    topic, key = bus.own_topic(), str(uuid.uuid4())
    values = [b"number %d, %s" % (number, b"want me" if number % 50 == 0 else b"plain") for number in range(260)]
    sent: list[Outgoing] = [(key, value, 1, None) for value in values]
    for start in range(0, len(sent), 20):
        bus.sender.send_many(topic, sent[start : start + 20]).wait(60)
    reader = bus.reader(None, [topic], wanted=b"want")
    place = next(each for each in reader.assignment() if reader.end_offset(*each))
    found: list[Record] = []

    def is_read() -> bool:
        found.extend(reader.poll(0.2))
        return bool(reader.position(*place) == 260)

    wait_until(is_read, "all of it is read")
    assert [(each.offset, each.value) for each in found] == [(at, values[at]) for at in range(0, 260, 50)]
    assert reader.position(*place) == 260
    reader.seek(*place, 201)
    assert reader.position(*place) == 201
    assert reader.position("no.such.topic", 0) is None


def test_a_note_stands_beside_the_committed_offset_until_the_next_commit(bus: Bus) -> None:
    key = str(uuid.uuid4())
    bus.sender.send(DEAD_LETTERS, key, b"x", timestamp_ms=1).wait(60)
    reader = bus.reader(bus.group, [DEAD_LETTERS])
    place = (DEAD_LETTERS, _read(reader, 1, key)[0].partition)
    reader.commit({place: 1}, {place: "480123/0a7e"})
    assert reader.noted_of(DEAD_LETTERS, range(4)) == {place[1]: (1, "480123/0a7e")}
    reader.commit({place: 1})
    assert reader.noted_of(DEAD_LETTERS, range(4)) == {place[1]: (1, "")}
