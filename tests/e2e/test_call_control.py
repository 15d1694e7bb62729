"""Call control as agents and supervisors use it: over the API, through router, Kafka and listener, to the switch.

What is asserted is who hears whom inside the switch, and what the switch's own books say afterwards. From the first
consultation on the company is split by routing domains, while it runs.
"""

import io
import signal
import time
import urllib.error
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.stack.layout import Layout
from local.stack.part import Part
from local.stack.parts import ADMIN_TOKEN
from local.stack.stack import TENANTS, Stack
from local.stack.web import get, post, put
from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS, CLIPS, INPUTS
from services.shared.contracts.ringmaster.v1.event_pb2 import CALL_EXIT_ANSWERED, Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.recognition_pb2 import RECOGNITION_OUTCOME_HEARD, RecogniseClip
from services.shared.testing.ports import free_range
from services.shared.testing.waiting import wait_until
from tests.e2e.asking import ask

pytestmark = [pytest.mark.stack, pytest.mark.kafka, pytest.mark.timeout(300)]

SPEED = 4
SECONDS = 30.0
GUARD_SECONDS = 5
"""As long as a call may be nobody's (freeswitch/conf/vars.xml)."""
LINE = "+380441000001"
NOTICE_LINE = "+380441000002"
OUTSIDE = "+380442000000"
CONFLICT = 409
PHONES = ("olena", "taras", "iryna", "bohdan", "maria", "petro", "oksana", "andriy")
SCENARIO = f"""
minutes: 600
seed: 3
lines: [{{number: "{LINE}"}}, {{number: "{NOTICE_LINE}"}}]
outside: {{answer: "fixed(1)", talk: "fixed(600)"}}
agents: [{", ".join(f'{{id: {name}, domain: acme.example, answer: "fixed(1)"}}' for name in PHONES)}]
"""


@dataclass
class Floor:
    """A stack whose customers, agents and supervisors are in the test's hands."""

    layout: Layout
    router: Part

    def asks(self, call_id: str, what: str, **body: Any) -> None:
        """Ask for something over the API until it is accepted: the switch knows of a talk before the router does."""
        url = self.layout.url("console", f"/v1/tenants/acme/calls/{call_id}/{what}")
        wait_until(lambda: _accepted(url, body), f"{what} is accepted", SECONDS)

    def splits(self) -> None:
        """Have sales and support decided apart from now on, each with its own agents (docs/adr/0033)."""
        url = self.layout.url("console", "/v1/tenants/acme")
        document = get(url, ADMIN_TOKEN)["document"]
        support = next(queue for queue in document["queues"] if queue["queue_id"] == "support")
        support["tiers"] = [tier for tier in support["tiers"] if tier["agent_id"] != "andriy"]
        shares = {"north": "sales", "south": "support"}
        document["routing_domains"] = [
            {"domain_id": domain_id, "queues": [queue_id], "concurrent_calls": 20}
            for domain_id, queue_id in shares.items()
        ]
        put(url, document, ADMIN_TOKEN)

    def supervises(self, call_id: str, phone: str, mode: str) -> None:
        url = self.layout.url("console", f"/v1/tenants/acme/calls/{call_id}/supervision/{phone}")
        wait_until(lambda: _accepted(url, {"mode": mode}, changes=True), f"{mode} is accepted", SECONDS)

    def comes(self, *agents: str) -> None:
        """Let these agents be ready, and nobody else; nobody is on the line."""
        for leg in self.legs().values():
            post(self.layout.url("switch", f"/legs/{leg['uuid']}"), {"does": "hang_up"})
        for name in PHONES:
            url = self.layout.url("console", f"/v1/tenants/acme/agents/{name}/status")
            put(url, {"status": "ready" if name in agents else "away"}, ADMIN_TOKEN)
        wanted = {name: "idle" if name in agents else "away" for name in PHONES}
        wait_until(lambda: self._states() == wanted, f"{agents} are idle, the others away", SECONDS)

    def _states(self) -> dict[str, str]:
        found = get(self.layout.url("console", "/v1/tenants/acme/agents"), ADMIN_TOKEN)["agents"]
        return {str(one["agent_id"]): str(one["state"]) for one in found}

    def now(self) -> float:
        """Return the platform's time, seconds since 1970."""
        return float(get(self.layout.url("switch", "/status"))["now"])

    def answers(self) -> set[str]:
        """Return the answers that lie on the switch: those of callers who pressed a digit meanwhile lie for a while."""
        return {path.name for path in self.layout.path("recordings").glob(".answers/*/*.wav")}

    def legs(self) -> dict[str, dict[str, Any]]:
        """Return the legs that live: agents' by the phone's name, others' by their ids."""
        found = get(self.layout.url("switch", "/legs"))
        return {leg["phone"].partition("@")[0] or leg["uuid"]: leg for leg in found}

    def talk(self, *agents: str, choice: str = "1") -> str:
        """Let these be ready, and a customer talk with one of them; returns the call."""
        self.comes(*agents)
        body = {"line": LINE, "number": "+380501110001", "patience": "fixed(600)", "talk": "fixed(600)"}
        digits = {"digits": [{choice: 1}], "ends_first": 1.0, "lingers": "fixed(600)"}
        call_id = str(post(self.layout.url("switch", "/call"), body | digits)["uuid"])
        self.hears(call_id, agents[0])
        return call_id

    def notice(self, agent: str) -> str:
        """Let a customer of the second line, whose talks are followed by a survey, talk with an agent."""
        self.comes(agent)
        person = {"number": "+380501110001", "patience": "fixed(600)", "talk": "fixed(600)", "lingers": "fixed(600)"}
        body = {"line": NOTICE_LINE, "digits": [{"1": 1}]} | person
        call_id = str(post(self.layout.url("switch", "/call"), body)["uuid"])
        self.hears(call_id, agent)
        return call_id

    def meet(self, call_id: str, *agents: str) -> None:
        """Bring a customer and two who consult into one room."""
        self.asks(call_id, "consult/join")
        all_of_them = {call_id, *agents}

        def are_together() -> bool:
            rooms = {self.legs()[leg]["room"] for leg in all_of_them}
            return len(rooms) == 1 and "" not in rooms

        wait_until(are_together, "one room for all", SECONDS)

    def hangs_up(self, agent: str) -> None:
        post(self.layout.url("switch", f"/legs/{self.legs()[agent]['uuid']}"), {"does": "hang_up"})

    def hears(self, one: str, other: str) -> None:
        """Wait until two legs hear each other."""

        def do_they() -> bool:
            legs = self.legs()
            return one in legs and other in legs and legs[one]["partner"] == legs[other]["uuid"]

        wait_until(do_they, f"{one} hears {other}", SECONDS)

    def runs(self, leg: str, application: str) -> None:
        """Wait until an application runs on a leg."""
        wait_until(lambda: self.legs().get(leg, {}).get("application") == application, application, SECONDS)

    def presses(self, leg: str, digit: str) -> None:
        post(self.layout.url("switch", f"/legs/{leg}"), {"does": "press", "digit": digit})

    def is_gone(self, leg: str) -> None:
        wait_until(lambda: leg not in self.legs(), f"{leg} is gone", SECONDS)

    def talked_with(self, call_id: str) -> list[str]:
        """Hang the customer up and return with whom it talked, by the switch's books; nobody may be left over."""
        post(self.layout.url("switch", f"/legs/{call_id}"), {"does": "hang_up"})
        wait_until(lambda: not self.legs(), "everybody's line is free", SECONDS)
        calls = get(self.layout.url("switch", "/truth"))["calls"]
        [call] = [call for call in calls if call["uuid"] == call_id]
        return [talk["agent"].partition("@")[0] or talk["party"] for talk in call["talks"]]

    def told(self, call_id: str) -> list[Event]:
        """Return the public events of a call, once its end is told."""
        reader = Consumer(self.layout.address("kafka"), None, [CALLS], "call-control")
        found: dict[str, Event] = {}

        def has_ended() -> bool:
            for record in reader.poll(0.2):
                event = Event.FromString(record.value)
                if event.call_id == call_id:
                    found[event.event_id] = event
            return any(event.HasField("call_ended") for event in found.values())

        wait_until(has_ended, "the call's end is told", SECONDS)
        reader.close()
        return sorted(found.values(), key=lambda event: event.sequence)


def _accepted(url: str, body: Any, *, changes: bool = False) -> bool:
    try:
        return bool(ask(url, body, changes=changes)["accepted"])
    except urllib.error.HTTPError as refused:
        refused.close()
        if refused.code != CONFLICT:
            raise
        return False


NOTICE = {
    "flow_id": "notice",
    "start": "hear",
    "steps": [
        {
            "step_id": "hear",
            "menu": {"prompts": ["notice"], "barge_in": False, "tries": 2, "timeout_ms": 30_000},
            "exits": {"1": "sales", "2": "gone", "timeout": "gone", "invalid": "gone"},
        },
        {
            "step_id": "sales",
            "queue": {"queue_id": "sales"},
            "exits": {"answered": "rate", "timeout": "gone", "no_agent": "gone", "full": "gone"},
        },
        {
            "step_id": "rate",
            "survey": {
                "survey_id": "how",
                "prompts": ["notice"],
                "lowest": 1,
                "highest": 5,
                "tries": 3,
                "timeout_ms": 30_000,
            },
            "exits": {"next": "gone", "skipped": "gone"},
        },
        {"step_id": "gone", "hangup": {}},
    ],
}


def _tenants(folder: Path) -> Path:
    """Write the shop, whose menu may be answered by speech too; its second line has a notice to be heard out."""
    document = yaml.safe_load((TENANTS / "acme.yaml").read_text(encoding="utf-8"))
    menu = next(step for step in document["flows"][0]["steps"] if step["step_id"] == "menu")
    menu["menu"]["spoken"] = [{"exit": "1", "phrases": ["sales"]}, {"exit": "2", "phrases": ["support", "a repair"]}]
    document["prompts"] = [{"prompt_id": "notice", "text": "this call is about your rights and " * 4}]
    document["flows"].append(NOTICE)
    document["lines"][1]["flow"] = "notice"
    folder.mkdir()
    text = yaml.safe_dump(document, allow_unicode=True).replace("'${RECEIVER_PORT}'", "${RECEIVER_PORT}")
    (folder / "acme.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    folder: Path = tmp_path_factory.mktemp("call-control")
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    wall0 = str(time.time())
    clock = {
        "RINGMASTER_CLOCK_SPEED": str(SPEED),
        "RINGMASTER_CLOCK_EPOCH": wall0,
        "RINGMASTER_CLOCK_WALL0": wall0,
    }
    stack = Stack(
        Layout(folder / "run", free_range()), clock, scenario, lambda _line: None, _tenants(folder / "tenants")
    )
    try:
        stack.start()
        yield Floor(stack.layout, stack.part("router"))
    finally:
        stack.stop()


def test_a_blind_transfer_brings_the_customer_to_the_other_agent(floor: Floor) -> None:
    call = floor.talk("olena", "maria")
    floor.asks(call, "transfer", agent_id="maria")
    floor.hears(call, "maria")
    floor.is_gone("olena")
    assert floor.talked_with(call) == ["olena", "maria"]


def test_a_transfer_to_a_queue_is_answered_there_and_the_call_is_told_as_answered_once(floor: Floor) -> None:
    call = floor.talk("olena", "maria")
    floor.asks(call, "transfer", queue_id="support")
    floor.hears(call, "maria")
    assert floor.talked_with(call) == ["olena", "maria"]
    told = floor.told(call)
    assert [event.call_answered.agent_id for event in told if event.HasField("call_answered")] == ["olena"]
    assert [event.queue_left.agent_id for event in told if event.HasField("queue_left")] == ["olena", "maria"]
    counted = [event.sequence for event in told if event.sequence]  # other services tell theirs uncounted
    assert counted == list(range(1, len(counted) + 1))


def test_an_outside_number_can_be_asked_and_left_again(floor: Floor) -> None:
    call = floor.talk("olena")
    floor.asks(call, "consult", number=OUTSIDE)
    wait_until(lambda: floor.legs()["olena"]["partner"] not in ("", call), "olena hears the outside number", SECONDS)
    floor.asks(call, "consult/cancel")
    floor.hears("olena", call)
    wait_until(lambda: set(floor.legs()) == {"olena", call}, "the outside line is free", SECONDS)
    assert set(floor.talked_with(call)) == {"olena"}


def test_a_consultation_swaps_joins_and_hands_the_customer_over_from_one_routing_domain_to_another(
    floor: Floor,
) -> None:
    """From here on the company is split: olena and maria are in two logs, and the running system is told so."""
    floor.splits()
    call = floor.talk("olena", "maria")
    floor.asks(call, "consult", agent_id="maria")
    floor.hears("olena", "maria")
    assert not floor.legs()[call]["partner"]
    floor.asks(call, "consult/swap")
    floor.hears("olena", call)
    assert not floor.legs()["maria"]["partner"]
    floor.meet(call, "olena", "maria")
    floor.asks(call, "consult/complete")
    floor.hears(call, "maria")
    floor.is_gone("olena")
    assert floor.talked_with(call)[-1] == "maria"
    counted = [event.sequence for event in floor.told(call) if event.sequence]
    assert counted == list(range(1, len(counted) + 1))


def test_a_supervisor_whispers_to_the_agent_alone_then_to_both_then_takes_over(floor: Floor) -> None:
    call = floor.talk("olena")
    floor.supervises(call, "petro", "whisper")
    agent_leg = floor.legs()["olena"]["uuid"]

    def listens(**heard: bool) -> bool:
        leg = floor.legs().get("petro", {})
        return leg.get("listens_to") == agent_leg and all(leg[word] is value for word, value in heard.items())

    wait_until(lambda: listens(heard_by_agent=True, heard_by_customer=False), "only the agent hears petro", SECONDS)
    floor.supervises(call, "petro", "barge")
    wait_until(lambda: listens(heard_by_agent=True, heard_by_customer=True), "both hear petro", SECONDS)
    floor.hears(call, "olena")
    floor.asks(call, "supervision/petro/take-over")
    floor.hears(call, "petro")
    floor.is_gone("olena")
    assert floor.talked_with(call) == ["olena", "petro"]


def test_a_notice_is_heard_out_and_a_digit_that_is_pressed_meanwhile_is_no_choice(floor: Floor) -> None:
    floor.comes("olena")
    caller = {"line": NOTICE_LINE, "number": "0501110001", "patience": "fixed(600)", "talk": "fixed(600)", "digits": []}
    call = str(post(floor.layout.url("switch", "/call"), caller)["uuid"])
    floor.runs(call, "playback")
    floor.presses(call, "2")
    floor.runs(call, "play_and_get_digits")
    floor.presses(call, "1")
    floor.hears(call, "olena")
    assert floor.talked_with(call) == ["olena"]
    told = floor.told(call)
    assert [(event.ivr_choice.choice, event.ivr_choice.tries) for event in told if event.HasField("ivr_choice")] == [
        ("1", 1)
    ]
    assert {event.call_started.caller.number for event in told if event.HasField("call_started")} == {"+380501110001"}


def test_a_survey_after_the_talk_is_heard_out_under_no_guard_but_the_routers(floor: Floor) -> None:
    call = floor.notice("olena")
    floor.hangs_up("olena")
    floor.runs(call, "play_and_get_digits")
    asked = floor.now()
    wait_until(lambda: floor.now() > asked + 2 * GUARD_SECONDS, "twice the guard's time", SECONDS)
    floor.presses(call, "4")
    floor.is_gone(call)
    told = floor.told(call)
    assert [event.form_answered.answers["rating"] for event in told if event.HasField("form_answered")] == ["4"]
    assert [event.call_ended.exit for event in told if event.HasField("call_ended")] == [CALL_EXIT_ANSWERED]


def test_a_talk_that_ends_while_no_router_is_there_leaves_nobody_in_silence(floor: Floor) -> None:
    """The router is stopped as a machine in trouble stops it, and learns of everything afterwards."""
    call = floor.notice("olena")
    assert floor.router.process is not None
    floor.router.process.send_signal(signal.SIGSTOP)
    try:
        floor.hangs_up("olena")
        floor.is_gone(call)
    finally:
        floor.router.process.send_signal(signal.SIGCONT)
    told = floor.told(call)
    [ended] = [event.call_ended for event in told if event.HasField("call_ended")]
    assert (ended.exit, ended.fell_back) == (CALL_EXIT_ANSWERED, True)
    [kept] = [one for one in get(floor.layout.url("switch", "/truth"))["calls"] if one["uuid"] == call]
    assert [talk["agent"].partition("@")[0] for talk in kept["talks"]] == ["olena"]


def test_a_room_that_empties_while_no_router_is_there_leaves_nobody_in_silence(floor: Floor) -> None:
    call = floor.talk("olena", "maria")
    floor.asks(call, "consult", agent_id="maria")
    floor.hears("olena", "maria")
    floor.meet(call, "olena", "maria")
    assert floor.router.process is not None
    floor.router.process.send_signal(signal.SIGSTOP)
    try:
        floor.hangs_up("olena")
        floor.is_gone("olena")
        assert floor.legs()[call]["room"] == floor.legs()["maria"]["room"] != ""
        floor.hangs_up("maria")
        floor.is_gone(call)
    finally:
        floor.router.process.send_signal(signal.SIGCONT)
    told = floor.told(call)
    [ended] = [event.call_ended for event in told if event.HasField("call_ended")]
    assert (ended.exit, ended.fell_back) == (CALL_EXIT_ANSWERED, True)


def test_a_caller_takes_a_menus_exit_by_speech_and_what_was_said_is_kept_nowhere(floor: Floor) -> None:
    """The recogniser is in the test's hands: it hears what the switch recorded, and answers as the contract says."""
    floor.comes("maria")
    address = floor.layout.address("kafka")
    clips, producer = (
        Consumer(address, None, [CLIPS], "listening", from_beginning=False),
        Producer(address, "listening"),
    )
    clips.poll(0.1)
    left_over = floor.answers()
    body = {"line": LINE, "number": "+380501110002", "patience": "fixed(600)", "talk": "fixed(600)", "ends_first": 1.0}
    call = str(post(floor.layout.url("switch", "/call"), body | {"says": ["a repair"]})["uuid"])
    heard: list[RecogniseClip] = []

    def has_spoken() -> bool:
        heard.extend(RecogniseClip.FromString(record.value) for record in clips.poll(0.2))
        return bool(heard)

    wait_until(has_spoken, "the caller's words", SECONDS)
    [clip] = heard
    assert (clip.tenant_id, clip.call_id, list(clip.phrases)) == ("acme", call, ["sales", "support", "a repair"])
    assert list(clip.languages) == ["uk", "en"]
    with wave.open(io.BytesIO(clip.sound)) as sound:
        samples = array("h", sound.readframes(sound.getnframes()))
    assert max(samples) > 1_000
    answer = Input(tenant_id="acme")
    answer.clip_recognised.clip_id, answer.clip_recognised.call_id = clip.clip_id, call
    answer.clip_recognised.outcome, answer.clip_recognised.phrase = RECOGNITION_OUTCOME_HEARD, 2
    now_ms = int(floor.now() * 1000)
    producer.send(INPUTS, "acme", answer.SerializeToString(), timestamp_ms=now_ms).wait(60)
    floor.hears(call, "maria")
    assert floor.talked_with(call) == ["maria"]
    choices = [event.ivr_choice for event in floor.told(call) if event.HasField("ivr_choice")]
    assert [(one.choice, one.spoken) for one in choices] == [("2", True)]
    assert floor.answers() == left_over
    clips.close()
    producer.close()
