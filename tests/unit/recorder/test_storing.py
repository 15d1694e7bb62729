"""One try of one recording, on a real disk, with stores in memory: from the file to its last trace, over kills too."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import gevent
import pytest
from prometheus_client import REGISTRY

from services.recorder.adapters.disk import claim
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.adapters.own_files import Notes
from services.recorder.adapters.s3 import Kind, Part
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.bandwidth import Bandwidth
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.form import Form
from services.recorder.domain.location import Location, location_of
from services.recorder.domain.naming import CallNote
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Step
from services.recorder.errors import EncodingFailed, FileChanged, FolderFailed, NoteCame, StoreFailed
from services.recorder.ports import World
from services.recorder.storing import Limits, Outcome, Storing
from services.shared.chassis.clock import Clock
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.fakes import Killed, MemoryStore, killed_after
from tests.unit.recorder.sounds import cut, frames_of, sound, wav


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


def failed(how: str) -> float:
    """Return how many recordings were told to have failed, as Prometheus is told it."""
    return REGISTRY.get_sample_value("ringmaster_recorder_recordings_failed_total", {"how": how}) or 0.0


def test_a_recording_that_is_nowhere_is_said_to_be_lost_and_counted_for_the_alert(node: Node) -> None:
    before = failed("missing")
    assert node.storing().note_missing(PLACE) is Outcome.QUARANTINED
    assert [place for place, _ in node.announcements.failures] == [PLACE]
    assert failed("missing") == before + 1


def test_a_recording_that_is_put_aside_is_counted_for_the_alert(node: Node) -> None:
    before = failed("put_aside")
    node.put(b"no sound")
    assert node.store_it() is Outcome.QUARANTINED
    assert failed("put_aside") == before + 1


def test_a_file_that_has_come_since_it_was_missed_is_not_said_to_be_lost(node: Node) -> None:
    node.put(wav(sound(100)))
    assert node.storing().note_missing(PLACE) is Outcome.UNFINISHED
    assert not node.announcements.failures


def test_what_was_sent_without_a_plan_on_a_full_disk_is_not_sent_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.recorder.adapters.own_files.Plans.keep", lambda *_: False)
    node.put(wav(sound(100)))
    with pytest.raises(Killed):
        node.storing(killed_after(Step.UPLOAD)).store(PLACE)
    assert node.store_it() is Outcome.STORED
    assert len(node.store.puts) == 1


def test_no_more_are_sent_at_once_than_the_node_may(node: Node) -> None:
    under_way: list[int] = [0, 0]

    class Counting(MemoryStore):
        def put(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> StoredObject | None:
            under_way[0] += 1
            under_way[1] = max(under_way)
            gevent.sleep(0)
            under_way[0] -= 1
            return super().put(key, parts, digest, kind)

    node.store = Counting()
    storing = node.storing()
    places = [location_of(f"acme/call-1/rec-{number}.wav") for number in range(12)]
    for number, place in enumerate(places):
        node.put(wav(sound(100, seed=number)), place)
    done = gevent.joinall([gevent.spawn(storing.store, place) for place in places])
    assert [each.value for each in done] == [Outcome.STORED] * 12
    assert 1 < under_way[1] <= Limits(0.0, 1, "fs-1").uploads_at_once


def test_a_recording_that_was_stored_before_is_not_said_to_be_lost(node: Node) -> None:
    node.put(wav(sound(100)))
    node.store_it()
    assert node.storing().note_missing(PLACE) is Outcome.GONE
    assert isinstance(node.documents.rows["rec-1"], RecordingDocument)
    assert not node.announcements.failures


NOTE = CallNote("sales", "olena", "+380501112233", "+380441000001")


def test_a_recording_is_named_by_its_companys_template_and_nothing_is_left_of_its_notes(node: Node) -> None:
    node.policies.policy = Policy(name_template="{queue}/{agent}/{caller} {recording_id}")
    Notes(node.root).keep(PLACE, replace(NOTE, agent_id="../../rival"))
    node.put(wav(sound(400)))
    node.store_it()
    assert list(node.store.objects) == ["acme/sales/_.._rival/+380501112233_rec-1.wav"]
    assert not [file for file in (node.root / ".recorder").rglob("*") if file.is_file()]


def test_a_header_that_is_not_written_yet_is_waited_for_though_its_call_is_known(node: Node) -> None:
    node.settle_seconds = 3600.0
    Notes(node.root).keep(PLACE, NOTE)
    path = node.put(cut(wav(sound(400))))
    assert node.store_it() is Outcome.UNFINISHED
    assert path.exists()
    assert not node.store.puts


@pytest.mark.parametrize("last", [Step.VERIFY, Step.DOCUMENT, Step.ANNOUNCE])
@pytest.mark.parametrize("how", ["grows", "is replaced", "is opened by a writer"])
def test_a_file_that_changes_after_it_was_sent_is_not_deleted(node: Node, last: Step, how: str) -> None:
    path = node.put(wav(sound(400)))
    with ExitStack() as held:

        def change(step: Step, _seconds: float) -> None:
            if step is not last:
                return
            if how == "grows":
                path.write_bytes(path.read_bytes() + b"more")
            elif how == "is replaced":
                other = path.with_name("other")
                other.write_bytes(wav(sound(500)))
                other.replace(path)
            else:
                held.enter_context(path.open("ab"))

        with pytest.raises(FileChanged):
            node.storing(change).store(PLACE)
    assert path.exists()


def test_a_file_that_another_recorder_finishes_just_before_it_is_claimed_is_gone(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = node.put(wav(sound(400)))
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert node.store_it() is Outcome.GONE
    assert not node.store.puts


def test_where_the_kernel_can_not_tell_of_writers_a_finished_file_is_stored(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = fcntl.fcntl

    def refused(descriptor: int, operation: int, *given: int) -> int:
        if operation == fcntl.F_SETLEASE:
            raise PermissionError(errno.EACCES, "not the owner")
        return known(descriptor, operation, *given)

    monkeypatch.setattr(fcntl, "fcntl", refused)
    node.put(wav(sound(400)))
    assert node.store_it() is Outcome.STORED


def test_what_was_documented_without_a_plan_keeps_its_name_under_another_template(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.recorder.adapters.own_files.Plans.keep", lambda *_: False)
    node.put(wav(sound(100)))
    with pytest.raises(Killed):
        node.storing(killed_after(Step.DOCUMENT)).store(PLACE)
    before = dict(node.store.objects)
    node.policies.policy = Policy(name_template="elsewhere/{recording_id}")
    assert node.store_it() is Outcome.STORED
    assert node.store.objects == before
    assert len(node.store.puts) == 1


def test_a_disk_that_fails_otherwise_than_by_being_full_stores_nothing_without_a_plan(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_given: object, **_more: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr("services.recorder.adapters.own_files.write_whole", fails)
    node.put(wav(sound(100)))
    with pytest.raises(FolderFailed):
        node.store_it()
    assert not node.store.puts


def test_a_note_waits_a_day_for_its_file(node: Node) -> None:
    notes = Notes(node.root)
    notes.keep(PLACE, NOTE)
    node.storing().forget_finished()
    assert notes.find(PLACE) == NOTE
    os.utime(notes.path(PLACE), (0, 0))
    node.storing().forget_finished()
    assert notes.find(PLACE) is None


def test_whose_call_it_is_may_become_known_at_any_step_and_gets_into_the_document(node: Node) -> None:
    for number, last in enumerate((Step.INSPECT, Step.ENCODE, Step.UPLOAD, Step.VERIFY, Step.DOCUMENT, Step.ANNOUNCE)):
        place = location_of(f"acme/call-1/late-{number}.wav")

        def note(step: Step, _seconds: float, last: Step = last, place: Location = place) -> None:
            if step is last:
                Notes(node.root).keep(place, NOTE)

        path = node.put(wav(sound(400, seed=number)), place)
        with pytest.raises(NoteCame):
            node.storing(note).store(place)
        assert path.exists()
        assert node.store_it(place) is Outcome.STORED
        document = node.documents.rows[place.recording_id]
        assert (document.caller, document.queue_id, document.agent_id, document.line) == (
            *(NOTE.caller, NOTE.queue_id, NOTE.agent_id, NOTE.line),
        )
        assert not path.exists()
    assert len(node.store.puts) == 6


def test_an_object_under_a_name_of_an_earlier_try_goes_before_its_document_forgets_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.policies.policy = Policy(form=Form.FLAC)
    node.put(wav(sound(400)))
    with pytest.raises(Killed):
        node.storing(killed_after(Step.DOCUMENT)).store(PLACE)
    assert [key.rpartition(".")[2] for key in node.store.objects] == ["flac"]
    day = node.documents.rows["rec-1"].recorded_us
    node.clock = Clock(speed=1000.0, epoch=2_000_000_000.0, wall0=1_795_000_000.0)
    for file in (node.root / ".recorder" / "encoded").iterdir():
        file.unlink()

    def full(*_given: object) -> None:
        raise EncodingFailed("no")

    monkeypatch.setattr("services.recorder.adapters.payload.encode", full)
    with pytest.raises(Killed):
        node.storing(killed_after(Step.VERIFY)).store(PLACE)
    assert node.store_it() is Outcome.STORED
    assert list(node.store.objects) == [node.documents.rows["rec-1"].key]
    assert node.documents.rows["rec-1"].key.endswith(".wav")
    assert node.documents.rows["rec-1"].recorded_us == day


def test_uploads_keep_the_bandwidth_of_their_node(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("services.recorder.storing.gevent.sleep", waited.append)
    monkeypatch.setattr("services.recorder.storing.time.monotonic", lambda: 1000.0)
    world = World(node.store, node.documents, node.announcements, node.policies)
    bandwidth = Bandwidth(1_000_000)
    storing = Storing(node.root, world, node.clock, Limits(0.0, 10**9, "fs-1"), Stillness(), bandwidth=bandwidth)
    for number in range(2):
        place = location_of(f"acme/call-1/rec-{number}.wav")
        node.put(wav(sound(750_000, seed=number)), place)
        assert storing.store(place) is Outcome.STORED
    # Three megabytes each, a mebibyte at a time: the first piece goes at once, each later one a second after another.
    sent = [0, 1.048576, 2.097152, 3.000044, 3.000044 + 1.048576, 3.000044 + 2.097152]
    assert waited == pytest.approx(sent[1:])
