"""Copies are made off the way of storing: a drive that is away holds up neither the others nor another company's."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.adapters.rclone import CopyFailed
from services.recorder.copying import MOST_FAILURES, Copier
from services.recorder.removal import COPYING_US, BeingCopied, Removal
from tests.unit.recorder.fakes import MemoryAnnouncements, MemoryDocuments, MemoryStore
from tests.unit.recorder.test_api import ONE


@dataclass
class Drives:
    """Drives of which some are away, and every try on them."""

    away: set[str]
    tries: list[tuple[str, str]] = field(default_factory=list)

    def put(self, remote: str, key: str, pieces: Iterator[bytes], sha256: str) -> None:
        del pieces, sha256
        self.tries.append((remote, key))
        if remote in self.away:
            raise CopyFailed("the drive does not answer")


@dataclass
class Left:
    """What is not copied yet."""

    rows: list[tuple[RecordingDocument, str]]
    going: frozenset[str] = frozenset()
    under_way: list[int] = field(default_factory=list)

    def copies_left(self) -> Iterator[tuple[RecordingDocument, str]]:
        yield from list(self.rows)

    def begin_copy(self, recording_id: str, remote: str, at_us: int) -> bool:
        self.under_way.append(at_us)
        return recording_id not in self.going

    def end_copy(self, recording_id: str, remote: str, at_us: int, *, is_there: bool) -> None:
        self.under_way.remove(at_us)
        if is_there:
            self.rows = [each for each in self.rows if (each[0].recording_id, each[1]) != (recording_id, remote)]


class Sounds:
    def fetch(self, key: str) -> Iterator[bytes]:
        yield key.encode()


def test_a_drive_that_is_away_is_asked_a_few_times_a_pass_and_holds_up_no_other() -> None:
    made = [replace(ONE, recording_id=f"rec-{number}", key=f"key-{number}") for number in range(300)]
    left = Left([(document, remote) for document in made for remote in ("gone", "there")])
    drives = Drives({"gone"})
    copier = Copier(left, Sounds(), drives, lambda: 1)
    copier.copy_all()
    assert not left.under_way
    assert [remote for _, remote in left.rows] == ["gone"] * 300
    assert sum(remote == "gone" for remote, _ in drives.tries) == MOST_FAILURES
    drives.away.clear()
    copier.copy_all()
    assert not left.rows


def test_one_recording_that_a_drive_refuses_now_and_then_stops_nothing() -> None:
    left = Left([(replace(ONE, recording_id=f"rec-{number}", key=f"key-{number}"), "drive") for number in range(50)])

    class Moody(Drives):
        def put(self, remote: str, key: str, pieces: Iterator[bytes], sha256: str) -> None:
            self.away = {remote} if key.endswith(("0", "5")) else set()
            super().put(remote, key, pieces, sha256)

    Copier(left, Sounds(), Moody(set()), lambda: 1).copy_all()
    assert [document.recording_id for document, _ in left.rows] == [f"rec-{number}" for number in range(0, 50, 5)]


def test_a_recording_that_goes_meanwhile_is_not_copied() -> None:
    left = Left(
        [(replace(ONE, recording_id=name, key=name), "drive") for name in ("goes", "stays")], frozenset({"goes"})
    )
    drives = Drives(set())
    Copier(left, Sounds(), drives, lambda: 1).copy_all()
    assert drives.tries == [("drive", "stays")]


@dataclass
class Copies:
    """The drives' side of a removal."""

    gone: list[tuple[str, str]] = field(default_factory=list)

    def delete(self, remote: str, key: str) -> None:
        self.gone.append((remote, key))


def test_who_deletes_waits_for_a_copy_that_is_being_made_but_not_for_one_that_a_kill_cut_off() -> None:
    documents, copies, now_us = MemoryDocuments(), Copies(), 10**15
    documents.rows["rec-1"] = replace(ONE, copies=("drive",), copying_us=now_us - COPYING_US + 1)
    removal = Removal(MemoryStore(), documents, MemoryAnnouncements(), lambda: now_us, copies)
    with pytest.raises(BeingCopied):
        removal.remove(ONE, "erasure")
    assert not copies.gone
    assert documents.rows["rec-1"].deleted_us, "nobody begins a further copy"
    documents.rows["rec-1"] = replace(documents.rows["rec-1"], copying_us=now_us - COPYING_US)
    assert removal.remove(ONE, "erasure")
    assert copies.gone == [("drive", ONE.key)]
