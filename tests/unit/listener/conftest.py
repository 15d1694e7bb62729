import lzma
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from services.listener.domain.directory import Directory, TenantEntry
from services.listener.domain.facts import FactBuilder
from services.listener.domain.legs import LegTable
from services.listener.domain.normaliser import Normaliser
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import SwitchFact
from services.shared.esl.decoder import Decoder, Event, PlainEvent

FIXTURES = Path(__file__).parents[2] / "fixtures" / "esl"


def captured(run: str) -> list[Event]:
    """Every event of a captured run of a real FreeSWITCH."""
    frames = Decoder().feed(lzma.decompress((FIXTURES / f"{run}.esl.xz").read_bytes()))
    return [frame for frame in frames if isinstance(frame, Event)]


@dataclass
class World:
    """A normaliser of one node, whose tenant `acme` has the lines of the captures (1000, 1200 …)."""

    root: str = "/usr/freeswitch/recordings"
    directory: Directory = field(default_factory=Directory)
    legs: LegTable = field(default_factory=LegTable)
    facts: FactBuilder = field(default_factory=lambda: FactBuilder("node-1"))
    unknown_lines: int = 0

    def __post_init__(self) -> None:
        self.directory.put(TenantEntry("acme", 1, ("+1000", "+1100", "+1200"), "acme.example", "uk"))
        self.normaliser = Normaliser(self.facts, self.directory, self.legs, self.root, self._unknown)

    def _unknown(self) -> None:
        self.unknown_lines += 1

    def feed(self, events: Iterable[Event]) -> list[Input]:
        return [told for event in events for told in self.normaliser.inputs(event)]


def facts_of(told: Iterable[Input], leg_id: str) -> list[SwitchFact]:
    return [each.fact for each in told if each.fact.leg_id == leg_id]


def kinds_of(told: Iterable[Input], leg_id: str) -> list[str]:
    return [fact.WhichOneof("fact") or "" for fact in facts_of(told, leg_id)]


@pytest.fixture
def world() -> World:
    return World()


def plain(name: str, **headers: str) -> Event:
    """Make an event as FreeSWITCH writes it: one percent-encoded line a header; `__` stands for a hyphen."""
    lines = {"Event-Name": name, **{key.replace("__", "-"): value for key, value in headers.items()}}
    text = "".join(f"{key}: {quote(value, safe='')}\n" for key, value in lines.items())
    return PlainEvent(b"\n" + text.encode() + b"\n")
