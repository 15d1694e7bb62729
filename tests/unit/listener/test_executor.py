"""Exactly once: the listener is killed at every step of a command, started again on the same disk, and the tenant's log
and the switch are looked at. The switch is a fake that counts what it was told to do.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag

from services.listener.adapters import executor as executor_module
from services.listener.adapters.answers import Answers
from services.listener.adapters.executor import Executor
from services.listener.adapters.gate import Gate
from services.listener.adapters.hand_over import HandOver
from services.listener.adapters.ledger_log import LedgerLog
from services.listener.adapters.leg_journal import LegJournal
from services.listener.adapters.publisher import Publisher
from services.listener.adapters.runner import Runner
from services.listener.adapters.sip_route import SipRoute
from services.listener.adapters.spool import Spool
from services.listener.adapters.switch_plan import Planner
from services.listener.domain.directory import Directory
from services.listener.domain.execution import CommandLedger
from services.listener.domain.facts import FactBuilder
from services.listener.domain.legs import Asked, Leg, LegTable
from services.listener.domain.prompts import PromptLibrary
from services.shared.bus.topics import CLIPS, COMMANDS, INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.recognition_pb2 import RecogniseClip
from services.shared.esl.client import Reply
from services.shared.esl.errors import NotSent, OutcomeUnknown
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Names
from services.shared.testing.memory_bus import MemoryBus

NODE = "node-1"
NOW_MS = 1_800_000_000_000


class Killed(BaseException):
    """The process dies here."""


class Disaster:
    """Kills at the n-th step that is counted; 0 never does."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed


class FakePending:
    def __init__(self, text: str) -> None:
        self._text = text

    def get(self, timeout: float) -> Reply:
        return Reply(self._text)


class FakeSwitch:
    """Counts what it does. A leg lives once it was originated; a living origination_uuid is refused (truth 18)."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.rung: list[str] = []
        self.live: set[str] = {"leg-1"}
        self.disaster = Disaster()
        self.away = 0
        self.away_for_jobs = 0
        self.breaks = False

    def submit(self, command: bytes) -> FakePending:
        self.disaster.step()
        if self.away:
            self.away -= 1
            raise NotSent("away")
        text = command.decode().split("\n")[0]
        self.done.append(text)
        self.disaster.step()
        leg_id = text.split()[2] if text.startswith("api uuid_") else "leg-1"
        return FakePending("+OK" if leg_id in self.live else "-ERR No such channel!\n")

    def bgapi(self, command: bytes, timeout: float) -> Reply:
        if self.away_for_jobs:
            self.away_for_jobs -= 1
            raise NotSent("away")
        self.disaster.step()
        leg_id = command.decode().split("origination_uuid=")[1].split(",")[0].split("}")[0]
        if leg_id in self.live:
            return Reply("-ERR DESTINATION_OUT_OF_ORDER\n")
        self.rung.append(leg_id)
        self.live.add(leg_id)
        self.disaster.step()
        if self.breaks:
            raise OutcomeUnknown("the session ended")
        return Reply(f"+OK {leg_id}\n")

    def exists(self, leg_id: str, timeout: float) -> bool:
        return leg_id in self.live


class Life:
    """One life of the executor: built on the disk and the bus that survive it."""

    def __init__(self, folder: Path, bus: MemoryBus, switch: FakeSwitch, now_ms: int = NOW_MS) -> None:
        self.stopping, self.ready = Flag(), Flag()
        self.ready.set()
        self.now_ms = now_ms
        clock = Clock(wall=lambda: self.now_ms / 1000)
        self.legs, directory, facts = LegTable(), Directory(), FactBuilder(NODE)
        self.publisher = Publisher(_Bus(bus), Spool(folder / "inputs", 10**7), clock, self.stopping)
        prompts = PromptLibrary("/prompts", lambda _path: True, "flite|kal")
        planner = Planner(
            prompts, directory, str(folder / "rec"), "carrier", SipRoute(AddressGuard.parse("127.0.0.0/8"), Names())
        )
        gate = Gate(self.ready, self.stopping, clock)
        answers = Answers(str(folder / "rec"), _Bus(bus), clock)
        self.journal = LegJournal(folder / "legs.log")
        self.journal.load(self.legs)
        self.publisher.on_settled = partial(self.journal.write, self.legs)
        hand_over = HandOver(self.legs, facts, self.publisher, self._keep, gate)
        runner = Runner(switch, planner, self.legs, gate, lambda _name: None, answers, hand_over)
        self.ledger = LedgerLog(folder / "commands.log")
        self.executor = Executor(NODE, _Bus(bus), runner, facts, self.publisher, self.ledger, gate)
        self.greenlets = [
            gevent.spawn(self.publisher.keep_connected),
            gevent.spawn(self.publisher.run),
            gevent.spawn(self.executor.run),
        ]

    def _keep(self) -> None:
        self.journal.note(self.legs, 0, self.publisher.tokens)

    def end(self) -> None:
        gevent.killall([*self.greenlets, *self.executor._pool], timeout=5)
        self.ledger.close()


class _Bus:
    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def producer(self) -> Any:
        return self._bus.producer()

    def consumer(self, group: str | None, topics: list[str]) -> Any:
        return self._bus.consumer(group, topics)


def send(bus: MemoryBus, **fields: Any) -> None:
    command = pb.Command(**{"tenant_id": "acme", "call_id": "leg-1", "node": NODE, "leg_id": "leg-1", **fields})
    bus.producer().send(COMMANDS, NODE, command.SerializeToString(), timestamp_ms=NOW_MS)


def results(bus: MemoryBus) -> list[pb.CommandResult]:
    return [Input.FromString(record.value).command_result for record in bus.records(INPUTS)]


def wait_until(condition: Any, seconds: float = 60.0) -> bool:
    with gevent.Timeout(seconds, exception=False):
        while not condition():
            gevent.sleep(0.002)
        return True
    return bool(condition())


def committed(bus: MemoryBus) -> int:
    return sum(
        offset for (group, topic, _), offset in bus.offsets.items() if (group, topic) == (f"listener-{NODE}", COMMANDS)
    )


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Poll often; and let a killed greenlet's traceback, which is expected here, go nowhere."""
    monkeypatch.setattr(executor_module, "POLL_SECONDS", 0.01)
    hub = gevent.get_hub()
    before, hub.exception_stream = hub.exception_stream, None
    yield
    hub.exception_stream = before


ORIGINATE = pb.OriginateLeg(phone="anna@acme.example", ring_timeout_ms=5000)


def test_an_originate_rings_once_wherever_the_listener_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps: each write of the ledger (before and after), the switch's wire before and after, each publication."""
    killed_lives = 0
    for at in range(1, 30):
        folder, bus, switch, disaster = tmp_path / str(at), MemoryBus(), FakeSwitch(), Disaster(at)
        switch.disaster = disaster
        with monkeypatch.context() as patch:
            _count_steps(patch, disaster)
            life = Life(folder, bus, switch)
            send(bus, command_id="c1", leg_id="new-leg", originate_leg=ORIGINATE)
            died = wait_until(lambda: disaster.steps >= disaster.at or committed(bus) == 1) and disaster.steps >= at  # noqa: B023 - used before the next turn
            life.end()
        switch.disaster = Disaster()
        again = Life(folder, bus, switch)
        assert wait_until(lambda: committed(bus) == 1), at  # noqa: B023 - used before the next turn
        again.end()
        assert len(switch.rung) <= 1, f"rung twice after a kill at step {at}"
        told = results(bus)
        assert {each.command_id for each in told} == {"c1"}
        assert told[-1].outcome in (
            pb.COMMAND_OUTCOME_DONE,
            pb.COMMAND_OUTCOME_UNKNOWN,
            pb.COMMAND_OUTCOME_FAILED,
        )
        if told[-1].outcome == pb.COMMAND_OUTCOME_FAILED:
            assert not switch.live & {"new-leg"}, "a living leg was called failed"
        killed_lives += died
        if not died:
            break
    assert killed_lives >= 5, "the disaster must have struck at several steps"
    assert not died, "the last life must have had no disaster"


def _count_steps(patch: pytest.MonkeyPatch, disaster: Disaster) -> None:
    for owner, name in ((LedgerLog, "begin"), (LedgerLog, "end"), (Publisher, "put")):
        whole = getattr(owner, name)

        def around(self: Any, *arguments: Any, whole: Any = whole) -> Any:
            disaster.step()
            value = whole(self, *arguments)
            disaster.step()
            return value

        patch.setattr(owner, name, around)


def test_a_command_told_twice_is_done_once_and_its_result_told_again(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    life = Life(tmp_path, bus, switch)
    for _ in range(2):
        send(bus, command_id="c1", send_digits=pb.SendDigits(digits="12#"))
    assert wait_until(lambda: committed(bus) == 2)
    life.end()
    assert switch.done == ["api uuid_send_dtmf leg-1 12#"]
    assert {each.outcome for each in results(bus)} == {pb.COMMAND_OUTCOME_DONE}


ASKED = pb.RecogniseAnswer(answer_id="a1", phrases=["sales", "repairs"], languages=["uk", "en"])


def test_what_a_caller_said_is_sent_to_be_recognised_and_kept_nowhere(tmp_path: Path) -> None:
    bus = MemoryBus()
    folder = tmp_path / "rec" / ".answers" / "acme"
    folder.mkdir(parents=True)
    (folder / "a1.wav").write_bytes(b"RIFF sound")
    life = Life(tmp_path, bus, FakeSwitch())
    for number in (1, 2):
        send(bus, command_id=f"c{number}", deadline_ms=NOW_MS + 6_000, recognise_answer=ASKED)
        assert wait_until(lambda: committed(bus) == number)  # noqa: B023 - used before the next turn
    life.end()
    [record] = bus.records(CLIPS)
    clip = RecogniseClip.FromString(record.value)
    assert (record.key, clip.clip_id, clip.tenant_id, clip.call_id) == ("acme", "c1", "acme", "leg-1")
    assert (clip.sound, list(clip.phrases), clip.language) == (b"RIFF sound", ["sales", "repairs"], "")
    assert clip.deadline_ms == NOW_MS + 6_000
    assert not list(folder.iterdir())
    assert [each.outcome for each in results(bus)] == [pb.COMMAND_OUTCOME_DONE, pb.COMMAND_OUTCOME_FAILED]


def test_an_answers_name_leads_nowhere_else(tmp_path: Path) -> None:
    bus = MemoryBus()
    (tmp_path / "secret.wav").write_bytes(b"RIFF secret")
    life = Life(tmp_path, bus, FakeSwitch())
    send(bus, command_id="c1", recognise_answer=pb.RecogniseAnswer(answer_id="../../../secret"))
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert bus.records(CLIPS) == []
    assert results(bus)[0].outcome == pb.COMMAND_OUTCOME_FAILED
    assert (tmp_path / "secret.wav").exists()


def test_a_command_over_its_deadline_is_not_executed(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", deadline_ms=NOW_MS - 1, answer_leg=pb.AnswerLeg())
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert switch.done == []
    assert results(bus)[0].outcome == pb.COMMAND_OUTCOME_EXPIRED


def test_a_router_that_lost_its_partition_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", fence_partition=3, fence_generation=7, answer_leg=pb.AnswerLeg())
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c2", fence_partition=3, fence_generation=6, hang_up_leg=pb.HangUpLeg())
    send(bus, command_id="c3", fence_partition=4, fence_generation=1, answer_leg=pb.AnswerLeg())
    assert wait_until(lambda: committed(bus) == 3)
    life.end()
    outcomes = {each.command_id: each.outcome for each in results(bus)}
    assert outcomes == {
        "c1": pb.COMMAND_OUTCOME_DONE,
        "c2": pb.COMMAND_OUTCOME_FENCED,
        "c3": pb.COMMAND_OUTCOME_DONE,
    }
    assert "uuid_kill" not in " ".join(switch.done)


def test_commands_of_one_leg_keep_their_order(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    switch.away = 2  # the first tries find no session
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", answer_leg=pb.AnswerLeg())
    send(bus, command_id="c2", send_digits=pb.SendDigits(digits="1"))
    send(bus, command_id="c3", hang_up_leg=pb.HangUpLeg(cause="USER_BUSY"))
    assert wait_until(lambda: committed(bus) == 3)
    life.end()
    assert [text.split()[1] for text in switch.done] == ["uuid_answer", "uuid_send_dtmf", "uuid_kill"]


@pytest.mark.parametrize(
    "action",
    [
        {"lease_leg": pb.LeaseLeg(seconds=20)},
        {"answer_leg": pb.AnswerLeg()},
        {"play_prompt": pb.PlayPrompt(prompts=[pb.Prompt(name="welcome")])},
        {"hang_up_leg": pb.HangUpLeg()},
        {"leg_id": "agent", "bridge_legs": pb.BridgeLegs(other_leg_id="leg-1")},
        {"leg_id": "agent", "part_legs": pb.PartLegs(other_leg_id="leg-1")},
    ],
    ids=lambda action: list(action)[-1],
)
def test_a_leg_that_the_dialplan_has_taken_is_left_alone(tmp_path: Path, action: dict[str, Any]) -> None:
    """Routers that were away claim a call late: its caller may be talking with the company's own number by then."""
    bus, switch = MemoryBus(), FakeSwitch()
    life = Life(tmp_path, bus, switch)
    life.legs.add(Leg("leg-1", "acme", has_fallen_back=True))
    send(bus, command_id="c1", **action)
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert switch.done == []
    (told,) = results(bus)
    assert (told.outcome, told.cause) == (pb.COMMAND_OUTCOME_FAILED, "FELL_BACK")


def test_a_leg_that_is_gone_fails_with_one_cause(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", leg_id="gone", answer_leg=pb.AnswerLeg())
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert (results(bus)[0].outcome, results(bus)[0].cause) == (pb.COMMAND_OUTCOME_FAILED, "NO_SUCH_LEG")


def test_a_broken_connection_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    switch.breaks = True
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", leg_id="new-leg", originate_leg=ORIGINATE)
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert results(bus)[0].outcome == pb.COMMAND_OUTCOME_UNKNOWN
    assert switch.rung == ["new-leg"]


@pytest.mark.timeout(20)
def test_a_listener_stops_also_while_a_command_can_not_be_sent_and_the_next_life_does_it(tmp_path: Path) -> None:
    """When a listener stops, its session ends before the gate is closed: to try again at once would let nobody run."""
    bus, switch = MemoryBus(), FakeSwitch()
    switch.away = untried = 10**9
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", answer_leg=pb.AnswerLeg())
    send(bus, command_id="c2", answer_leg=pb.AnswerLeg())
    assert wait_until(lambda: switch.away < untried)
    life.stopping.set()
    gevent.joinall(life.greenlets, timeout=executor_module.LAST_SECONDS - 1)
    assert all(greenlet.ready() for greenlet in life.greenlets)
    life.end()
    assert results(bus) == []
    switch.away = 0
    again = Life(tmp_path, bus, switch)
    assert wait_until(lambda: committed(bus) == 2)
    again.end()
    assert [(each.command_id, each.outcome) for each in results(bus)] == [
        ("c1", pb.COMMAND_OUTCOME_DONE),
        ("c2", pb.COMMAND_OUTCOME_DONE),
    ]


def test_a_cancelled_phone_rings_nowhere_also_when_its_ringing_had_to_wait_for_a_session(tmp_path: Path) -> None:
    """The hang-up is quicker back than the originate: it must find that one on its way, not a leg that is gone."""
    bus, switch = MemoryBus(), FakeSwitch()
    switch.away_for_jobs = 2
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", leg_id="new-leg", originate_leg=ORIGINATE)
    send(bus, command_id="c2", leg_id="new-leg", hang_up_leg=pb.HangUpLeg(cause="LOSE_RACE"))
    assert wait_until(lambda: committed(bus) == 2)
    life.end()
    assert switch.rung == ["new-leg"]
    assert switch.done[-1] == "api uuid_kill new-leg LOSE_RACE"
    assert {each.command_id: each.outcome for each in results(bus)}["c2"] == pb.COMMAND_OUTCOME_DONE


def test_a_command_that_can_not_be_sent_is_given_up_at_its_deadline(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    switch.away = untried = 10**9
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", deadline_ms=NOW_MS + 1000, answer_leg=pb.AnswerLeg())
    assert wait_until(lambda: switch.away < untried)
    life.now_ms += 1001
    switch.away = 10**9
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert results(bus)[0].outcome == pb.COMMAND_OUTCOME_EXPIRED


def begun(folder: Path, **fields: Any) -> pb.Command:
    """Let a former life have begun a command, and nothing more."""
    command = pb.Command(command_id="c1", tenant_id="acme", call_id="leg-1", leg_id="leg-1", **fields)
    ledger = LedgerLog(folder / "commands.log")
    ledger.begin(command, NOW_MS)
    ledger.close()
    return command


def test_what_a_former_life_had_begun_is_never_called_not_executed(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    begun(tmp_path, originate_leg=ORIGINATE)
    life = Life(tmp_path, bus, switch)
    life.ready.clear()
    send(bus, command_id="c1", deadline_ms=NOW_MS - 1, originate_leg=ORIGINATE)
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert results(bus)[0].outcome == pb.COMMAND_OUTCOME_UNKNOWN
    assert switch.rung == []


PLAY = {"play_prompt": pb.PlayPrompt(prompts=[pb.Prompt(name="welcome")])}
MUSIC = {"start_music": pb.StartMusic()}


@pytest.mark.parametrize(
    ("action", "noted", "outcome", "is_done_again"),
    [
        (PLAY, {}, pb.COMMAND_OUTCOME_FAILED, False),
        (PLAY, {"c1": Asked.PLAYBACK}, pb.COMMAND_OUTCOME_UNKNOWN, False),
        (MUSIC, {}, pb.COMMAND_OUTCOME_DONE, True),
        (MUSIC, {"music.c1": Asked.MUSIC}, pb.COMMAND_OUTCOME_UNKNOWN, False),
    ],
)
def test_a_prompt_that_was_begun_and_never_sent_leaves_nobody_in_silence(
    tmp_path: Path,
    action: dict[str, Any],
    noted: dict[str, Asked],
    outcome: "pb.CommandOutcome.ValueType",
    *,
    is_done_again: bool,
) -> None:
    """What the leg is asked for is noted before it is sent: a former life that did not note it never sent it."""
    bus, switch = MemoryBus(), FakeSwitch()
    begun(tmp_path, **action)
    life = Life(tmp_path, bus, switch)
    life.legs.add(Leg("leg-1", "acme", asked=dict(noted)))
    send(bus, command_id="c1", **action)
    assert wait_until(lambda: committed(bus) == 1)
    life.end()
    assert results(bus)[0].outcome == outcome
    assert bool(switch.done) == is_done_again


def test_commands_of_other_nodes_and_unreadable_ones_only_move_the_offset(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    life = Life(tmp_path, bus, switch)
    bus.producer().send(COMMANDS, NODE, b"\xff\xff", timestamp_ms=0)
    bus.producer().send(COMMANDS, "node-2", b"", timestamp_ms=0)
    assert wait_until(lambda: committed(bus) == 2)
    life.end()
    assert switch.done == []
    assert results(bus) == []


def test_hostile_values_fail_and_reach_no_wire(tmp_path: Path) -> None:
    bus, switch = MemoryBus(), FakeSwitch()
    life = Life(tmp_path, bus, switch)
    send(bus, command_id="c1", leg_id="leg-1\napi shutdown", answer_leg=pb.AnswerLeg())
    send(bus, command_id="c2", call_id="../../etc", start_recording=pb.StartRecording(recording_id="r1"))
    send(bus, command_id="c3", start_recording=pb.StartRecording(recording_id="../x"))
    send(bus, command_id="c4", hang_up_leg=pb.HangUpLeg(cause="X Y"))
    send(bus, command_id="c5", leg_id="n", originate_leg=pb.OriginateLeg(phone="a@b ${system(x)}"))
    send(bus, command_id="c6", send_digits=pb.SendDigits(digits="1 @2"))
    assert wait_until(lambda: committed(bus) == 6)
    life.end()
    assert (switch.done, switch.rung) == ([], [])
    assert {each.outcome for each in results(bus)} == {pb.COMMAND_OUTCOME_FAILED}


def test_the_ledger_forgets_only_what_can_not_come_again() -> None:
    ledger = CommandLedger()
    for number, deadline_ms in enumerate((0, NOW_MS - 4_000_000, NOW_MS + 1000)):
        ledger.begin(pb.Command(command_id=str(number), deadline_ms=deadline_ms), NOW_MS)
    ledger.forget(NOW_MS)
    assert list(ledger.known) == ["0", "2"]
