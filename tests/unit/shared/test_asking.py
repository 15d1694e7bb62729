"""Questions over the log: each gets its own answer, and the wait for it is bounded in time and in number."""

from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from services.shared.bus import asking as module
from services.shared.bus.asking import Answered, Asking, TooManyWaiting
from services.shared.bus.record import Record
from services.shared.testing.memory_bus import MemoryBus
from services.shared.testing.waiting import wait_until

QUESTIONS, ANSWERS = "test.questions", "test.answers"


def _read(record: Record) -> tuple[str, str] | None:
    if b"=" not in record.value:
        return None
    question_id, _, answer = record.value.decode().partition("=")
    return question_id, answer


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def asking(bus: MemoryBus) -> Iterator[Asking[str]]:
    answers = bus.producer()
    answers.send(ANSWERS, "acme", b"q1=of another time", timestamp_ms=1)
    asking = Asking(bus.producer(), bus.consumer(None, [ANSWERS]), _read)
    stopping = Event()
    listening = gevent.spawn(asking.listen, stopping)
    wait_until(lambda: asking.is_listening, "who listens")
    yield asking
    stopping.set()
    listening.get(timeout=10)


def _asked(
    asking: Asking[str], question_id: str, key: str = "acme", seconds: float = 20.0
) -> "gevent.Greenlet[..., Answered[str]]":
    return gevent.spawn(asking.ask, QUESTIONS, key, question_id, b"?", timestamp_ms=1, seconds=seconds)


def test_each_question_gets_its_own_answer_also_where_it_is_asked_twice_and_what_cannot_be_read_is_nobodys(
    bus: MemoryBus, asking: Asking[str]
) -> None:
    both = [_asked(asking, "q1"), _asked(asking, "q1")]
    other, of_another = _asked(asking, "q2"), _asked(asking, "q1", key="borealis", seconds=0.05)
    wait_until(lambda: len(bus.records(QUESTIONS)) == 4, "the questions")
    for value in (b"unreadable", b"q2=two", b"q1=one", b"q9=nobody's"):
        bus.producer().send(ANSWERS, "acme", value, timestamp_ms=1)
    assert [each.get(timeout=20) for each in both] == [Answered("one", is_logged=True)] * 2
    assert other.get(timeout=20) == Answered("two", is_logged=True)
    assert of_another.get(timeout=20) == Answered(None, is_logged=True)


def test_so_many_wait_at_most_whatever_their_ids(
    bus: MemoryBus, asking: Asking[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    waiting = [_asked(asking, "same") for _ in range(3)]
    wait_until(lambda: len(bus.records(QUESTIONS)) == 3, "the questions")
    with pytest.raises(TooManyWaiting):
        asking.ask(QUESTIONS, "acme", "same", b"?", timestamp_ms=1, seconds=0.0)
    bus.producer().send(ANSWERS, "acme", b"same=yes", timestamp_ms=1)
    assert [each.get(timeout=20).answer for each in waiting] == ["yes"] * 3
    assert asking.ask(QUESTIONS, "acme", "same", b"?", timestamp_ms=1, seconds=0.01) == Answered(None, is_logged=True)
