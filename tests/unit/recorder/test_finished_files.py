"""A recording is stored when nobody writes to it any more, and not before."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.recorder.adapters.disk import claim
from services.recorder.adapters.own_files import Notes
from services.recorder.adapters.s3 import Kind, Part
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import location_of
from services.recorder.domain.naming import CallNote
from services.recorder.errors import FileChanged
from services.recorder.storing import Outcome
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.fakes import MemoryStore
from tests.unit.recorder.sounds import cut, sound, wav


def test_a_cut_recording_that_may_grow_is_left_alone(node: Node) -> None:
    node.settle_seconds = 30.0
    path = node.put(cut(wav(sound(4000))))
    assert node.store_it() is Outcome.UNFINISHED
    assert path.exists()
    assert not node.store.puts
    os.utime(path, (0, 0))
    assert node.store_it() is Outcome.STORED


def test_a_file_of_the_future_settles_by_our_own_clock(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.settle_seconds = 30.0
    path = node.put(cut(wav(sound(400))))
    os.utime(path, (9e9, 9e9))
    storing = node.storing()
    now = [1000.0]
    monkeypatch.setattr("services.recorder.storing.time.monotonic", lambda: now[0])
    assert storing.store(PLACE) is Outcome.UNFINISHED
    now[0] += 31
    assert storing.store(PLACE) is Outcome.STORED


def test_a_complete_file_that_is_still_open_for_writing_is_left_alone(node: Node) -> None:
    path = node.put(wav(sound(400)))
    with path.open("ab"):
        with claim(node.root, PLACE) as file:
            if not file.is_open_for_writing():
                pytest.skip("this file system does not tell who writes")
        assert node.store_it() is Outcome.UNFINISHED
    assert node.store_it() is Outcome.STORED


def test_a_monster_that_is_still_written_is_left_alone(node: Node) -> None:
    path = node.put(wav(b""))
    with path.open("ab") as file:
        file.truncate(node.max_bytes + 1)
        with claim(node.root, PLACE) as claimed:
            if not claimed.is_open_for_writing():
                pytest.skip("this file system does not tell who writes")
        assert node.store_it() is Outcome.UNFINISHED
    assert path.exists()


class WritesMeanwhile(MemoryStore):
    """A store during whose work the switch goes on writing."""

    path: Path

    def put(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> StoredObject | None:
        answer = super().put(key, parts, digest, kind)
        with self.path.open("ab") as file:
            file.write(b"more")
        return answer


def test_a_file_that_grew_during_its_upload_is_neither_documented_nor_deleted(node: Node) -> None:
    store = WritesMeanwhile()
    store.path = node.put(wav(sound(100)))
    node.store = store
    with pytest.raises(FileChanged):
        node.store_it()
    assert store.path.exists()
    assert not node.documents.rows


NOTE = CallNote("sales", "olena", "+380501112233", "+380441000001")


def test_a_recording_waits_for_the_word_of_its_call_but_not_for_ever(node: Node) -> None:
    node.settle_seconds = 30.0
    path = node.put(wav(sound(400)))
    assert node.store_it() is Outcome.UNFINISHED
    Notes(node.root).keep(PLACE, NOTE)
    assert node.store_it() is Outcome.STORED
    document = node.documents.rows["rec-1"]
    assert (document.queue_id, document.agent_id, document.caller) == ("sales", "olena", "+380501112233")
    other = location_of("acme/call-2/rec-2.wav")
    os.utime(node.put(wav(sound(400)), other), (0, 0))
    assert node.store_it(other) is Outcome.STORED
    assert not path.exists()
