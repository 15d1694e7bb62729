"""Questions and answers over the log: one record asks, another one answers it, told apart by an id."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import structlog
from gevent import Timeout
from gevent.event import AsyncResult, Event

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader, Sender
from services.shared.bus.record import Record

POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0
MAX_WAITING: Final = 2_000

log = structlog.get_logger()
A = TypeVar("A")


class TooManyWaiting(Exception):
    """More questions wait for their answers than this process will hold. The API answers 503; try again."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[A]):
    """What a question brought: its answer, or none yet; whether the broker has the question for certain."""

    answer: A | None
    is_logged: bool


class Asking(Generic[A]):
    """Writes questions and waits for their answers, which all processes that ask read for themselves.

    `read` returns the id of a question and its answer, None for a record that can't be read.
    """

    def __init__(self, sender: Sender, answers: Reader, read: Callable[[Record], tuple[str, A] | None]) -> None:
        self._sender = sender
        self._answers = answers
        self._read = read
        self._waiting: dict[tuple[str, str], list[Any]] = {}
        self._waiters = 0
        """More than there are ids: the same question may be asked many times at once."""
        self.is_listening = False

    def ask(
        self, topic: str, key: str, question_id: str, value: bytes, *, timestamp_ms: int, seconds: float
    ) -> Answered[A]:
        """Write a question and wait so long for its answer. Raises BusUnavailable, TooManyWaiting."""
        if self._waiters >= MAX_WAITING:
            raise TooManyWaiting(f"{self._waiters} requests wait already")
        place, answer = (key, question_id), AsyncResult()
        self._waiting.setdefault(place, []).append(answer)
        self._waiters += 1
        try:
            receipt = self._sender.send(topic, key, value, timestamp_ms=timestamp_ms)
            try:
                return Answered(answer.get(timeout=seconds), is_logged=True)
            except Timeout:
                return Answered(None, is_logged=receipt.acknowledged)
        finally:
            self._forget(place, answer)

    def listen(self, stopping: Event) -> None:
        """Take answers until stopped and nobody waits for one. Old ones are nobody's: it begins with the next."""
        while not self._is_over(stopping):
            try:
                self._start_at_the_end()
                while not self._is_over(stopping):
                    for record in self._answers.poll(POLL_SECONDS):
                        self._take(record)
            except BusUnavailable as error:
                log.warning("answers_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)

    def _is_over(self, stopping: Event) -> bool:
        """Who has asked before the stop waits a bounded time, so this ends."""
        return stopping.is_set() and not self._waiting

    def _start_at_the_end(self) -> None:
        if not self.is_listening:
            for place in self._answers.assignment():
                self._answers.seek(*place, self._answers.end_offset(*place))
            self.is_listening = True

    def _take(self, record: Record) -> None:
        found = self._read(record)
        if found is not None:
            for waiting in self._waiting.get((record.key, found[0]), ()):
                waiting.set(found[1])

    def _forget(self, place: tuple[str, str], answer: Any) -> None:
        self._waiters -= 1
        self._waiting[place].remove(answer)
        if not self._waiting[place]:
            del self._waiting[place]
