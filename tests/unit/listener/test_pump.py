"""A session comes, goes and comes again; gaps are honest and pictures are taken so that nothing falls between.

The switch and Kafka are fakes; what is told is looked at.
"""

import json
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.listener.adapters import pump as pump_module
from services.listener.adapters.leg_journal import LegJournal
from services.listener.adapters.pump import Pump
from services.listener.domain.legs import Asked, Leg
from services.listener.domain.reconciliation import Reconciler
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.esl.client import Connected, Disconnected, Reply
from services.shared.esl.errors import ConnectionLost, NotSent, OutcomeUnknown
from tests.unit.listener.conftest import World, plain


class FakeSwitch:
    """Answers `show` by what lives now and `uuid_exists` by what lived then; both are written down."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.rows: list[dict[str, str]] = []
        self.is_silent = False

    def submit(self, command: bytes) -> Any:
        words = command.decode().split("\n")[0].removeprefix("api ")
        self.asked.append(words)
        return SimpleNamespace(get=lambda timeout: self._reply(words, timeout))

    def _reply(self, words: str, timeout: float) -> Reply:
        if self.is_silent:
            raise OutcomeUnknown(f"no reply within {timeout} s")
        if words.startswith("show channels"):
            return Reply(json.dumps({"rows": self.rows}))
        if words.startswith("uuid_exists"):
            return Reply(str(any(row["uuid"] == words.split()[1] for row in self.rows)).lower())
        return Reply('{"row_count":0}' if words.startswith("show") else "_undef_")

    def live(self, *legs: str) -> None:
        self.rows = [{"uuid": each, "direction": "inbound", "dest": "1000", "callstate": "RINGING"} for each in legs]


class FakePublisher:
    """Takes all; has no room when the test says so."""

    has_room, is_settled, is_pressed, settled, tokens = True, True, False, 0, 0
    trouble = "full"

    def __init__(self) -> None:
        self.told: list[Input] = []

    def put_all(self, inputs: Collection[Input]) -> None:
        self.told += inputs


class Scene:
    """A pump that is fed batch by batch."""

    def __init__(self, folder: Path) -> None:
        self.world, self.switch, self.publisher = World(), FakeSwitch(), FakePublisher()
        client: Any = None
        journal, clock = LegJournal(folder / "legs.log"), Clock(wall=lambda: self.now_s)
        publisher: Any = self.publisher
        switch: Any = self.switch
        self.now_s = 1000.0
        self.pump = Pump(client, switch, Reconciler(self.world.normaliser), journal, publisher, clock)

    def read(self, *items: Any) -> list[Input]:
        self.publisher.told.clear()
        self.pump._batch(list(items))
        return list(self.publisher.told)

    def connect(self, core: str = "core") -> list[Input]:
        return self.read(Connected(core, "1.10", 0.0))

    def lose(self) -> list[Input]:
        return self.read(Disconnected(ConnectionLost("lost"), was_connected=True, retry_in_seconds=0.0, at=0.0))

    def heartbeat(self, at_s: float) -> list[Input]:
        self.now_s = at_s
        return self.read(plain("HEARTBEAT", Event__Date__Timestamp=str(int(at_s * 1_000_000))))


def gaps(told: list[Input]) -> list[tuple[float, float, str]]:
    found = [each.fact.switch_gap for each in told if each.fact.HasField("switch_gap")]
    return [(each.from_us / 1e6, each.until_us / 1e6, each.reason) for each in found]


def kinds(told: list[Input]) -> list[str]:
    return [each.fact.WhichOneof("fact") or "" for each in told]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(pump_module, "LAG_SECONDS", 0.0)
    return Scene(tmp_path)


def test_a_first_session_tells_no_gap_and_a_lost_one_from_its_last_event_to_the_new_picture(scene: Scene) -> None:
    assert gaps(scene.connect()) == []
    scene.heartbeat(1010.0)
    assert kinds(scene.lose()) == ["switch_disconnected"]
    assert not scene.pump.ready.is_set()
    scene.now_s = 1015.0
    told = scene.connect()
    assert gaps(told) == [(1010.0, 1015.0, "lost")]
    assert kinds(told) == ["switch_connected", "switch_gap"]
    assert scene.pump.ready.is_set()
    scene.heartbeat(1020.0)
    scene.lose()
    assert [start for start, _, _ in gaps(scene.connect())] == [1020.0]


def test_a_picture_that_could_not_be_taken_is_taken_after_the_next_batch(scene: Scene) -> None:
    scene.connect()
    scene.lose()
    scene.switch.is_silent = True
    assert gaps(scene.connect()) == []
    assert not scene.pump.ready.is_set()
    scene.switch.is_silent = False
    assert len(gaps(scene.heartbeat(1030.0))) == 1
    assert scene.pump.ready.is_set()
    assert gaps(scene.heartbeat(1040.0)) == []


def test_events_that_were_discarded_are_a_gap_also_when_a_session_began_meanwhile(scene: Scene) -> None:
    scene.connect()
    scene.heartbeat(1010.0)
    scene.publisher.has_room = False
    scene.heartbeat(1011.0)
    assert scene.read(plain("CHANNEL_CREATE", Unique__ID="a", Call__Direction="inbound")) == []
    scene.lose()
    scene.now_s = 1020.0
    scene.connect()
    scene.switch.live("a")
    scene.now_s = 1030.0
    scene.read(plain("CHANNEL_CREATE", Unique__ID="a", Call__Direction="inbound"))
    scene.publisher.has_room = True
    told = scene.heartbeat(1040.0)
    assert gaps(told) == [(1020.0, 1040.0, "the spool was full")]
    assert "leg_created" in kinds(told)
    assert gaps(scene.heartbeat(1050.0)) == []


def test_who_is_gone_is_asked_before_the_lists_and_strangers_after_them(scene: Scene) -> None:
    """Who ends between the two ends by an event; whoever is listed and gone was never there."""
    scene.world.legs.add(Leg("a", "acme"))
    scene.switch.live("a", "b")
    scene.connect()
    asked = [each for each in scene.switch.asked if each.startswith(("show channels", "uuid_exists"))]
    assert asked == ["uuid_exists a", "show channels as json", "uuid_exists b"]


def test_who_had_ended_before_a_restart_ended_as_the_records_say(scene: Scene) -> None:
    legs = scene.world.legs
    asked_for: list[str] = []

    def records(gone: Collection[str]) -> list[Input]:
        asked_for.extend(gone)
        if "a" not in legs.live:
            return []
        told = scene.world.facts.of_leg(legs.live["a"], 0, 1)
        told.fact.leg_hung_up.cause = "NORMAL_CLEARING"
        legs.end(legs.live["a"])
        return [told]

    scene.connect("former")
    legs.add(Leg("a", "acme"))
    legs.add(Leg("b", "acme"))
    scene.pump.records_of_ended = records
    told = scene.connect("newer")
    ends = {each.fact.leg_id: each.fact.leg_hung_up.cause for each in told if each.fact.HasField("leg_hung_up")}
    assert ends == {"a": "NORMAL_CLEARING", "b": "SYSTEM_SHUTDOWN"}
    assert asked_for[:2] == ["a", "b"]
    assert kinds(told).count("switch_restarted") == 1


def test_open_questions_are_probed_after_each_picture_and_a_probe_that_fails_ends_nothing(scene: Scene) -> None:
    scene.world.legs.add(Leg("a", "acme", asked={"c1": Asked.DIGITS, "c2": Asked.PLAYBACK}))
    scene.switch.live("a")
    scene.switch.rows[0]["application"] = "play_and_get_digits"
    scene.connect()
    assert scene.switch.asked[-1] == "sendmsg a"
    scene.world.legs.add(Leg("b", "acme", asked={"x" * 125: Asked.DIGITS}))  # with its prefix no id any more
    scene.connect()
    assert scene.pump.ready.is_set()


def test_a_company_that_comes_while_events_flow_is_told_of_the_switch(scene: Scene) -> None:
    scene.connect()
    assert kinds(scene.heartbeat(1001.0)) == []
    scene.world.directory.put(scene.world.directory.entries[0].__class__("oak", 1, (), "oak.example", "en"))
    told = scene.heartbeat(1002.0)
    assert [(each.tenant_id, each.fact.WhichOneof("fact")) for each in told] == [("oak", "switch_connected")]
    assert kinds(scene.heartbeat(1003.0)) == []


def test_a_session_that_ends_while_the_picture_is_taken_is_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_command: bytes) -> None:
        raise NotSent("away")

    monkeypatch.setattr(scene.switch, "submit", away)
    scene.connect()
    assert not scene.pump.ready.is_set()
    monkeypatch.undo()
    monkeypatch.setattr(pump_module, "LAG_SECONDS", 0.0)
    scene.connect()
    assert scene.pump.ready.is_set()
