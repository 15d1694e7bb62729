"""One try of one recording, on a real disk, with stores in memory: from the file to its last trace, over kills too."""

import hashlib
import os
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from services.recorder.adapters.disk import claim
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.adapters.own_files import Notes
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.bandwidth import Bandwidth
from services.recorder.domain.location import location_of
from services.recorder.domain.naming import CallNote
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Step
from services.recorder.errors import StoreFailed
from services.recorder.ports import World
from services.recorder.storing import Limits, Outcome, Storing
from services.shared.chassis.clock import Clock
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.fakes import Killed, killed_after
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
