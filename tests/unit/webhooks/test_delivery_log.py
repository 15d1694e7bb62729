"""The log rests where the store is slow, and asks of it what it can take in its time."""

from collections.abc import Mapping

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
from services.webhooks.domain.journal import Figures
from services.webhooks.domain.outcome import Attempt
from services.webhooks.waiting import StoreUnavailable
from tests.integration.webhooks.harness import MemoryLogStore


def waiting(number: int) -> Delivery:
    return Delivery(delivery_id=f"d{number}", tenant_id="acme", endpoint_id="crm", due_ms=1)


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
        def append(self, entries: list[LogEntry]) -> None:
            if len(entries) > 100:
                raise StoreUnavailable("too slow")
            super().append(entries)

    store = Overtaxed()
    delivery_log = DeliveryLog(store)
    for number in range(1_000):
        delivery_log.write(waiting(number), None, "dead", 1)
    looks = 0
    while not delivery_log.flush():
        looks += 1
    assert looks <= 20
    assert [one.delivery_id for one in store.entries] == [f"d{number}" for number in range(1_000)]


def test_figures_are_kept_while_the_store_does_not_take_them_and_count_once() -> None:
    class Away(MemoryLogStore):
        is_away = True

        def count(self, figures: Mapping[Minute, Figures]) -> None:
            if self.is_away:
                raise StoreUnavailable("away")
            super().count(figures)

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
