"""Outages of minutes in virtual time: scanner, dispatcher and storing as the service runs them, its clocks ours."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import gevent
import pytest
from gevent.event import Event

from services.recorder.adapters.s3 import Kind, Part
from services.recorder.dispatch import Dispatcher
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import Location, location_of
from services.recorder.domain.outage import Outages
from services.recorder.errors import StoreFailed
from services.recorder.scan import Scanner
from services.recorder.storing import Outcome
from tests.unit.recorder.conftest import Node
from tests.unit.recorder.fakes import MemoryStore
from tests.unit.recorder.sounds import sound, wav
from tests.unit.recorder.test_finding import settings

FILES = 40
WORKERS = 4
SCAN_SECONDS = 2.0
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
DAY = 86_400.0


@dataclass
class Clocks:
    """What the process takes for time."""

    passed: float = 0.0
    wall_ahead: float = 0.0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks, wall, steady = Clocks(), time.time(), time.monotonic()
    monkeypatch.setattr(time, "time", lambda: wall + clocks.passed + clocks.wall_ahead)
    monkeypatch.setattr(time, "monotonic", lambda: steady + clocks.passed)
    return clocks


class Service:
    """One recorder on a node; `pass_time` moves its clocks and lets it look every SCAN_SECONDS."""

    def __init__(self, node: Node, clocks: Clocks) -> None:
        self._clocks = clocks
        self.tries: list[Location] = []
        storing = node.storing()

        def store(location: Location) -> Outcome:
            self.tries.append(location)
            return storing.store(location)

        self._dispatcher = Dispatcher(store, 100, FIRST_SECONDS, LONGEST_SECONDS)
        self._scanner = Scanner(settings(node.root), storing, self._dispatcher, Stillness())
        self._stopping = Event()
        self._workers = [gevent.spawn(self._dispatcher.work, self._stopping) for _ in range(WORKERS)]

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / SCAN_SECONDS)):
            self._clocks.passed += SCAN_SECONDS
            self._scanner.scan()
            while self._dispatcher._busy:
                gevent.idle()

    def trouble(self) -> str:
        return self._dispatcher.trouble()

    def stop(self) -> None:
        self._stopping.set()
        gevent.joinall(self._workers, timeout=60)


@pytest.fixture
def service(node: Node, clocks: Clocks) -> Iterator[Service]:
    service = Service(node, clocks)
    yield service
    service.stop()


@pytest.mark.parametrize("jump", [0.0, DAY, -DAY], ids=["steady", "a day ahead", "a day back"])
def test_a_store_that_is_away_for_ten_minutes_gets_everything_once_whatever_the_clock_does(
    node: Node, service: Service, clocks: Clocks, jump: float
) -> None:
    wanted = {f"rec-{number}": wav(sound(100, seed=number)) for number in range(FILES)}
    for name, body in wanted.items():
        node.put(body, location_of(f"acme/call-1/{name}.wav"))
    node.store.is_away = True
    service.pass_time(300)
    clocks.wall_ahead = jump
    service.pass_time(300)
    assert len(list(node.root.glob("*/*/*.wav"))) == FILES, "something was deleted that was never stored"
    assert service.trouble()
    # Those in hand fail; then one tries for all, less and less often: every look would make six thousand tries.
    assert len(service.tries) <= WORKERS + 30
    node.store.is_away = False
    service.pass_time(LONGEST_SECONDS + SCAN_SECONDS)
    assert not list(node.root.glob("*/*/*.wav"))
    assert not service.trouble()
    stored = {key.rsplit("/", 1)[1].removesuffix(".wav"): body for key, body in node.store.objects.items()}
    assert stored == wanted
    assert len(node.store.puts) == len(node.store.objects) == FILES
    assert sorted(told.recording_id for told in node.announcements.told) == sorted(wanted)


class RefusesOne(MemoryStore):
    """A store that answers nothing but errors for what one company, or one of its recordings, sends."""

    refused = ""

    def put(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> StoredObject | None:
        if self.refused in key:
            raise StoreFailed("the object store answered KMS.NotFoundException")
        return super().put(key, parts, digest, kind)


@pytest.fixture
def refusing(node: Node) -> RefusesOne:
    node.store = RefusesOne()
    return node.store


def test_a_company_that_is_refused_holds_up_nobody_else(refusing: RefusesOne, node: Node, service: Service) -> None:
    refusing.refused = "acme/"
    for number in range(FILES):
        node.put(wav(sound(100)), location_of(f"acme/call-1/mine-{number}.wav"))
        node.put(wav(sound(100)), location_of(f"rival/call-1/theirs-{number}.wav"))
    service.pass_time(SCAN_SECONDS * 2)
    assert not list(node.root.glob("rival/*/*.wav"))
    assert len(list(node.root.glob("acme/*/*.wav"))) == FILES


def test_one_recording_that_is_always_refused_holds_up_its_company_for_seconds(
    refusing: RefusesOne, node: Node, service: Service
) -> None:
    refusing.refused = "rec-7"
    for number in range(10):
        node.put(wav(sound(100)), location_of(f"acme/call-1/rec-{number}.wav"))
    service.pass_time(10 * SCAN_SECONDS)
    assert [path.stem for path in node.root.glob("*/*/*.wav")] == ["rec-7"]
    refusing.refused = "none"
    service.pass_time(LONGEST_SECONDS + SCAN_SECONDS)
    assert not list(node.root.glob("*/*/*.wav"))


def test_one_tries_at_a_time_and_those_that_were_under_way_count_as_one_failure() -> None:
    outages = Outages(float)  # the first pause is a second, the second two
    first, second, third = (location_of(f"acme/call-1/rec-{number}.wav") for number in range(3))
    assert outages.failed(first, 0.0) == 1.0
    assert outages.failed(second, 0.5) == 0.5, "it was under way when it began"
    assert not outages.admits(second, 0.9)
    assert outages.admits(second, 1.0)
    assert not outages.admits(third, 5.0), "one tries now, however long it takes"
    assert outages.failed(third, 5.0) == 0.0
    assert outages.failed(second, 5.0) == 2.0
    outages.left(second)
    assert not outages.admits(third, 6.9)
    assert outages.admits(third, 7.0)
