"""A topic is read to its end, and then one is ready: also where retention has taken records away, or all of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus import follower as module
from services.shared.bus.backlog import Backlog
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.follower import Follower
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.testing.waiting import wait_until
from tests.contract.conftest import Bus

WAIT_SECONDS = 60.0
KEYS = [f"tenant-{number}" for number in range(40)]
"""So many that each partition has some."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)


def _send(bus: Bus, topic: str, values: range) -> None:
    for value in values:
        bus.sender.send(topic, KEYS[value % len(KEYS)], b"%d" % value, timestamp_ms=1 + value)
    bus.sender.flush(60)


def _ends(bus: Bus, topic: str) -> dict[tuple[str, int], int]:
    reader = bus.reader(None, [topic])
    return {place: reader.end_offset(*place) for place in reader.assignment()}


@contextmanager
def _running(follower: Follower) -> Iterator[None]:
    stopping = Flag()
    following = gevent.spawn(follower.run, stopping)
    yield
    stopping.set()
    following.get(timeout=WAIT_SECONDS)


def _current(follower: Follower) -> None:
    wait_until(follower.current.is_set, "all is read", WAIT_SECONDS)


def _follow(bus: Bus, topic: str) -> list[Record]:
    """Return what a follower has read when it says that it is current."""
    taken: list[Record] = []
    follower = Follower(lambda: bus.reader(None, [topic]), taken.append)
    with _running(follower):
        _current(follower)
        return list(taken)


def test_all_that_was_there_is_known_when_it_is_current_in_order_of_each_key(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(400))
    taken = _follow(bus, topic)
    assert sorted(int(each.value) for each in taken) == list(range(400))
    for number, key in enumerate(KEYS):
        assert [int(each.value) for each in taken if each.key == key] == list(range(number, 400, len(KEYS)))


def test_what_comes_later_is_taken_too(bus: Bus) -> None:
    topic, taken, fetches = bus.own_topic(), [], []
    follower = Follower(
        lambda: bus.reader(None, [topic]),
        lambda record: taken.append(int(record.value)),
        taken=lambda: fetches.append(len(taken)),
    )
    with _running(follower):
        _current(follower)
        _send(bus, topic, range(5))
        wait_until(lambda: fetches and fetches[-1] == 5, "the later ones are taken", WAIT_SECONDS)
    assert sorted(taken) == list(range(5))


def test_a_topic_that_nobody_has_written_into_is_read(bus: Bus) -> None:
    assert _follow(bus, bus.own_topic()) == []


def test_a_topic_is_read_from_what_is_left_of_it(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(120))
    for (_, partition), end in _ends(bus, topic).items():
        bus.forget(topic, partition, end - 2)
    taken = _follow(bus, topic)
    assert {(each.topic, each.partition): each.offset + 1 for each in taken} == _ends(bus, topic)
    assert len(taken) == 2 * len(_ends(bus, topic))


def test_a_topic_whose_records_have_all_passed_their_time_is_read(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(120))
    ends = _ends(bus, topic)
    assert all(ends.values())
    for (_, partition), end in ends.items():
        bus.forget(topic, partition, end)
    assert _follow(bus, topic) == []


def test_one_emptied_partition_does_not_hide_what_the_others_have(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(120))
    (_, emptied), end = next(iter(_ends(bus, topic).items()))
    bus.forget(topic, emptied, end)
    taken = _follow(bus, topic)
    assert len(taken) == 120 - end
    assert emptied not in {each.partition for each in taken}


def test_what_passes_its_time_while_it_is_read_is_not_waited_for(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(120))
    ends = _ends(bus, topic)
    backlog = Backlog(bus.reader(None, [topic]))
    for (_, partition), end in ends.items():
        bus.forget(topic, partition, end)
    assert not backlog.is_read

    def poll() -> bool:
        backlog.poll(0.1)
        return backlog.is_read

    wait_until(poll, "the emptied partitions are given up", WAIT_SECONDS)


def test_a_backlog_of_one_partition_does_not_wait_for_the_others(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(120))
    ends = _ends(bus, topic)
    reader = bus.reader(None, [topic])
    place = next(iter(ends))
    for other in ends:
        if other != place:
            reader.pause(*other)
    backlog, found = Backlog(reader, [place]), []
    while not backlog.is_read:
        found += backlog.poll(0.1)
    assert [each.offset for each in found] == list(range(ends[place]))


def test_a_backlog_of_which_nothing_is_wanted_is_read(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(120))
    backlog = Backlog(bus.reader(None, [topic], wanted=b"nobody sends this"))
    while not backlog.is_read:
        assert backlog.poll(0.1) == []


def test_what_was_read_before_is_not_waited_for(bus: Bus) -> None:
    topic = bus.own_topic()
    _send(bus, topic, range(120))
    reader, positions = bus.reader(None, [topic]), dict[tuple[str, int], int]()
    first, later = Backlog(reader, positions=positions), list[Record]()
    while not first.is_read:
        positions |= {(each.topic, each.partition): each.offset + 1 for each in first.poll(0.1)}
    assert Backlog(reader, positions=positions).is_read
    _send(bus, topic, range(120, 125))
    again = Backlog(reader, positions=positions)
    while not again.is_read:
        later += again.poll(0.1)
    assert sorted(int(each.value) for each in later) == list(range(120, 125))


def test_a_record_that_cannot_be_read_is_told_and_passed_over(bus: Bus) -> None:
    topic, taken, told = bus.own_topic(), [], []
    _send(bus, topic, range(10))

    def take(record: Record) -> None:
        if record.value == b"3":
            raise DecodeError
        taken.append(int(record.value))

    follower = Follower(
        lambda: bus.reader(None, [topic]), take, unreadable=lambda record: told.append(int(record.value))
    )
    with _running(follower):
        _current(follower)
    assert (sorted(taken), told) == ([0, 1, 2, *range(4, 10)], [3])


class Failing:
    """A reader that fails at each call of a kind as often as was asked."""

    def __init__(self, reader: Reader, failures: dict[str, int]) -> None:
        self._reader = reader
        self._failures = failures

    def __getattr__(self, name: str) -> Callable[..., object]:
        if self._failures.get(name, 0) > 0:
            self._failures[name] -= 1
            raise BusUnavailable(f"{name} is not answered")
        return getattr(self._reader, name)  # type: ignore[no-any-return]


def test_a_broker_that_is_away_is_asked_again_and_nothing_is_read_twice(bus: Bus) -> None:
    topic, taken, connections = bus.own_topic(), [], [0]
    _send(bus, topic, range(250))
    failures = {"end_offset": 1, "offset_at": 1, "poll": 0}

    def connect() -> Reader:
        connections[0] += 1
        if connections[0] < 3:
            raise BusUnavailable("nobody listens")
        return Failing(bus.reader(None, [topic]), failures)  # type: ignore[return-value]

    def take(record: Record) -> None:
        taken.append(int(record.value))
        if len(taken) in {1, 120}:
            failures["poll"] = 2

    follower = Follower(connect, take, pause_seconds=0.01)
    assert follower.trouble
    with _running(follower):
        _current(follower)
        wait_until(lambda: not follower.trouble, "the trouble is over", WAIT_SECONDS)
    assert sorted(taken) == list(range(250))
    assert connections[0] == 3
