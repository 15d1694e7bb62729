"""A recorder that is killed between any two of its steps loses nothing, stores nothing twice, deletes nothing early."""

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from services.recorder.adapters.measure import PART_BYTES
from services.recorder.domain.progress import Step
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.unit.recorder.sounds import cut, frames_of, sound, wav

ROOT = Path(__file__).parents[3]
PASS_SECONDS = 90


@dataclass
class Node:
    """A folder of recordings, the stores around it, and what a right recorder must make of it."""

    root: Path
    objects: Objects
    documents_uri: str
    wanted: dict[str, bytes] = field(default_factory=dict)

    @property
    def announcements(self) -> Path:
        return self.root.parent / "announcements"

    def add(self, name: str, content: bytes, wanted: bytes) -> None:
        path = self.root / "acme" / "call-1" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.wanted[name] = wanted

    def start(self, **more: object) -> "subprocess.Popen[str]":
        given = {
            "root": str(self.root),
            "endpoint": self.objects.endpoint,
            "bucket": self.objects.bucket,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "mongodb_uri": self.documents_uri,
            "announcements": str(self.announcements),
            **more,
        }
        command = [sys.executable, "-m", "tests.integration.recorder.one_pass", json.dumps(given)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command

    def run(self, **more: object) -> tuple[int, list[str]]:
        process = self.start(**more)
        output, _ = process.communicate(timeout=PASS_SECONDS)
        return process.returncode, output.split()

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
def node(tmp_path: Path, objects: Objects, documents_uri: str) -> Node:
    node = Node(tmp_path / "recordings", objects, documents_uri)
    node.root.mkdir()
    small, large, killed = wav(sound(3000, seed=1)), wav(sound(2 * PART_BYTES // 4, seed=2)), wav(sound(5000, seed=3))
    node.add("small", small, small)
    node.add("large", large, large)
    node.add("killed", cut(killed), killed)
    return node


def test_every_recording_is_stored_byte_for_byte(node: Node) -> None:
    assert node.run() == (0, ["stored"] * 3)
    node.check_all_is_stored_once()
    assert frames_of(node.stored()["killed"])[:2] == (2, 8000)


@pytest.mark.parametrize("step", [step.value for step in Step])
def test_a_kill_behind_each_step_is_made_good(node: Node, step: str) -> None:
    # One recording a process is finished at most, so three kills hit each kind of file.
    for _ in range(3):
        code, _ = node.run(die_after=step)
        assert code in (0, -signal.SIGKILL)
        node.check_nothing_is_lost()
    assert node.run()[0] == 0
    node.check_all_is_stored_once()


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_kill_in_the_middle_of_an_upload_is_made_good(node: Node, part: int) -> None:
    code, _ = node.run(die_at_part=part)
    assert code == -signal.SIGKILL
    node.check_nothing_is_lost()
    assert node.run()[0] == 0
    node.check_all_is_stored_once()


def test_two_recorders_on_one_folder_store_each_recording_once(node: Node) -> None:
    for number in range(20):
        body = wav(sound(500, seed=number))
        node.add(f"more-{number}", body, body)
    both = [node.start(), node.start()]
    outcomes = Counter(word for process in both for word in process.communicate(timeout=PASS_SECONDS)[0].split())
    assert [process.returncode for process in both] == [0, 0]
    assert outcomes["stored"] == len(node.wanted)
    assert set(outcomes) <= {"stored", "gone", "claimed"}
    assert set(node.announced().values()) == {1}
    node.check_all_is_stored_once()
