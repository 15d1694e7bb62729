"""A store that is down, fails, lies or dawdles, and a disk that is truly full: nothing is lost or deleted early."""

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.recorder.adapters.s3 import ObjectStore
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.integration.recorder.lying_store import Fault, LyingStore
from tests.integration.recorder.node import Node, node
from tests.integration.recorder.nursery import Nursery
from tests.unit.recorder.sounds import cut, frames_of, sound, wav
from tests.unit.recorder.test_encoding import decoded

__all__ = ["node"]  # a fixture by import

DISK_BYTES = 1024 * 1024
HARMLESS = {Fault.NOTHING, Fault.SLOW}
UNSEEN = {Fault.WRONG_LENGTH}
"""Faults of questions: a small recording's is not asked."""


@pytest.fixture
def way(objects: Objects) -> Iterator[LyingStore]:
    way = LyingStore(objects.endpoint)
    way.open()
    yield way
    way.close()


def test_a_bucket_that_another_recorder_made_since_it_was_looked_for_is_taken(objects: Objects) -> None:
    objects.client().create_bucket(Bucket=objects.bucket)
    store = ObjectStore(objects.endpoint, objects.bucket, ACCESS_KEY, SECRET_KEY, "us-east-1")
    store._create_bucket()
    assert store.describe("nothing") is None


@pytest.mark.parametrize("fault", list(Fault))
def test_a_store_that_fails_or_lies_gets_nothing_deleted(node: Node, way: LyingStore, fault: Fault) -> None:
    way.fault = fault
    code, outcomes = node.run(endpoint=way.endpoint)
    assert code == 0
    assert fault is Fault.NOTHING or way.met
    node.check_nothing_is_lost()
    if fault in HARMLESS:
        assert outcomes == ["stored"] * 3
    elif fault in UNSEEN:
        assert sorted(outcomes) == ["store_lied", "stored", "stored"]
    else:
        assert set(outcomes) <= {"store_failed", "store_lied"}
        assert node.on_disk() == set(node.wanted)
    way.fault = Fault.NOTHING
    node.run(endpoint=way.endpoint)
    node.check_all_is_stored_once()


def test_a_store_that_is_down_gets_everything_when_it_is_back(node: Node, way: LyingStore) -> None:
    way.close()
    assert node.run(endpoint=way.endpoint) == (0, ["store_failed"] * 3)
    assert node.on_disk() == set(node.wanted)
    way.open()
    assert node.run(endpoint=way.endpoint) == (0, ["stored"] * 3)
    node.check_all_is_stored_once()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of DISK_BYTES."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(  # noqa: S603 - our own command
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "ringmaster-test", str(place)],  # noqa: S607 - the system's
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S603, S607 - as above


def fill(path: Path) -> None:
    """Write until the disk takes no byte more."""
    with path.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\1" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - another error is another story


@pytest.mark.parametrize("form", ["wav", "flac", "opus"])
def test_a_disk_without_one_free_byte_is_emptied_into_the_store(
    small_disk: Path, tmp_path: Path, objects: Objects, documents_uri: str, nursery: Nursery, form: str
) -> None:
    node = Node(small_disk / "recordings", objects, documents_uri, nursery)
    for number in range(3):
        body = wav(sound(20_000, seed=number))
        node.add(f"rec-{number}", body, body)
    fill(node.root / ".filler")
    # What is announced is written elsewhere: the bus is not on the switch's disk.
    told = tmp_path / "announcements"
    code, words = node.run(form=form, announcements=str(told))
    assert (code, words.count("stored")) == (0, 3)
    stored = objects.contents()
    assert sorted(Path(key).stem for key in stored) == sorted(node.wanted)
    as_written = {Path(key).stem: body for key, body in stored.items() if Path(key).suffix == ".wav"}
    assert as_written, "there was no room to encode the first one"
    assert as_written.items() <= node.wanted.items()
    for key, body in stored.items():
        if Path(key).suffix == ".flac":  # the first one's end made room for the others
            assert decoded(body).tobytes() == frames_of(node.wanted[Path(key).stem])[2]
    assert not node.on_disk()
    assert len(set(told.read_text().splitlines())) == len(node.wanted)


def test_a_file_that_still_grows_is_stored_whole_and_only_when_it_is_finished(node: Node) -> None:
    path = node.root / "acme" / "call-1" / "small.wav"
    whole = node.wanted["small"]
    path.write_bytes(cut(whole)[:2_000])
    with path.open("ab", buffering=0) as switch:
        assert node.run()[1].count("unfinished") == 1
        assert path.exists()
        switch.write(whole[2_000:])
    path.write_bytes(whole)  # the switch writes the header's sizes last
    node.run()
    node.check_all_is_stored_once()
