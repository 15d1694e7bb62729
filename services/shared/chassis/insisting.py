"""Asks something that is away again until it answers: stores and brokers come back, and nothing is lost by waiting."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from gevent.event import Event

Answer = TypeVar("Answer")
JITTER = 0.2
"""Each pause is spread by this share, half before and half after: processes that lost a store ask it apart again."""

log = structlog.get_logger()


class Stopped(Exception):
    """The service stops before there was an answer."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Between one try and the next, seconds: each pause is twice as long as the one before it, up to the longest."""

    first: float = 0.25
    longest: float = 2.0


def insist(
    ask: Callable[[], Answer],
    away: type[Exception] | tuple[type[Exception], ...],
    stopping: Event,
    trouble: str,
    *,
    missed: Callable[[], None] | None = None,
    pauses: Pauses = Pauses(),
    chance: Callable[[], float] = random.random,
) -> Answer:
    """Return what `ask` returns; while it raises `away` it is asked again. Raises Stopped.

    `trouble` is logged with each new reason, not with each try, and `missed` is called after every one. What comes
    after a stop is asked once all the same.
    """
    pause, said = pauses.first, ""
    while True:
        try:
            answer = ask()
        except away as error:
            if missed is not None:
                missed()
            if str(error) != said:
                said = str(error)
                log.warning(trouble, reason=said, advice="it is asked again")
            if stopping.wait(pause * (1 - JITTER / 2 + JITTER * chance())):
                raise Stopped(said) from error
            pause = min(2 * pause, pauses.longest)
        else:
            if said:
                log.info("answers_again", after=trouble)
            return answer
