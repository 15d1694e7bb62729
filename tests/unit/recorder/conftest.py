from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.recorder.domain.backoff import Stillness
from services.recorder.domain.location import Location, location_of
from services.recorder.domain.progress import Step
from services.recorder.ports import World
from services.recorder.storing import Limits, Outcome, Storing
from services.shared.chassis.clock import Clock
from tests.unit.recorder.fakes import MemoryAnnouncements, MemoryDocuments, MemoryStore, OnePolicy

PLACE = location_of("acme/call-1/rec-1.wav")


@dataclass
class Node:
    """A node's folder with stores in memory around it."""

    root: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    announcements: MemoryAnnouncements = field(default_factory=MemoryAnnouncements)
    policies: OnePolicy = field(default_factory=OnePolicy)
    clock: Clock = field(default_factory=Clock)
    settle_seconds: float = 0.0
    encryption: str = ""
    max_bytes: int = 64 * 1024 * 1024

    def storing(self, on_step: Callable[[Step, float], None] = lambda _step, _seconds: None) -> Storing:
        """Return a recorder as a fresh process has it."""
        limits = Limits(self.settle_seconds, self.max_bytes, "fs-1", self.encryption)
        return Storing(
            self.root,
            World(self.store, self.documents, self.announcements, self.policies),
            self.clock,
            limits,
            Stillness(),
            on_step,
        )

    def put(self, content: bytes, place: Location = PLACE) -> Path:
        """Write a file as FreeSWITCH would."""
        path = self.root / place.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def store_it(self, place: Location = PLACE) -> Outcome:
        """Try one recording in a fresh process."""
        return self.storing().store(place)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)
