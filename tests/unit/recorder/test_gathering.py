import gevent
import pytest
from gevent.event import Event
from gevent.pool import Pool

from services.recorder.adapters.gathering import Gathered
from services.recorder.errors import DocumentsFailed, Hostile, RecorderError


class Distant:
    """A store that answers each batch when it may, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = Event()
        self.is_away = False

    def ask_all(self, questions: list[int]) -> list[int | RecorderError]:
        self.asked.append(questions)
        self.may_answer.wait()
        if self.is_away:
            raise DocumentsFailed("away")
        return [Hostile("thirteen") if each == 13 else each * 2 for each in questions]


def test_what_is_asked_while_an_answer_is_awaited_goes_together_and_each_gets_its_own() -> None:
    distant = Distant()
    gathered: Gathered[int, int] = Gathered(distant.ask_all, most=3)
    asking = [gevent.spawn(gathered.ask, number) for number in range(6)]
    gevent.idle()
    distant.may_answer.set()
    assert [each.get(timeout=60) for each in asking] == [number * 2 for number in range(6)]
    assert [one for batch in distant.asked for one in batch] == list(range(6))
    assert len(distant.asked) < 6
    assert max(map(len, distant.asked)) <= 3
    assert gathered.ask(50) == 100


def test_one_bad_question_fails_alone_and_an_absent_store_fails_all() -> None:
    distant = Distant()
    distant.may_answer.set()
    gathered: Gathered[int, int] = Gathered(distant.ask_all)

    def outcome(number: int) -> object:
        try:
            return gathered.ask(number)
        except RecorderError as error:
            return str(error)

    assert Pool(3).map(outcome, [1, 13, 2]) == [2, "thirteen", 4]
    distant.is_away = True
    assert Pool(3).map(outcome, [1, 2, 3]) == ["away"] * 3
    distant.is_away = False
    with pytest.raises(Hostile):
        gathered.ask(13)
