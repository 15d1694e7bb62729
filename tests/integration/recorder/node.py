"""A folder of recordings as a switch leaves it, the stores around it, and what a right recorder makes of both."""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.integration.recorder.nursery import Nursery, Pass
from tests.unit.recorder.sounds import cut, sound, wav

PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes."""


@dataclass
class Node:
    """A folder of recordings, the stores around it, and what a right recorder must make of it."""

    root: Path
    objects: Objects
    documents_uri: str
    nursery: Nursery
    wanted: dict[str, bytes] = field(default_factory=dict)

    @property
    def announcements(self) -> Path:
        return self.root.parent / "announcements"

    def add(self, name: str, content: bytes, wanted: bytes) -> None:
        path = self.root / "acme" / "call-1" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.wanted[name] = wanted

    def start(self, **more: object) -> Pass:
        given = {
            "root": str(self.root),
            "endpoint": self.objects.endpoint,
            "bucket": self.objects.bucket,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "mongodb_uri": self.documents_uri,
            "announcements": str(self.announcements),
            "part_bytes": PART_BYTES,
            **more,
        }
        return self.nursery.start("one_pass", given)

    def run(self, **more: object) -> tuple[int, list[str]]:
        return self.nursery.end(self.start(**more))

    def stored(self) -> dict[str, bytes]:
        return {key.rsplit("/", 1)[1].removesuffix(".wav"): body for key, body in self.objects.contents().items()}

    def on_disk(self) -> set[str]:
        return {path.stem for path in self.root.rglob("*.wav")}

    def check_nothing_is_lost(self) -> None:
        """Expect that what is not on the disk any more is whole in the store and was announced."""
        stored = self.stored()
        for name in self.wanted.keys() - self.on_disk():
            assert stored[name] == self.wanted[name], name
            assert self.announced()[name]

    def announced(self) -> Counter[str]:
        lines = self.announcements.read_text().splitlines() if self.announcements.exists() else []
        said = {line.split()[1]: set[str]() for line in lines}
        for line in lines:
            said[line.split()[1]].add(line)
        assert all(len(each) == 1 for each in said.values()), "two announcements of one recording differ"
        return Counter(line.split()[1] for line in lines)

    def check_all_is_stored_once(self) -> None:
        assert self.stored() == self.wanted
        assert len(self.objects.contents()) == len(self.wanted)
        _, rows = self.run(print_documents_of="call-1")
        assert sorted(rows) == sorted(f"{name}={sha256(body).hexdigest()}" for name, body in self.wanted.items())
        assert set(self.announced()) == set(self.wanted)
        assert not self.on_disk()
        uploads = self.objects.client().list_multipart_uploads(Bucket=self.objects.bucket)
        assert not uploads.get("Uploads")
        assert not list((self.root / ".recorder").rglob("*.json"))


@pytest.fixture
def node(tmp_path: Path, objects: Objects, documents_uri: str, nursery: Nursery) -> Node:
    """Give a node with a short recording, one of three parts, and one that a kill of the switch has cut."""
    node = Node(tmp_path / "recordings", objects, documents_uri, nursery)
    node.root.mkdir()
    small, large, killed = wav(sound(3000, seed=1)), wav(sound(2 * PART_BYTES // 4, seed=2)), wav(sound(5000, seed=3))
    node.add("small", small, small)
    node.add("large", large, large)
    node.add("killed", cut(killed), killed)
    return node
