"""A switch on a clock that the test moves, and a listener that keeps what it hears."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from local.switch.clock import ManualClock
from local.switch.core import Switch
from local.switch.dialplan import Dialplan
from local.switch.distributions import Fixed
from local.switch.events import Event
from local.switch.phones import Behaviour, PhoneBook
from local.switch.sounds import SoundLibrary
from local.switch.speech import Voices
from local.voices.clips import Clip, Speech

LINE = "4930100001"


class Tape:
    """Hears everything."""

    is_json = False

    def __init__(self) -> None:
        self.events: list[Event] = []

    def wants(self, _name: str, _subclass: str | None) -> bool:
        return True

    def put(self, event: Event) -> None:
        self.events.append(event)

    def names(self, leg: str) -> list[str]:
        return [event.name for event in self.events if event.header("Unique-ID") == leg]

    def last(self, name: str) -> Event:
        return next(event for event in reversed(self.events) if event.name == name)

    def count(self, name: str) -> int:
        return sum(1 for event in self.events if event.name == name)


def loud(level: int, seconds: float) -> np.ndarray:
    return np.full(int(seconds * 8000), level, dtype=np.int16)


@pytest.fixture
def speech() -> Speech:
    """Give two speakers who can be told apart by their loudness: 1000 says the first, 2000 the second."""
    clips = (Clip("first", loud(1000, 1.0), "one"), Clip("second", loud(2000, 1.0), "two"))
    return Speech(clips, loud(500, 2.0), "levels")


@pytest.fixture
def switch(speech: Speech) -> Iterator[Switch]:
    clock = ManualClock()
    dialplan = Dialplan(
        lines={LINE},
        extensions={"1200": [("answer", ""), ("park", "")], "1000": [("park", "")]},
    )
    built = Switch(
        clock,
        dialplan=dialplan,
        sounds=SoundLibrary(declared={"prompts/": 2.0, "ringmaster/": 2.0}),
        voices=Voices(speech),
        recordings=Path("/nonexistent"),
    )
    book = PhoneBook(built, random.Random(1), Behaviour(answer_seconds=Fixed(0.5)))
    book.add_agent("anna", "acme.example", Behaviour(answer_seconds=Fixed(1.0)), 40_000)
    built.directory = book
    built.globals["domain"] = "acme.example"
    yield built
    for leg in list(built.legs.values()):
        for recording in list(leg.recordings.values()):
            recording.abandon()


@pytest.fixture
def tape(switch: Switch) -> Tape:
    heard = Tape()
    switch.bus.attach(heard)
    return heard


def run(switch: Switch, command: str) -> str:
    """Run an api command that answers at once."""
    name, _, argument = command.partition(" ")
    result = switch.api.run(name, argument)
    assert isinstance(result, str)
    return result


def agent_leg(switch: Switch, leg: str = "agent-1", who: str = "user/anna") -> str:
    """Originate to an agent and move on until the leg is parked."""
    switch.api.run("originate", f"{{origination_uuid={leg},ignore_early_media=true}}{who} &park()")
    switch.scheduler.advance(1.5)
    assert switch.find(leg) is not None
    return leg
