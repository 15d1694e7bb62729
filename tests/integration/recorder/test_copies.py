"""Copies on other drives by the true rclone onto a folder, verified, retried, and gone with their recording."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.recorder.adapters.keeping_documents import KeepingDocuments
from services.recorder.adapters.mongo import RecordingDocument, RecordingDocuments
from services.recorder.adapters.rclone import CopyFailed, Remotes
from services.recorder.copying import Copier
from services.recorder.errors import StoreFailed
from services.recorder.removal import Removal
from tests.unit.recorder.fakes import MemoryAnnouncements, MemoryStore
from tests.unit.recorder.test_api import ONE

SOUND = b"sound" * 50_000
KEY = "acme/2026-11-23/продаж olena/rec-1.ogg"


class Sounds(MemoryStore):
    def fetch(self, key: str) -> Iterator[bytes]:
        yield from (SOUND[at : at + 65_536] for at in range(0, len(SOUND), 65_536))


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    if shutil.which("rclone") is None:
        pytest.skip("no rclone: install Debian's rclone")
    (tmp_path / "drive").mkdir()
    (tmp_path / "rclone.conf").write_text(f"[drive]\ntype = alias\nremote = {tmp_path / 'drive'}\n", encoding="utf-8")
    return tmp_path / "drive"


@pytest.fixture
def remotes(drive: Path) -> Remotes:
    return Remotes(drive.parent / "rclone.conf")


@pytest.fixture
def stored(documents_uri: str) -> Iterator[tuple[RecordingDocuments, RecordingDocument]]:
    documents = RecordingDocuments(documents_uri)
    digest = hashlib.sha256(SOUND).hexdigest()
    made = replace(ONE, key=KEY, sha256=digest, size_bytes=len(SOUND), copies=("drive", "nowhere"))
    yield documents, documents.write(made)
    documents.database.client.close()


def test_a_copy_is_made_verified_and_not_made_again_while_another_drive_is_away(
    drive: Path, remotes: Remotes, stored: tuple[RecordingDocuments, RecordingDocument]
) -> None:
    documents, _ = stored
    keeping = KeepingDocuments(documents.database)
    assert [remote for _, remote in keeping.copies_left()] == ["drive", "nowhere"]
    Copier(keeping, Sounds(), remotes, lambda: 1).copy_all()
    assert (drive / KEY).read_bytes() == SOUND
    assert [remote for _, remote in keeping.copies_left()] == ["nowhere"]
    found = documents.find("rec-1")
    assert found is not None
    assert found.copies == ("drive", "nowhere")


def test_what_a_drive_gives_back_otherwise_is_not_believed(drive: Path, remotes: Remotes) -> None:
    with pytest.raises(CopyFailed, match="give back"):
        remotes.put("drive", KEY, iter([b"other"]), hashlib.sha256(SOUND).hexdigest())


def test_a_copy_goes_with_its_recording_and_a_drive_that_is_away_keeps_the_removal_open(
    drive: Path, remotes: Remotes, stored: tuple[RecordingDocuments, RecordingDocument]
) -> None:
    documents, document = stored
    remotes.put("drive", KEY, iter([SOUND]), hashlib.sha256(SOUND).hexdigest())
    keeping = KeepingDocuments(documents.database)
    removal = Removal(Sounds(), documents, MemoryAnnouncements(), lambda: 5, remotes)
    with pytest.raises(CopyFailed, match="nowhere"):
        removal.remove(document, "retention")
    assert not (drive / KEY).exists()
    assert [row.recording_id for row in keeping.open_removals()] == ["rec-1"]
    assert not list(keeping.copies_left())


def test_deleting_a_copy_that_is_not_there_is_harmless(remotes: Remotes) -> None:
    remotes.delete("drive", "acme/nothing/here.ogg")


def test_without_rclone_or_its_configuration_one_sentence_says_so() -> None:
    with pytest.raises(CopyFailed, match="RINGMASTER_RECORDER_RCLONE_CONFIG"):
        Remotes(None).delete("drive", KEY)


def test_a_store_that_fails_in_the_middle_of_a_copy_is_told_as_that(drive: Path, remotes: Remotes) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a little that waits to be sent"
        raise StoreFailed("the store is away")

    with pytest.raises(StoreFailed):
        remotes.put("drive", KEY, pieces(), "")
    assert not (drive / KEY).exists()
