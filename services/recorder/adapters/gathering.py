"""Questions of many greenlets to a distant store, asked as few: those that come during an answer go together."""

from collections.abc import Callable
from typing import Generic, TypeVar

import gevent
from gevent.event import AsyncResult

from services.recorder.errors import RecorderError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Gathered(Generic[Asked, Answer]):
    """Asks at once when nothing is under way, so nobody waits for company."""

    def __init__(self, ask_all: Callable[[list[Asked]], list[Answer | RecorderError]], most: int = 100) -> None:
        """`ask_all` gives each of at most `most` questions its answer or error; what it raises is raised for all."""
        self._ask_all = ask_all
        self._most = most
        self._waiting: list[tuple[Asked, AsyncResult]] = []
        self._is_asking = False

    def ask(self, question: Asked) -> Answer:
        """Return the answer. Raises what `ask_all` raised or gave for it."""
        result = AsyncResult()
        self._waiting.append((question, result))
        if not self._is_asking:
            self._is_asking = True
            gevent.spawn(self._serve)
        answer: Answer | RecorderError = result.get()
        if isinstance(answer, RecorderError):
            raise answer
        return answer

    def _serve(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = self._ask_all([question for question, _ in batch])
            except Exception as error:  # noqa: BLE001 - each of those who wait raises it where it has an owner
                for _, result in batch:
                    result.set_exception(error)
                continue
            for (_, result), answer in zip(batch, answers, strict=True):
                result.set(answer)
        self._is_asking = False
