"""How files are found, queued, paused, put aside and cleaned up, and what an event of the switch changes."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event as Flag
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.recorder.adapters.folder import list_folder
from services.recorder.adapters.own_files import Notes
from services.recorder.dispatch import Dispatcher
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.location import Location, location_of
from services.recorder.domain.naming import CallNote
from services.recorder.errors import FileChanged
from services.recorder.node_events import CallNotes, NodeEvents
from services.recorder.scan import Scanner
from services.recorder.settings import Settings
from services.recorder.storing import Outcome
from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event, RecordingStarted, RecordingStopped
from services.shared.testing.memory_bus import MemoryBus
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.sounds import cut, sound, wav

DEADLINE_SECONDS = 60.0
NOW_US = 1_795_400_000_000_000
SETTLE_SECONDS = 30.0


def settings(root: Path, settle: float = 0.0) -> Settings:
    return Settings(
        node="fs-1",
        recordings_dir=root,
        kafka_bootstrap="",
        mongodb_uri="",
        s3_endpoint="",
        s3_bucket="recordings",
        s3_access_key="",
        s3_secret_key="",
        recorder_settle_seconds=settle,
        recorder_empty_folder_seconds=60.0,
    )


class Running:
    """Scanner, dispatcher and one worker on a node's folder."""

    def __init__(self, node: Node, settle: float = 0.0, pause: float = 1000.0) -> None:
        storing = node.storing()
        self.stopping = Flag()
        self.dispatcher = Dispatcher(storing.store, 100, pause, pause)
        self.scanner = Scanner(settings(node.root, settle), storing, self.dispatcher, Stillness())
        self.worker = gevent.spawn(self.dispatcher.work, self.stopping)

    def until_idle(self) -> None:
        with gevent.Timeout(DEADLINE_SECONDS):
            while self.dispatcher._busy:
                gevent.idle()

    def close(self) -> None:
        self.stopping.set()
        self.worker.join(DEADLINE_SECONDS)
        assert self.worker.successful()


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"ringmaster_recorder_{name}", labels) or 0.0


def test_a_scan_finds_every_finished_file_and_measures_what_waits(node: Node) -> None:
    places = [location_of(f"acme/call-{number}/rec-{number}.wav") for number in range(5)]
    for place in places:
        node.put(wav(sound(100, seed=len(place.path))), place)
    running = Running(node)
    running.scanner.scan()
    assert metric("files_waiting") == 5
    assert metric("waiting_bytes") == 5 * 444
    running.until_idle()
    running.scanner.scan()
    assert len(node.store.objects) == 5
    assert metric("files_waiting") == 0
    assert metric("disk_free_bytes") > 0
    running.close()


def test_a_disk_above_a_watermark_is_told_once_and_until_it_is_below(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(node)
    full = dict.fromkeys(("high", "critical"), 0.0)

    def look(used: int) -> list[str]:
        """Look at a disk of which so many hundredths are used; return the watermarks that the log names."""
        disk = SimpleNamespace(f_blocks=100, f_bavail=100 - used, f_frsize=4096)
        monkeypatch.setattr("services.recorder.scan.os.statvfs", lambda _path: disk)
        with capture_logs() as logged:
            running.scanner.scan()
        full.update({mark: metric("disk_above_watermark", watermark=mark) for mark in full})
        return [line["watermark"] for line in logged if line["event"] == "disk_above_watermark"]

    assert (look(79), full) == ([], {"high": 0, "critical": 0})
    assert (look(80), full) == (["high"], {"high": 1, "critical": 0})
    assert (look(96), full) == (["critical"], {"high": 1, "critical": 1})
    assert look(96) == []
    assert (look(50), full) == ([], {"high": 0, "critical": 0})
    assert metric("disk_used_ratio") == 0.5
    running.close()


def test_one_file_that_fails_waits_its_pause_while_others_go_on() -> None:
    bad = location_of("acme/call-1/bad.wav")
    tried: list[Location] = []

    def store(place: Location) -> Outcome:
        tried.append(place)
        if place == bad:
            raise FileChanged("it was written to")
        return Outcome.STORED

    dispatcher = Dispatcher(store, 100, 1000.0, 1000.0)
    stopping = Flag()
    worker = gevent.spawn(dispatcher.work, stopping)
    assert dispatcher.offer(bad)
    assert not dispatcher.offer(bad)
    assert dispatcher.offer(PLACE)
    with gevent.Timeout(DEADLINE_SECONDS):
        while len(tried) < 2 or dispatcher._busy:
            gevent.idle()
    assert not dispatcher.offer(bad)
    assert dispatcher.offer(PLACE)
    dispatcher.keep_only(set())
    assert dispatcher.offer(bad)
    stopping.set()
    worker.join(DEADLINE_SECONDS)


def test_a_file_that_wakes_a_bug_does_not_stop_the_others() -> None:
    tried: list[Location] = []

    def store(place: Location) -> Outcome:
        tried.append(place)
        raise ZeroDivisionError

    dispatcher = Dispatcher(store, 100, 1000.0, 1000.0)
    stopping = Flag()
    worker = gevent.spawn(dispatcher.work, stopping)
    before = metric("uploads_total", outcome="bug")
    dispatcher.offer(PLACE)
    dispatcher.offer(location_of("acme/call-1/other.wav"))
    with gevent.Timeout(DEADLINE_SECONDS):
        while len(tried) < 2 or dispatcher._busy:
            gevent.idle()
    assert metric("uploads_total", outcome="bug") == before + 2
    stopping.set()
    worker.join(DEADLINE_SECONDS)
    assert worker.successful()


def test_the_queue_is_bounded(node: Node) -> None:
    dispatcher = Dispatcher(node.store_it, 2, 1.0, 1.0)
    offered = [dispatcher.offer(location_of(f"acme/call/rec-{number}.wav")) for number in range(4)]
    assert offered == [True, True, False, False]


def test_failures_in_a_row_make_the_recorder_say_why_it_is_not_ready(node: Node) -> None:
    node.store.is_away = True
    for number in range(3):
        node.put(wav(sound(10)), location_of(f"acme/call/rec-{number}.wav"))
    running = Running(node, pause=0.0)
    for _ in range(3):
        assert not running.dispatcher.trouble()
        running.scanner.scan()
        running.until_idle()
    assert running.dispatcher.trouble() == "the object store is away"
    running.close()


def test_what_lies_at_an_impossible_place_is_put_aside_once_it_is_still(node: Node) -> None:
    strays = ["loose.wav", "acme/notes.txt", "acme/call/..wav", "acme/call/deep/down/rec.wav", "UPPER/call/rec.wav"]
    for stray in strays:
        path = node.root / stray
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    patient = Running(node, settle=3600.0)
    patient.scanner.scan()
    assert (node.root / "loose.wav").exists()
    patient.close()
    running = Running(node)
    running.scanner.scan()
    running.close()
    assert len(list((node.root / ".recorder" / "quarantine").glob("*.file"))) == len(strays)
    assert not list_folder(node.root, 100).strays
    assert not node.announcements.failures


def test_an_empty_folder_is_removed_only_when_it_is_old(node: Node) -> None:
    fresh, old = node.root / "acme" / "fresh", node.root / "acme" / "old"
    fresh.mkdir(parents=True)
    old.mkdir()
    os.utime(old, (0, 0))
    running = Running(node)
    running.scanner.scan()
    running.close()
    assert fresh.exists()
    assert not old.exists()


def test_a_plan_whose_recording_is_gone_is_forgotten(node: Node) -> None:
    plans = node.root / ".recorder" / "plans"
    plans.mkdir(parents=True)
    (plans / "acme~call-1~rec-1.json").write_text('{"recorded_us": 1}')
    (plans / "acme~call-1~rec-2.json").write_text('{"recorded_us": 1}')
    node.put(cut(wav(sound(10))), location_of("acme/call-1/rec-2.wav"))
    running = Running(node, settle=3600.0)
    running.scanner.scan()
    running.close()
    assert [path.name for path in plans.iterdir()] == ["acme~call-1~rec-2.json"]


def test_links_to_folders_are_not_walked_into(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "call").mkdir()
    (outside / "call" / "rec.wav").write_bytes(wav(sound(10)))
    (node.root / "acme").symlink_to(outside)
    contents = list_folder(node.root, 100)
    assert not contents.waiting
    assert [stray.path for stray in contents.strays] == ["acme"]


class Heard:
    """A node that hears events from a bus in memory."""

    def __init__(self, node: Node) -> None:
        self.bus = MemoryBus()
        self.offered: list[Location] = []
        self.missing: list[Location] = []
        self.notes = Notes(node.root)
        self.late: list[tuple[Location, CallNote]] = []
        self.stopping = Flag()
        events = NodeEvents(
            "fs-1",
            lambda: self.bus.consumer("recorder.fs-1", [CALLS]),
            self.offered.append,
            lambda place: (node.root / place.path).exists(),
            self._note_missing,
            CallNotes(
                self.notes.keep, lambda place, note: self.late.append((place, note)), lambda: NOW_US, SETTLE_SECONDS
            ).take,
        )
        self.reader = gevent.spawn(events.run, self.stopping)

    def _note_missing(self, place: Location) -> Outcome:
        self.missing.append(place)
        return Outcome.QUARANTINED

    def stopped(
        self,
        path: str,
        node: str = "fs-1",
        tenant: str = "acme",
        recording: str = "rec-1",
        duration_ms: int = 10_000,
    ) -> None:
        event = Event(event_id=path, tenant_id=tenant, call_id="call-1")
        event.time.FromMilliseconds(1)
        event.recording_stopped.CopyFrom(
            RecordingStopped(recording_id=recording, node=node, path=path, duration_ms=duration_ms)
        )
        publish_event(self.bus.producer(), event)

    def started(self, begun_seconds_ago: float) -> None:
        event = Event(event_id="started", tenant_id="acme", call_id="call-1")
        event.time.FromMicroseconds(NOW_US - int(begun_seconds_ago * 1_000_000))
        told = RecordingStarted(recording_id="rec-1", node="fs-1", path=PLACE.path)
        told.queue_id, told.agent_id, told.caller, told.line = "sales", "olena", "+380501112233", "+380441000001"
        event.recording_started.CopyFrom(told)
        publish_event(self.bus.producer(), event)

    def until_read(self) -> None:
        with gevent.Timeout(DEADLINE_SECONDS):
            while sum(self.bus.offsets.values()) < len(self.bus.records(CALLS)):
                gevent.idle()
        self.stopping.set()
        self.bus.changed.set()
        self.reader.join(DEADLINE_SECONDS)
        assert self.reader.successful()


def test_an_event_of_this_node_offers_its_file_and_others_are_left(node: Node) -> None:
    node.put(wav(sound(10)))
    heard = Heard(node)
    heard.stopped(PLACE.path, node="fs-2")
    heard.stopped("../../etc/passwd")
    heard.stopped(PLACE.path, tenant="rival")
    heard.stopped(PLACE.path, recording="rec-2")
    heard.stopped(PLACE.path)
    heard.bus.producer().send(CALLS, "acme", b"\xff\xff", timestamp_ms=1, headers={"ce_type": "recording.stopped"})
    heard.until_read()
    assert heard.offered == [PLACE]
    assert not heard.missing


def test_an_event_whose_file_is_nowhere_is_looked_into(node: Node) -> None:
    heard = Heard(node)
    heard.stopped(PLACE.path)
    heard.until_read()
    assert heard.missing == [PLACE]


def test_an_event_of_a_recording_that_nothing_was_written_into_misses_no_file(node: Node) -> None:
    heard = Heard(node)
    heard.stopped(PLACE.path, duration_ms=0)
    heard.until_read()
    assert not heard.missing
    assert not heard.offered


@pytest.mark.parametrize(("ago", "is_late"), [(0.0, False), (29.9, False), (30.0, True), (600.0, True)])
def test_whose_call_it_is_reaches_a_recording_that_was_stored_before_that_was_told(
    node: Node, ago: float, *, is_late: bool
) -> None:
    heard = Heard(node)
    heard.started(ago)
    heard.until_read()
    note = CallNote("sales", "olena", "+380501112233", "+380441000001")
    assert heard.notes.find(PLACE) == note
    assert heard.late == ([(PLACE, note)] if is_late else [])


def test_a_company_whose_recordings_have_piled_up_hides_nobody_elses(node: Node) -> None:
    for tenant, count in (("big", 30), ("a-small", 1), ("small", 2)):
        for number in range(count):
            node.put(wav(sound(10)), location_of(f"{tenant}/call-{number}/{tenant}-{number}.wav"))
    seen: set[str] = set()
    behind = ""
    for _ in range(4):
        contents = list_folder(node.root, 10, behind)
        assert len(contents.waiting) <= 10
        seen |= {waiting.location.tenant_id for waiting in contents.waiting}
        behind = contents.stopped_in
        assert behind
    assert seen == {"big", "a-small", "small"}
    whole = list_folder(node.root, 100, "big")
    assert (len(whole.waiting), whole.stopped_in) == (33, "")


def test_a_scan_comes_to_every_company_and_forgets_no_failure_of_who_was_not_looked_at(node: Node) -> None:
    for tenant, count in (("big", 8), ("small", 1)):
        for number in range(count):
            node.put(wav(sound(10)), location_of(f"{tenant}/call-{number}/{tenant}-{number}.wav"))
    running = Running(node)
    node.store.is_away = True
    few = replace(settings(node.root), recorder_queue_files=5)
    scanner = Scanner(few, node.storing(), running.dispatcher, Stillness())
    scanner.scan()
    running.until_idle()
    assert {place.tenant_id for place in running.dispatcher._failures} == {"big"}
    scanner.scan()
    running.until_idle()
    assert {place.tenant_id for place in running.dispatcher._failures} == {"big", "small"}
    running.close()


def test_a_file_that_is_left_alone_for_now_begins_its_pauses_anew() -> None:
    tries = iter([FileChanged("1"), FileChanged("2"), None, FileChanged("3")])

    def store(_place: Location) -> Outcome:
        if (error := next(tries)) is not None:
            raise error
        return Outcome.UNFINISHED

    dispatcher = Dispatcher(store, 10, 0.0, 0.0)
    with capture_logs() as told:
        for _ in range(4):
            dispatcher._try(PLACE)
    assert [line["attempt"] for line in told] == [1, 2, 1]
