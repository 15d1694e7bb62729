"""The log rests where the store is slow, asks of it what it can take in its time, and says nothing twice."""

from collections import Counter
from collections.abc import Callable, Mapping

from gevent.event import Event as Flag
from hypothesis import given
from hypothesis import strategies as st

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.delivery_log import (
    BATCH,
    FLUSH_SECONDS,
    LONGEST_REST_SECONDS,
    REST,
    DeliveryLog,
    LogEntry,
    Minute,
)
from services.webhooks.domain.journal import MINUTE_MS, Figures
from services.webhooks.domain.outcome import Attempt
from services.webhooks.waiting import StoreUnavailable
from tests.integration.webhooks.harness import MemoryLogStore


def waiting(number: int, endpoint_id: str = "crm") -> Delivery:
    return Delivery(delivery_id=f"d{number}", tenant_id="acme", endpoint_id=endpoint_id, due_ms=1)


def test_a_store_that_is_slow_is_left_alone_by_the_log_but_where_much_waits() -> None:
    delivery_log = DeliveryLog(MemoryLogStore())
    assert [delivery_log.rest_after(seconds) for seconds in (0.01, 1.0, 60.0)] == [
        FLUSH_SECONDS,
        REST,
        LONGEST_REST_SECONDS,
    ]
    for number in range(BATCH):
        delivery_log.write(waiting(number), None, "dead", 1)
    assert delivery_log.rest_after(60.0) == FLUSH_SECONDS


def test_what_the_store_could_not_take_in_its_time_is_given_to_it_in_smaller_pieces() -> None:
    class Overtaxed(MemoryLogStore):
        def append(self, entries: list[LogEntry], *, again: bool = False) -> None:
            if len(entries) > 100:
                raise StoreUnavailable("too slow")
            super().append(entries, again=again)

        def count(self, figures: Mapping[Minute, Figures], write: str) -> None:
            if len(figures) > 100:
                raise StoreUnavailable("too slow")
            super().count(figures, write)

    store = Overtaxed()
    delivery_log = DeliveryLog(store)
    for number in range(1_000):
        delivery_log.write(waiting(number, f"endpoint {number}"), Attempt(200, 3), "delivered", 1)
    looks = 0
    while not delivery_log.flush():
        looks += 1
    assert looks <= 20
    # Each piece is a look, and nearly each is followed by one that asks for too much again.
    pieces = 0
    while len(store.minutes) < 1_000:
        delivery_log.count()
        pieces += 1
    assert pieces <= 40
    assert [one.delivery_id for one in store.entries] == [f"d{number}" for number in range(1_000)]
    assert {figures.delivered for figures in store.minutes.values()} == {1}


def test_figures_do_not_wait_for_a_log_that_grows_as_fast_as_it_is_written() -> None:
    class Busy(MemoryLogStore):
        def append(self, entries: list[LogEntry], *, again: bool = False) -> None:
            super().append(entries, again=again)
            assert len(self.entries) < 10 * BATCH, "the log was flushed without end"
            for number in range(len(entries)):
                delivery_log.write(waiting(number), Attempt(200, 3), "delivered", 1)

    delivery_log = DeliveryLog(Busy())
    delivery_log.write(waiting(1), Attempt(200, 3), "delivered", 1)
    assert delivery_log.flush()


def test_figures_are_kept_while_the_store_does_not_take_them_and_count_once() -> None:
    class Away(MemoryLogStore):
        is_away = True

        def count(self, figures: Mapping[Minute, Figures], write: str) -> None:
            if self.is_away:
                raise StoreUnavailable("away")
            super().count(figures, write)

    store = Away()
    delivery_log = DeliveryLog(store)
    for number in range(3):
        delivery_log.write(waiting(number), Attempt(200, 3), "delivered", 60_001)
        assert delivery_log.flush()
        assert not delivery_log.count()
    store.is_away = False
    delivery_log.write(waiting(3), Attempt(500, 3), "waiting", 119_999)
    assert delivery_log.flush()
    assert delivery_log.count()
    assert delivery_log.count()
    (counted,) = store.minutes.items()
    assert counted[0] == ("acme", "crm", 60_000)
    assert (counted[1].delivered, counted[1].failed) == (3, 1)


def test_figures_of_many_endpoints_are_written_in_pieces_and_all_of_them_at_the_end() -> None:
    store = MemoryLogStore()
    delivery_log = DeliveryLog(store)
    for number in range(3 * BATCH):
        delivery_log.write(waiting(number, f"endpoint {number}"), Attempt(200, 3), "delivered", 1)
    assert delivery_log.flush()
    assert delivery_log.count()
    assert [endpoint for _, endpoint, _ in store.minutes] == [f"endpoint {number}" for number in range(BATCH)]
    stopping = Flag()
    stopping.set()
    delivery_log.run(stopping)
    assert len(store.minutes) == 3 * BATCH


class Moody(MemoryLogStore):
    """Takes what it is given, refuses it, or takes it and breaks before it says so."""

    def __init__(self, moods: list[str]) -> None:
        super().__init__()
        self._moods = moods

    def append(self, entries: list[LogEntry], *, again: bool = False) -> None:
        self._moodily(lambda: super(Moody, self).append(entries, again=again))

    def count(self, figures: Mapping[Minute, Figures], write: str) -> None:
        self._moodily(lambda: super(Moody, self).count(figures, write))

    def _moodily(self, take: Callable[[], None]) -> None:
        mood = self._moods.pop() if self._moods else "takes"
        if mood != "refuses":
            take()
        if mood != "takes":
            raise StoreUnavailable(mood)


@given(
    tries=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), max_size=120),
    moods=st.lists(st.sampled_from(["takes", "refuses", "breaks"]), max_size=40),
    steps=st.lists(st.sampled_from(["write", "flush", "count"]), max_size=120),
)
def test_each_try_is_told_and_counted_once_whatever_the_store_says_and_does(
    tries: list[tuple[int, int]], moods: list[str], steps: list[str]
) -> None:
    store = Moody(moods)
    delivery_log = DeliveryLog(store)
    delivery_log._entries_at_once.size = delivery_log._figures_at_once.size = 30
    written = 0
    for step in [*steps, *["write"] * len(tries)]:
        if step == "flush":
            delivery_log.flush()
        elif step == "count":
            delivery_log.count()
        elif written < len(tries):
            endpoint, minute = tries[written]
            delivery_log.write(
                waiting(written, f"endpoint {endpoint}"), Attempt(200, 3), "delivered", minute * MINUTE_MS
            )
            written += 1
    while not delivery_log.flush():
        pass
    # A mood a look at most, then a look for each piece.
    for _ in range(len(moods) + len(tries)):
        delivery_log.count()
    assert [one.delivery_id for one in store.entries] == [f"d{number}" for number in range(len(tries))]
    expected = Counter(("acme", f"endpoint {endpoint}", minute * MINUTE_MS) for endpoint, minute in tries)
    assert {place: figures.delivered for place, figures in store.minutes.items()} == expected
