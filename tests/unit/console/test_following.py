from collections.abc import Mapping

import gevent
from gevent.event import Event as Flag

from services.console.following import Follower
from services.shared.bus.record import Record
from services.shared.testing.waiting import wait_until

TOPIC = "ringmaster.calls"


class Log:
    """A partition of which only the records from `begin` on are still there."""

    def __init__(self, begin: int, end: int) -> None:
        self._next, self._begin, self._end = begin, begin, end

    def assignment(self) -> list[tuple[str, int]]:
        return [(TOPIC, 0)]

    def end_offset(self, topic: str, partition: int) -> int:
        return self._end

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        return self._begin

    def poll(self, timeout_seconds: float) -> list[Record]:
        gevent.sleep(0.001)
        if self._next == self._end:
            return []
        self._next += 1
        return [Record(TOPIC, 0, self._next - 1, 1, "acme", b"", {})]

    def commit(self, positions: Mapping[tuple[str, int], int]) -> None: ...
    def seek(self, topic: str, partition: int, offset: int) -> None: ...
    def committed(self, topic: str, partition: int) -> int | None: ...
    def pause(self, topic: str, partition: int) -> None: ...
    def resume(self, topic: str, partition: int) -> None: ...
    def generation(self) -> int:
        return 1

    def close(self) -> None: ...


def _read_to_the_end(log: Log) -> list[int]:
    taken: list[int] = []
    follower, stopping = Follower(log, lambda record: taken.append(record.offset)), Flag()
    following = gevent.spawn(follower.run, stopping)
    wait_until(lambda: follower.is_current, "all is read", 5)
    stopping.set()
    following.get(timeout=5)
    return taken


def test_a_topic_is_read_from_what_is_left_of_it() -> None:
    assert _read_to_the_end(Log(3, 6)) == [3, 4, 5]


def test_a_topic_whose_records_have_all_passed_their_time_is_read() -> None:
    assert _read_to_the_end(Log(6, 6)) == []


def test_an_empty_topic_is_read() -> None:
    assert _read_to_the_end(Log(0, 0)) == []
