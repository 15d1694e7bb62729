"""A stretch of a partition comes whole and in order; what retention took of it is not waited for."""

import pytest

from services.shared.bus import stretch as module
from services.shared.bus.stretch import read_stretch, reading_only
from tests.contract.conftest import Bus

Place = tuple[str, int]
RECORDS = 120


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.1)


@pytest.fixture
def place(bus: Bus) -> Place:
    """One partition with records, among others that have some too."""
    topic = bus.own_topic()
    for number in range(RECORDS):
        bus.sender.send(topic, f"tenant-{number % 40}", b"%d" % number, timestamp_ms=1 + number)
    bus.sender.flush(10)
    reader = bus.reader(None, [topic])
    found = max(reader.assignment(), key=lambda each: reader.end_offset(*each))
    assert reader.end_offset(*found) > 4
    return found


def offsets(bus: Bus, place: Place, start: int, end: int) -> list[int]:
    with reading_only(bus.reader(None, [place[0]]), place) as reader:
        return [record.offset for record in read_stretch(reader, place, start, end)]


def end_of(bus: Bus, place: Place) -> int:
    with reading_only(bus.reader(None, [place[0]]), place) as reader:
        return reader.end_offset(*place)


def test_it_comes_whole_in_order_and_of_this_partition_alone(bus: Bus, place: Place) -> None:
    end = end_of(bus, place)
    assert offsets(bus, place, 0, end) == list(range(end))
    assert offsets(bus, place, 2, end - 1) == list(range(2, end - 1))
    assert offsets(bus, place, end, end) == []


def test_what_comes_later_is_left_out(bus: Bus, place: Place) -> None:
    end = end_of(bus, place)
    with reading_only(bus.reader(None, [place[0]]), place) as reader:
        found = read_stretch(reader, place, 0, end)
        first = next(found)
        for number in range(40):
            bus.sender.send(place[0], f"tenant-{number}", b"late", timestamp_ms=10_000)
        bus.sender.flush(10)
        assert [first.offset, *(record.offset for record in found)] == list(range(end))


@pytest.mark.parametrize("left", [0, 2])
def test_what_has_passed_its_time_is_not_waited_for(bus: Bus, place: Place, left: int) -> None:
    end = end_of(bus, place)
    bus.forget(*place, end - left)
    assert offsets(bus, place, 0, end) == list(range(end - left, end))
    assert offsets(bus, place, 0, end - left) == []
