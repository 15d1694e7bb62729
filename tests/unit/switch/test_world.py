"""A simulated hour with a small platform in the test: everybody who called is accounted for."""

from itertools import pairwise
from pathlib import Path

import pytest

from local.switch.clock import ManualClock
from local.switch.core import Switch
from local.switch.observer import Observer
from local.switch.scenario import Scenario, ScenarioError, parse_scenario
from local.switch.settings import read_settings
from local.switch.speech import Voices
from local.switch.world import World
from local.voices.clips import Speech
from tests.unit.switch.conftest import run

LINE = "+4930100001"


class Platform(Observer):
    """Answers every line, plays music, asks one agent after the other, records, bridges."""

    is_json = False

    def __init__(self, world: World, agents: list[str], *, claims: bool = True) -> None:
        self._world = world
        self._switch: Switch = world.switch
        self._claims = claims
        self._free = list(agents)
        self._waiting: list[str] = []
        self._agent_of: dict[str, str] = {}
        self._caller_of: dict[str, str] = {}
        self.handled = 0
        self._switch.bus.attach(self)

    def wants(self, name: str, _subclass: str | None) -> bool:
        return name in {"CHANNEL_PARK", "CHANNEL_HANGUP_COMPLETE"}

    def put(self, event: object) -> None:
        name, leg = event.name, event.header("Unique-ID")  # type: ignore[attr-defined] # an event
        self._switch.scheduler.after(0.001, lambda: self._react(name, leg))

    def _react(self, name: str, uuid: str) -> None:
        leg = self._switch.find(uuid)
        if name == "CHANNEL_PARK" and leg is not None:
            if uuid in self._caller_of:
                self._bridge(uuid)
            elif leg.direction == "inbound" and not leg.answered and self._claims:
                self._claim(uuid)
        elif name == "CHANNEL_HANGUP_COMPLETE":
            self._forget(uuid)

    def _claim(self, uuid: str) -> None:
        run(self._switch, f"sched_del {uuid}")
        run(self._switch, f"uuid_answer {uuid}")
        run(self._switch, f"uuid_broadcast {uuid} local_stream://default")
        self._waiting.append(uuid)
        self._match()

    def _match(self) -> None:
        while self._waiting and self._free:
            caller, agent = self._waiting.pop(0), self._free.pop(0)
            self.handled += 1
            leg = f"offer-{self.handled}"
            self._agent_of[leg], self._caller_of[leg] = agent, caller
            self._switch.api.run(
                "originate",
                f"{{origination_uuid={leg},ignore_early_media=true,originate_timeout=10}}user/{agent} &park()",
            )

    def _bridge(self, leg: str) -> None:
        caller = self._caller_of[leg]
        if run(self._switch, f"uuid_bridge {caller} {leg}").startswith("-ERR"):
            run(self._switch, f"uuid_kill {leg}")
            return
        run(self._switch, f"uuid_setvar {caller} RECORD_STEREO true")
        run(self._switch, f"uuid_record {caller} start {caller}.wav")

    def _forget(self, uuid: str) -> None:
        if uuid in self._waiting:
            self._waiting.remove(uuid)
        agent = self._agent_of.pop(uuid, None)
        caller = self._caller_of.pop(uuid, None)
        if agent is None:
            return
        self._free.append(agent)
        lives = self._switch.find(caller or "")
        if lives is not None and lives.is_up and lives.bridge is None:
            self._waiting.insert(0, lives.uuid)
        self._match()


def world_of(document: dict[str, object], tmp_path: Path, speech: Speech) -> World:
    scenario: Scenario = parse_scenario(document)
    settings = read_settings(["--recordings", str(tmp_path)], {})
    return World(settings, Voices(speech), clock=ManualClock(), scenario=scenario)


BUSY_HOUR: dict[str, object] = {
    "seed": 5,
    "minutes": 60,
    "domain": "acme.example",
    "callers": {"patience": "exponential(60)", "talk": "lognormal(40, 0.5)", "ends_first": 0.5},
    "lines": [{"number": LINE, "calls_per_hour": 200}],
    "agents": [
        {"id": "a", "count": 3, "answer": "uniform(1, 4)", "miss": 0.1, "reject": 0.1, "drop": 0.05, "hold": 0.2}
    ],
}


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> World:
    from local.voices.clips import Clip  # noqa: PLC0415 - only this fixture speaks
    from tests.unit.switch.conftest import loud  # noqa: PLC0415 - the same

    speech = Speech((Clip("a", loud(1000, 1.0), "one"), Clip("b", loud(2000, 1.0), "two")), loud(500, 2.0), "levels")
    world = world_of(BUSY_HOUR, tmp_path_factory.mktemp("recordings"), speech)
    Platform(world, ["a1", "a2", "a3"])
    world.start()
    world.switch.scheduler.advance(3600)
    assert world.phase() in {"draining", "drained"}
    world.switch.scheduler.advance(1200)
    return world


def test_after_the_last_call_the_switch_is_drained(hour: World) -> None:
    status = hour.status()
    assert status["phase"] == "drained"
    assert status["legs"] == status["bridges"] == 0
    assert status["calls"]["in_progress"] == 0


def test_every_call_has_exactly_one_outcome(hour: World) -> None:
    calls = hour.truth_document()["calls"]
    assert len(calls) == hour.status()["calls"]["placed"]
    assert 150 < len(calls) < 260
    outcomes = [call["outcome"] for call in calls]
    assert set(outcomes) <= {"answered", "abandoned", "rejected", "released"}
    assert outcomes.count("answered") > 50
    assert outcomes.count("abandoned") > 5
    assert sum(hour.truth.outcomes.values()) == len(calls)


def test_every_answered_call_has_its_recording_and_what_was_said(hour: World) -> None:
    for call in hour.truth_document()["calls"]:
        if call["outcome"] != "answered":
            assert not call["recordings"]
            continue
        assert len(call["recordings"]) == 1
        assert call["recordings"][0]["size"] > 44
        talk = call["talks"][-1]
        assert talk["agent"].endswith("@acme.example")
        assert call["arrived"] <= call["answered"] <= talk["started"] <= talk["ended"] <= call["hungup"] + 0.1
        if talk["ended"] - talk["started"] > 3:
            assert {turn["speaker"] for turn in talk["said"]} <= {"caller", "agent"}
            assert talk["said"]


def test_no_agent_is_rung_by_two_calls_at_once(hour: World) -> None:
    spans: dict[str, list[tuple[float, float]]] = {}
    for offer in hour.truth_document()["offers"]:
        spans.setdefault(offer["agent"], []).append((offer["rang"], offer["ended"]))
    assert len(spans) == 3
    for of_one in spans.values():
        of_one.sort()
        assert all(end <= begin + 0.05 for (_, end), (begin, _) in pairwise(of_one))


def test_the_same_seed_gives_the_same_hour(tmp_path: Path, speech: Speech) -> None:
    def arrivals() -> list[tuple[float, str, str]]:
        world = world_of({**BUSY_HOUR, "minutes": 5}, tmp_path, speech)
        Platform(world, ["a1", "a2", "a3"])
        world.start()
        world.switch.scheduler.advance(900)
        calls = world.truth_document()["calls"]
        return [(call["arrived"], call["number"], call["outcome"]) for call in calls]

    first = arrivals()
    assert first == arrivals()
    assert len(first) > 5


def test_calls_that_nobody_claims_take_the_fallback(tmp_path: Path, speech: Speech) -> None:
    world = world_of(
        {"minutes": 5, "callers": {"patience": 100}, "lines": [{"number": LINE, "calls_per_hour": 120}]},
        tmp_path,
        speech,
    )
    Platform(world, [], claims=False)
    world.start()
    world.switch.scheduler.advance(400)
    assert set(world.truth.outcomes) == {"fallback"}
    assert world.phase() == "drained"


def test_a_fallback_number_is_called_instead_of_an_apology(tmp_path: Path, speech: Speech) -> None:
    world = world_of(
        {
            "fallback_number": "sofia/gateway/default/+49301234",
            "outside": {"answer": 1, "talk": 10},
            "calls": [{"at": 0, "line": LINE, "patience": 100, "talk": 100}],
            "lines": [{"number": LINE}],
        },
        tmp_path,
        speech,
    )
    world.start()
    world.switch.scheduler.advance(60)
    call = world.truth_document()["calls"][0]
    assert call["outcome"] == "forwarded"
    assert call["took_fallback"]
    assert call["talks"][0]["party"].startswith("+49301234@")


def test_a_scripted_call_presses_what_it_is_told(tmp_path: Path, speech: Speech) -> None:
    world = world_of(
        {
            "lines": [{"number": LINE}],
            "calls": [{"at": 1, "line": LINE, "caller": "+49151", "name": "Anna", "digits": ["12"], "digit_delay": 1}],
        },
        tmp_path,
        speech,
    )
    world.start()
    world.switch.scheduler.advance(1.1)
    (leg,) = world.switch.legs.values()
    run(world.switch, f"uuid_answer {leg.uuid}")
    from local.switch.channel import PrivateCommand  # noqa: PLC0415 - only here

    leg.queue_command(PrivateCommand("play_and_get_digits", "2 2 1 5000 # ringmaster/menu.wav '' choice [0-9]+ 1000"))
    world.switch.scheduler.advance(3)
    assert leg.variables.get("choice") == "12"
    assert world.truth_document()["calls"][0]["digits"] == ["12"]


def test_who_is_made_to_call_is_as_patient_as_the_scenario_says(tmp_path: Path, speech: Speech) -> None:
    world = world_of({"callers": {"patience": 3600}, "extensions": {"1200": ["answer", "park"]}}, tmp_path, speech)
    legs = [world.place_call("1200", None) for _ in range(20)]
    world.switch.scheduler.advance(3_500)
    assert all(world.switch.find(leg) is not None for leg in legs)
    world.switch.scheduler.advance(200)
    assert not any(world.switch.find(leg) for leg in legs)


def test_a_phone_that_does_not_exist_can_not_be_changed(tmp_path: Path, speech: Speech) -> None:
    world = world_of({"agents": [{"id": "a"}]}, tmp_path, speech)
    assert not world.change_agent("nobody", {}, None)
    assert world.change_agent("a", {"does": "busy"}, None)
    assert world.agents()[0]["does"] == "busy"
    with pytest.raises(ScenarioError, match="there is no leg"):
        world.move_phone("nobody", {"does": "hang_up"})


def test_text_that_no_phone_could_send_is_refused(tmp_path: Path, speech: Speech) -> None:
    world = world_of({"lines": [{"number": LINE}]}, tmp_path, speech)
    with pytest.raises(ScenarioError, match="no text that a phone could send"):
        world.place_call(LINE, None, name="\ud83d")
