"""Files that can be no recording of ours end in quarantine with a reason, unread, unfollowed, and take nothing over."""

import os

import pytest

from services.recorder.adapters.own_files import Notes
from services.recorder.domain.location import location_of
from services.recorder.domain.naming import CallNote
from services.recorder.storing import Outcome
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.sounds import cut, sound, wav
from tests.unit.recorder.test_finding import settings


def quarantined(node: Node) -> list[bytes]:
    return [path.read_bytes() for path in (node.root / ".recorder" / "quarantine").glob("*.file")]


def test_a_recording_that_died_before_its_first_sound_is_put_aside_and_said(node: Node) -> None:
    file = cut(wav(b""))
    node.put(file)
    assert node.store_it() is Outcome.QUARANTINED
    assert quarantined(node) == [file]
    assert not node.store.puts


@pytest.mark.parametrize("content", [b"", b"not a wave at all" * 10, b"RIFF"])
def test_a_file_that_is_no_recording_is_put_aside_and_said(node: Node, content: bytes) -> None:
    path = node.put(content)
    assert node.store_it() is Outcome.QUARANTINED
    assert not path.exists()
    assert quarantined(node) == [content]
    ((place, reason),) = node.announcements.failures
    assert place == PLACE
    assert reason
    assert not node.store.puts


def test_a_monster_is_put_aside_without_being_read(node: Node) -> None:
    path = node.put(wav(b""))
    os.truncate(path, node.max_bytes + 1)
    assert node.store_it() is Outcome.QUARANTINED
    assert not node.store.puts


def test_ten_gigabytes_that_take_no_disk_are_put_aside_unread(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.max_bytes = settings(node.root).recorder_max_bytes  # what nobody has said otherwise
    path = node.put(wav(sound(100)))
    os.truncate(path, 10 * 1024**3)

    def refuse(*_given: object) -> bytes:
        pytest.fail("it was read")

    for reads in ("pread", "preadv"):
        monkeypatch.setattr(os, reads, refuse)
    assert node.store_it() is Outcome.QUARANTINED
    (aside,) = (node.root / ".recorder" / "quarantine").glob("*.file")
    assert aside.stat().st_size == 10 * 1024**3
    ((_, reason),) = node.announcements.failures
    assert "larger" in reason
    assert not node.store.puts


def test_links_and_pipes_are_put_aside_and_never_followed(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    secret = outside / "secret.wav"
    secret.write_bytes(wav(sound(100)))
    folder = node.root / "acme" / "call-1"
    folder.mkdir(parents=True)
    (folder / "link.wav").symlink_to(secret)
    (folder / "hard.wav").hardlink_to(secret)
    os.mkfifo(folder / "pipe.wav")
    (folder / "dir.wav").mkdir()
    (node.root / "acme" / "call-2").symlink_to(outside)
    names = ["call-1/link", "call-1/hard", "call-1/pipe", "call-1/dir"]
    for name in names:
        assert node.store_it(location_of(f"acme/{name}.wav")) is Outcome.QUARANTINED, name
    assert node.store_it(location_of("acme/call-2/secret.wav")) is Outcome.QUARANTINED
    assert secret.read_bytes() == wav(sound(100))
    assert not node.store.objects


def test_what_a_link_to_a_folder_leads_to_is_never_moved(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "call-1").mkdir()
    for file in (outside / "rec-1.wav", outside / "call-1" / "rec-1.wav"):
        file.write_bytes(wav(sound(100)))
    (node.root / "acme").mkdir()
    (node.root / "acme" / "call-1").symlink_to(outside)
    (node.root / "rival").symlink_to(outside)
    for path in ("acme/call-1/rec-1.wav", "rival/call-1/rec-1.wav"):
        assert node.store_it(location_of(path)) is Outcome.QUARANTINED
    assert sorted(path.name for path in outside.rglob("*.wav")) == ["rec-1.wav"] * 2
    assert len(list((node.root / ".recorder" / "quarantine").glob("*.file"))) == 2
    assert not (node.root / "rival").is_symlink()


def test_a_file_that_begins_to_be_written_while_it_is_looked_at_is_left_alone(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.settle_seconds = 3600.0
    path = node.put(b"")
    pread = os.pread

    def grown(descriptor: int, size: int, offset: int) -> bytes:
        path.write_bytes(wav(sound(100)))
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", grown)
    assert node.store_it() is Outcome.UNFINISHED


def test_another_recording_under_a_known_id_is_put_aside_and_the_first_stays(node: Node) -> None:
    node.put(wav(sound(100, seed=1)))
    node.store_it()
    first = dict(node.store.objects)
    node.put(wav(sound(100, seed=2)))
    assert node.store_it() is Outcome.QUARANTINED
    assert node.store.objects == first


@pytest.mark.parametrize("place", ["rival/call-1/rec-1.wav", "acme/call-9/rec-1.wav"])
def test_an_id_of_another_tenant_or_call_is_never_taken_over(node: Node, place: str) -> None:
    node.put(wav(sound(100)))
    node.store_it()
    first = dict(node.documents.rows)
    other = location_of(place)
    Notes(node.root).keep(other, CallNote(caller="+380501112233"))
    node.put(wav(sound(100)), other)
    node.encryption = "AES256"  # what lies in the store does not fit any more
    assert node.store_it(other) is Outcome.QUARANTINED
    assert node.documents.rows == first
    assert len(node.store.puts) == 1
    assert not list((node.root / ".recorder" / "notes").iterdir()), "whose call it was is not kept beside it"
    assert len(node.store.objects) == 1
