"""One try of one recording, on a real disk, with stores in memory that can be away, lie or end the process."""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.recorder.adapters.disk import claim
from services.recorder.adapters.measure import Waveform
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.adapters.own_files import Notes
from services.recorder.adapters.s3 import Kind, Part
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import location_of
from services.recorder.domain.naming import CallNote
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Step
from services.recorder.errors import FileChanged, StoreFailed, StoreLied
from services.recorder.storing import Outcome
from services.shared.chassis.clock import Clock
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.fakes import Killed, MemoryDocuments, MemoryStore
from tests.unit.recorder.sounds import cut, frames_of, sound, wav


def quarantined(node: Node) -> list[bytes]:
    return [path.read_bytes() for path in (node.root / ".recorder" / "quarantine").glob("*.file")]


def killed_after(last: Step) -> Callable[[Step, float], None]:
    def kill(step: Step, _seconds: float) -> None:
        if step is last:
            raise Killed

    return kill


def test_a_finished_recording_is_stored_documented_told_and_deleted(node: Node) -> None:
    file = wav(sound(8000))
    path = node.put(file)
    assert node.store_it() is Outcome.STORED
    (body,) = node.store.objects.values()
    document = node.documents.rows["rec-1"]
    assert body == file
    assert document.sha256 == hashlib.sha256(file).hexdigest()
    assert (document.size_bytes, document.duration_ms, document.channels) == (len(file), 1000, 2)
    assert (document.silent, document.repaired, document.node) == (False, False, "fs-1")
    assert document.key in node.store.objects
    assert node.announcements.told == [document]
    assert not path.exists()


def test_a_cut_recording_is_repaired_once_it_is_still(node: Node) -> None:
    whole = wav(sound(4000))
    node.put(cut(whole))
    assert node.store_it() is Outcome.STORED
    (body,) = node.store.objects.values()
    assert frames_of(body) == frames_of(whole)
    assert node.documents.rows["rec-1"].repaired


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


def test_silence_is_marked_and_a_quiet_voice_is_not(node: Node) -> None:
    for name, peak in (("zero", 0), ("hum", 60), ("voice", 500)):
        node.put(wav(sound(8000, peak=peak)), location_of(f"acme/call-1/{name}.wav"))
        node.store_it(location_of(f"acme/call-1/{name}.wav"))
    assert {name: row.silent for name, row in node.documents.rows.items()} == {
        "zero": True,
        "hum": True,
        "voice": False,
    }


def test_the_key_keeps_its_day_when_the_clock_of_the_next_try_differs(node: Node) -> None:
    os.utime(node.put(wav(sound(100))), (1_795_391_999, 1_795_391_999))
    node.store.is_away = True
    with pytest.raises(StoreFailed):
        node.store_it()
    node.store.is_away = False
    node.clock = Clock(speed=1000.0, epoch=2_000_000_000.0, wall0=1_795_000_000.0)
    assert node.store_it() is Outcome.STORED
    assert list(node.store.objects) == ["acme/2026-11-22/call-1/rec-1.wav"]


def test_the_day_is_the_platforms_where_its_clock_runs_faster(node: Node) -> None:
    node.clock = Clock(speed=60.0, epoch=1_795_392_000.0, wall0=1_000_000.0)
    os.utime(node.put(wav(sound(100))), (1_001_440, 1_001_440))
    assert node.store_it() is Outcome.STORED
    assert list(node.store.objects) == ["acme/2026-11-24/call-1/rec-1.wav"]


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


def test_a_monster_that_is_still_written_is_left_alone(node: Node) -> None:
    path = node.put(wav(b""))
    with path.open("ab") as file:
        file.truncate(node.max_bytes + 1)
        with claim(node.root, PLACE) as claimed:
            if not claimed.is_open_for_writing():
                pytest.skip("this file system does not tell who writes")
        assert node.store_it() is Outcome.UNFINISHED
    assert path.exists()


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


def test_another_recording_under_a_known_id_is_put_aside_and_the_first_stays(node: Node) -> None:
    node.put(wav(sound(100, seed=1)))
    node.store_it()
    first = dict(node.store.objects)
    node.put(wav(sound(100, seed=2)))
    assert node.store_it() is Outcome.QUARANTINED
    assert node.store.objects == first


def test_an_id_of_another_tenant_is_never_taken_over(node: Node) -> None:
    node.put(wav(sound(100)))
    node.store_it()
    other = location_of("rival/call-9/rec-1.wav")
    node.put(wav(sound(100)), other)
    assert node.store_it(other) is Outcome.QUARANTINED
    assert node.documents.rows["rec-1"].tenant_id == "acme"
    assert len(node.store.objects) == 1


@pytest.mark.parametrize("computes", [True, False])
def test_a_store_that_kept_other_bytes_is_not_believed(node: Node, *, computes: bool) -> None:
    path = node.put(wav(sound(100)))
    node.store.computes_checksums = computes
    node.store.corrupt = lambda body: body[:-1] + b"\x55"
    with pytest.raises(StoreLied):
        node.store_it()
    assert path.exists()
    assert not node.documents.rows
    node.store.corrupt = None
    node.store.objects.clear()
    assert node.store_it() is Outcome.STORED


def test_a_store_that_loses_what_it_took_is_not_believed(node: Node) -> None:
    path = node.put(wav(sound(100)))
    node.store.loses = True
    with pytest.raises(StoreLied):
        node.store_it()
    assert path.exists()


class CountsQuestions(MemoryStore):
    """A store that counts how often it is asked."""

    questions = 0

    def describe(self, key: str) -> StoredObject | None:
        self.questions += 1
        return super().describe(key)


@pytest.mark.parametrize(("answers", "questions"), [(True, 0), (False, 1)])
def test_a_store_whose_answer_proves_what_it_holds_is_not_asked_again(
    node: Node, *, answers: bool, questions: int
) -> None:
    store = CountsQuestions(answers_with_checksums=answers)
    node.store = store
    node.put(wav(sound(100)))
    assert node.store_it() is Outcome.STORED
    assert store.questions == questions


def test_a_store_whose_answer_tells_of_other_bytes_is_not_believed(node: Node) -> None:
    path = node.put(wav(sound(100)))
    node.store.answers_with_checksums = True
    node.store.corrupt = lambda body: body[:-1] + b"\x55"
    with pytest.raises(StoreLied):
        node.store_it()
    assert path.exists()


def test_a_store_that_is_away_leaves_the_file(node: Node) -> None:
    path = node.put(wav(sound(100)))
    node.store.is_away = True
    with pytest.raises(StoreFailed):
        node.store_it()
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


def test_a_claimed_file_is_left_to_its_holder(node: Node) -> None:
    path = node.put(wav(sound(100)))
    with claim(node.root, PLACE):
        assert node.store_it() is Outcome.CLAIMED
    assert path.exists()
    assert node.store_it() is Outcome.STORED
    assert node.store_it() is Outcome.GONE


@pytest.mark.parametrize("last", list(Step))
def test_after_a_kill_behind_any_step_the_recording_is_stored_once(node: Node, last: Step) -> None:
    file = wav(sound(5000))
    path = node.put(file)
    with pytest.raises(Killed):
        node.storing(killed_after(last)).store(PLACE)
    if not path.exists():
        assert list(node.store.objects.values()) == [file]
        assert node.announcements.told
    assert node.store_it() is (Outcome.GONE if last is Step.DELETE else Outcome.STORED)
    assert list(node.store.objects.values()) == [file]
    assert len(node.store.puts) == 1
    assert list(node.documents.rows) == ["rec-1"]
    assert len({document.stored_us for document in node.announcements.told}) == 1
    assert not path.exists()


def test_a_recording_that_is_nowhere_is_said_to_be_lost(node: Node) -> None:
    assert node.storing().note_missing(PLACE) is Outcome.QUARANTINED
    assert [place for place, _ in node.announcements.failures] == [PLACE]


def test_a_recording_that_was_stored_before_is_not_said_to_be_lost(node: Node) -> None:
    node.put(wav(sound(100)))
    node.store_it()
    assert node.storing().note_missing(PLACE) is Outcome.GONE
    assert isinstance(node.documents.rows["rec-1"], RecordingDocument)
    assert not node.announcements.failures


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


def test_a_recording_is_named_by_its_companys_template_and_nothing_is_left_of_its_notes(node: Node) -> None:
    node.policies.policy = Policy(name_template="{queue}/{agent}/{caller} {recording_id}")
    Notes(node.root).keep(PLACE, replace(NOTE, agent_id="../../rival"))
    node.put(wav(sound(400)))
    node.store_it()
    assert list(node.store.objects) == ["acme/sales/_.._rival/+380501112233_rec-1.wav"]
    assert not [file for file in (node.root / ".recorder").rglob("*") if file.is_file()]


def test_silence_is_removed_by_policy_after_it_was_told(node: Node) -> None:
    node.policies.policy = Policy(remove_silent=True)
    node.put(wav(sound(8000, peak=0)))
    assert node.store_it() is Outcome.STORED
    assert not node.store.objects
    assert [document.recording_id for document in node.announcements.told] == ["rec-1"]
    ((document, actor),) = node.announcements.deletions
    assert (document.delete_reason, actor) == ("silent", "")
    assert not node.documents.waveforms


def test_a_voice_is_not_removed_as_silence(node: Node) -> None:
    node.policies.policy = Policy(remove_silent=True)
    node.put(wav(sound(8000, peak=500)))
    node.store_it()
    assert len(node.store.objects) == 1
    assert not node.announcements.deletions


def test_a_file_whose_recording_was_deleted_meanwhile_is_not_stored_anew(node: Node) -> None:
    content = wav(sound(400))
    node.put(content)
    node.store_it()
    node.documents.begin_removal(node.documents.rows["rec-1"], "erasure", 1)
    path = node.put(content)
    assert node.store_it() is Outcome.STORED
    assert not path.exists()
    assert not node.store.objects
    assert len(node.store.puts) == 1


class DeletedMeanwhile(MemoryDocuments):
    """Documents of which one is deleted, and forgets its key, just before its sound is documented once more."""

    def write(self, document: RecordingDocument, waveform: Waveform | None = None) -> RecordingDocument:
        self.rows[document.recording_id] = replace(document, deleted_us=5, delete_reason="erasure", key="")
        return super().write(document, waveform)


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_recording_that_is_deleted_while_it_is_sent_leaves_no_sound(node: Node, *, is_killed: bool) -> None:
    node.documents = DeletedMeanwhile()
    path = node.put(wav(sound(400)))
    if is_killed:
        with pytest.raises(Killed):
            node.storing(killed_after(Step.DOCUMENT)).store(PLACE)
        assert len(node.store.objects) == 1
    assert node.store_it() is Outcome.STORED
    assert len(node.store.puts) == 1
    assert not node.store.objects
    assert not node.documents.waveforms
    assert not node.announcements.told
    assert node.announcements.deletions
    assert not path.exists()


def test_a_store_that_does_not_encrypt_is_not_believed(node: Node) -> None:
    node.encryption = "AES256"
    path = node.put(wav(sound(400)))
    node.store.encrypts = False
    with pytest.raises(StoreLied, match="encrypt"):
        node.store_it()
    assert path.exists()
    node.store.encrypts = True
    node.store.objects.clear()
    assert node.store_it() is Outcome.STORED
    assert node.documents.rows["rec-1"].encryption == "AES256"


def test_a_companys_own_key_goes_before_the_platforms(node: Node) -> None:
    node.encryption = "aws:kms"
    node.policies.policy = Policy(kms_key_id="alias/acme")
    node.put(wav(sound(400)))
    node.store_it()
    (kind,) = node.store.kinds.values()
    assert (kind.encryption, kind.kms_key_id) == ("aws:kms", "alias/acme")
    assert kind.arguments()["SSEKMSKeyId"] == "alias/acme"


def test_the_picture_shows_who_speaks_when(node: Node) -> None:
    quiet, loud = b"\0\0", struct.pack("<h", -32_768)
    left = (loud + quiet) * 8_000 + (quiet + quiet) * 8_000
    node.put(wav(left))
    node.store_it()
    waveform = node.documents.waveforms["rec-1"]
    assert (waveform.column_ms, waveform.channels) == (20, 2)
    columns = [waveform.peaks[at : at + 2] for at in range(0, len(waveform.peaks), 2)]
    assert columns == [b"\xff\0"] * 50 + [b"\0\0"] * 50


@pytest.mark.parametrize("frames", [1, 159, 160, 161, 400_001])
def test_the_picture_is_the_same_however_the_sound_comes(node: Node, frames: int) -> None:
    data = sound(frames)
    node.put(wav(data))
    node.store_it()
    waveform = node.documents.waveforms["rec-1"]
    step = 8 * waveform.column_ms
    samples = struct.unpack(f"<{frames * 2}h", data)
    wanted = bytearray()
    for at in range(0, frames, step):
        for channel in (0, 1):
            peak = max(abs(value) for value in samples[2 * at + channel : 2 * (at + step) : 2])
            wanted.append(round((min(peak, 32_768) / 32_768) ** 0.5 * 255))
    assert waveform.peaks == bytes(wanted)
