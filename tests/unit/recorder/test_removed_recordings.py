"""Recordings that go: silence by policy, and those that were deleted before or while they were sent."""

from dataclasses import replace

import pytest

from services.recorder.adapters.measure import Waveform
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.domain.location import location_of
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Step
from services.recorder.storing import Outcome
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.fakes import Killed, MemoryDocuments, killed_after
from tests.unit.recorder.sounds import sound, wav


def test_silence_is_marked_and_a_quiet_voice_is_not(node: Node) -> None:
    for name, peak in (("zero", 0), ("hum", 60), ("voice", 500)):
        node.put(wav(sound(8000, peak=peak)), location_of(f"acme/call-1/{name}.wav"))
        node.store_it(location_of(f"acme/call-1/{name}.wav"))
    assert {name: row.silent for name, row in node.documents.rows.items()} == {
        "zero": True,
        "hum": True,
        "voice": False,
    }


def test_silence_is_removed_by_policy_after_it_was_told(node: Node) -> None:
    node.policies.policy = Policy(remove_silent=True)
    node.put(wav(sound(8000, peak=0)))
    assert node.store_it() is Outcome.STORED
    assert not node.store.objects
    assert [document.recording_id for document in node.announcements.told] == ["rec-1"]
    ((document, actor),) = node.announcements.deletions
    assert (document.delete_reason, actor) == ("silent", "")
    assert not node.documents.waveforms


def store_deleted_and_again(node: Node) -> None:
    """Store a recording, begin to delete it, and let its file come once more: it goes, and nothing is stored."""
    content = wav(sound(400))
    node.put(content)
    node.store_it()
    node.documents.begin_removal(node.documents.rows["rec-1"], "erasure", 1)
    path = node.put(content)
    assert node.store_it() is Outcome.STORED
    assert not path.exists()
    assert not node.store.objects


def test_silence_that_is_to_go_is_copied_nowhere(node: Node) -> None:
    node.policies.policy = Policy(remove_silent=True, copies=("drive",))
    for name, peak in (("silent", 0), ("voice", 500)):
        node.put(wav(sound(8000, peak=peak)), location_of(f"acme/call-1/{name}.wav"))
        node.store_it(location_of(f"acme/call-1/{name}.wav"))
    assert {name: row.copies for name, row in node.documents.rows.items()} == {"silent": (), "voice": ("drive",)}
    assert [document.recording_id for document, _ in node.announcements.deletions] == ["silent"]


def test_a_copied_recording_is_only_marked_by_who_does_not_know_the_drives(node: Node) -> None:
    node.policies.policy = Policy(copies=("drive",))
    store_deleted_and_again(node)
    assert node.documents.rows["rec-1"].key, "whoever deletes the copies needs their name"
    assert not node.announcements.deletions


def test_a_voice_is_not_removed_as_silence(node: Node) -> None:
    node.policies.policy = Policy(remove_silent=True)
    node.put(wav(sound(8000, peak=500)))
    node.store_it()
    assert len(node.store.objects) == 1
    assert not node.announcements.deletions


def test_a_file_whose_recording_was_deleted_meanwhile_is_not_stored_anew(node: Node) -> None:
    store_deleted_and_again(node)
    assert len(node.store.puts) == 1


def test_a_late_file_of_a_recording_that_is_wholly_gone_is_not_sent_anywhere(node: Node) -> None:
    content = wav(sound(400))
    node.put(content)
    node.store_it()
    marked = node.documents.begin_removal(node.documents.rows["rec-1"], "erasure", 1)
    assert marked is not None
    node.store.delete(marked.key)
    node.documents.strip(marked)
    path = node.put(content)
    assert node.store_it() is Outcome.STORED
    assert not path.exists()
    assert len(node.store.puts) == 1
    assert len(node.announcements.told) == 1


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
