"""What a reader commits while its partitions are taken away, on a true broker: its successor goes on behind it."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DEAD_LETTERS
from services.shared.testing.waiting import wait_until

pytestmark = pytest.mark.kafka
Place = tuple[str, int]


class Reading:
    """A reader that commits what it has read when its partitions go, and never else."""

    def __init__(self, bootstrap: str, group: str, name: str, *, keeps_partitions: bool = False) -> None:
        self.done: dict[Place, int] = {}
        self.seen: list[str] = []
        self.taken: list[Place] = []
        self.consumer = Consumer(
            bootstrap, group, [DEAD_LETTERS], name, keeps_partitions=keeps_partitions, on_revoked=self._revoked
        )

    def _revoked(self, places: object) -> None:
        self.taken += places  # type: ignore[arg-type]  # a list of places
        self.consumer.commit(self.done)
        self.done = {}

    def read(self, run: str) -> None:
        """Look once."""
        for record in self.consumer.poll(0.25):
            self.done[record.topic, record.partition] = record.offset + 1
            self.seen += [record.value.decode()] if record.key.startswith(run) else []


def look_until(condition: Callable[[], bool], *looks: Callable[[], None]) -> None:
    def is_true() -> bool:
        for look in looks:
            look()
        return condition()

    wait_until(is_true, "the condition")


@pytest.fixture
def run() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def send(kafka_bootstrap: str, run: str) -> Iterator[Callable[[range], None]]:
    producer = Producer(kafka_bootstrap, f"test-{run}")

    def some(numbers: range) -> None:
        for number in numbers:
            producer.send(DEAD_LETTERS, f"{run}-{number}", str(number).encode(), timestamp_ms=1)
        producer.flush(60)

    yield some
    producer.close()


def test_what_is_committed_when_another_reader_comes_is_not_read_again(
    kafka_bootstrap: str, run: str, send: Callable[[range], None]
) -> None:
    first = Reading(kafka_bootstrap, run, f"{run}-a")
    send(range(40))
    look_until(lambda: len(first.seen) == 40, lambda: first.read(run))
    second = Reading(kafka_bootstrap, run, f"{run}-b")
    both = [lambda: first.read(run), lambda: second.read(run)]
    look_until(lambda: bool(first.taken) and bool(second.consumer.assignment()), *both)
    send(range(40, 80))
    look_until(lambda: len(first.seen) + len(second.seen) >= 80, *both)
    assert sorted(map(int, first.seen + second.seen)) == list(range(80))
    first.consumer.close()
    second.consumer.close()


def test_what_a_reader_with_state_gives_up_is_nobodys_until_it_polls_again(
    kafka_bootstrap: str, run: str, send: Callable[[range], None]
) -> None:
    """So a router writes its snapshot in between, and whoever gets the partition begins behind it."""
    first = Reading(kafka_bootstrap, run, f"{run}-a", keeps_partitions=True)
    send(range(40))
    look_until(lambda: len(first.seen) == 40, lambda: first.read(run))
    second = Reading(kafka_bootstrap, run, f"{run}-b", keeps_partitions=True)
    look_until(lambda: bool(first.taken), lambda: first.read(run), lambda: second.read(run))
    for _ in range(8):
        second.read(run)
    assert second.consumer.assignment() == []
    first.consumer.commit(dict.fromkeys(first.taken, 7))
    look_until(lambda: bool(second.consumer.assignment()), lambda: first.read(run), lambda: second.read(run))
    assert {second.consumer.committed(*place) for place in second.consumer.assignment()} == {7}
    first.consumer.close()
    second.consumer.close()


def test_a_reader_that_was_put_out_of_its_group_reads_on(
    kafka_bootstrap: str, run: str, send: Callable[[range], None]
) -> None:
    """It stood still for longer than its session: what it had not committed comes again, and everything after it."""
    reading = Reading(kafka_bootstrap, run, f"{run}-a")
    send(range(20))
    look_until(lambda: len(reading.seen) == 20, lambda: reading.read(run))
    reading.consumer._kafka._coordinator.reset_generation()
    send(range(20, 40))
    look_until(lambda: len(set(reading.seen)) == 40, lambda: reading.read(run))
    assert reading.taken
    assert sorted({*map(int, reading.seen)}) == list(range(40))
    reading.consumer.close()
