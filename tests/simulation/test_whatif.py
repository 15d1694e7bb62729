"""What-ifs against days whose other outcome is known beforehand."""

import random
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf import json_format

from services.router.domain.decide import Outputs
from services.router.whatif.asking import NothingToPlay, Period, compare, shadow, table
from services.router.whatif.changes import BadChange, as_it_was, other_strategy
from services.router.whatif.cli import run
from services.router.whatif.core import Core
from services.router.whatif.log_file import Logged, read_log, write_log
from services.router.whatif.moments import Moments
from services.router.whatif.patience import Patience
from services.router.whatif.people import Answer, Reaction, Talk
from services.router.whatif.switch import Switch
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.simulation.splitting import SplitTenant

TENANT = "acme"
START_MS = 1_700_000_000_000
DAY = Period()


class Script:
    """People who do what a test wrote down: talks and patience by caller, in seconds."""

    def __init__(self, talks: dict[str, float], patience: dict[str, float]) -> None:
        self._talks, self._patience = talks, patience

    def patience_ms(self, call_id: str) -> int | None:
        return round(self._patience[call_id] * 1000) if call_id in self._patience else None

    def talk(self, call_id: str, address: str) -> Talk:
        return Talk(round(self._talks[call_id] * 1000))

    def pick_up(self, call_id: str, address: str) -> Reaction:
        return Reaction(200, 1_000)

    def answer(self, call_id: str, question: CollectDigits) -> Answer:
        return Answer(700, "1")

    def listens_ms(self, call_id: str) -> int:
        return 0


class Recorded:
    """Plays a day and keeps its log."""

    def __init__(self, document: tn.TenantDocument, script: Script) -> None:
        self.inputs: list[Logged] = []
        self.moments = Moments(START_MS)
        self.switch = Switch(self.moments, script)
        self.core = self._core()
        self.core.feed(Input(tenant_id=TENANT, document=document))
        for agent in document.agents:
            ask = rq.SetAgentStatus(agent_id=agent.agent_id, status=rq.AGENT_STATUS_READY)
            request = rq.Request(request_id=f"r-{agent.agent_id}", set_agent_status=ask)
            self.core.feed(Input(tenant_id=TENANT, request=request))

    def _core(self) -> Core:
        core = self.switch.cores[TENANT] = Core(self.moments, TENANT, self.switch, self._keep)
        return core

    def call(self, after_seconds: float, call_id: str, line: str) -> None:
        self.moments.after(round(after_seconds * 1000), self.switch.call, TENANT, call_id, line, "+380501112233")

    def log(self) -> list[Logged]:
        self.moments.run(START_MS + 24 * 3_600_000)
        return self.inputs

    def _keep(self, now_ms: int, given: Input, out: Outputs) -> None:
        self.inputs.append(Logged(0, len(self.inputs), now_ms, given))


def document(agents: int, queues: int = 1) -> tn.TenantDocument:
    made = tn.TenantDocument(tenant_id=TENANT, version=1, time_zone="Europe/Kyiv", domain="acme.example")
    for number in range(agents):
        made.agents.add(agent_id=f"a{number}", name=f"a{number}", phone=f"a{number}")
    for number in range(queues):
        queue = made.queues.add(queue_id=f"q{number}", strategy=tn.STRATEGY_LONGEST_IDLE, ring_timeout_seconds=20)
        queue.service_level_seconds = 20
        for agent in range(agents):
            queue.tiers.add(agent_id=f"a{agent}", level=1, position=agent + 1)
        made.lines.add(number=f"+38044000000{number}", flow=f"f{number}")
        flow = made.flows.add(flow_id=f"f{number}", start="wait")
        flow.steps.add(step_id="wait", queue=tn.QueueStep(queue_id=f"q{number}"))
    return made


def levels() -> list[Logged]:
    """A second agent who is asked after 30 s only, and two callers: the second waits for that."""
    made = document(2)
    made.queues[0].level_seconds = 30
    made.queues[0].tiers[1].level = 2
    day = Recorded(made, Script({"c1": 100, "c2": 100}, {}))
    day.call(0, "c1", "+380440000000")
    day.call(10, "c2", "+380440000000")
    return day.log()


def all_levels(former: tn.TenantDocument) -> tn.TenantDocument:
    changed = tn.TenantDocument()
    changed.CopyFrom(former)
    changed.queues[0].level_seconds = 0
    return changed


def test_a_caller_who_waited_for_the_second_level_would_not_have() -> None:
    found = compare(TENANT, levels(), all_levels, DAY)
    ring = 1.2  # the phone rings after 0.2 s and is picked up a second later
    for kind, waits in (("was", [ring, 30 + ring]), ("played", [ring, 30 + ring]), ("changed", [ring, ring])):
        assert found[kind]["queues"]["q0"]["mean_wait_seconds"] == pytest.approx(sum(waits) / 2)
    assert found["was"]["all"]["service_level"] == 0.5
    assert found["changed"]["all"]["service_level"] == 1.0


def test_the_queue_whose_service_level_is_nearer_would_have_come_first() -> None:
    made = document(1, queues=2)
    made.queues[0].service_level_seconds, made.queues[1].service_level_seconds = 60, 10
    day = Recorded(made, Script({"c0": 100, "c1": 50, "c2": 50}, {}))
    day.call(0, "c0", "+380440000000")
    day.call(10, "c1", "+380440000000")
    day.call(15, "c2", "+380440000001")
    found = compare(TENANT, day.log(), other_strategy(["sla_aware"]), DAY)
    free, ring = 101.2, 1.2
    second = free + ring + 50
    assert found["was"]["queues"]["q1"]["mean_wait_seconds"] == pytest.approx(second + ring - 15)
    assert found["changed"]["queues"]["q1"]["mean_wait_seconds"] == pytest.approx(free + ring - 15)
    assert found["changed"]["queues"]["q0"]["mean_wait_seconds"] == pytest.approx((ring + second + ring - 10) / 2)
    assert found["changed"]["all"]["occupancy"] == pytest.approx(found["was"]["all"]["occupancy"])


def test_a_caller_who_gave_up_would_have_been_served_by_one_agent_more() -> None:
    made = document(2)
    del made.queues[0].tiers[1]
    day = Recorded(made, Script({"c1": 100, "c2": 60}, {"c2": 40}))
    day.call(0, "c1", "+380440000000")
    day.call(10, "c2", "+380440000000")

    def with_both(former: tn.TenantDocument) -> tn.TenantDocument:
        changed = tn.TenantDocument()
        changed.CopyFrom(former)
        changed.queues[0].tiers.add(agent_id="a1", level=1, position=2)
        return changed

    found = compare(TENANT, day.log(), with_both, DAY)
    assert found["patience_known"] == 1
    assert found["was"]["all"]["abandoned"] == found["played"]["all"]["abandoned"] == 0.5
    assert found["changed"]["all"]["abandoned"] == 0.0
    assert found["changed"]["all"]["mean_wait_seconds"] == pytest.approx(1.2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_played_as_it_was_is_the_same_day(seed: int) -> None:
    """Every caller waits as long as then; also those who gave up, and nobody who did not."""
    lot = random.Random(seed)
    names = [f"c{number}" for number in range(300)]
    talks = {name: lot.expovariate(1 / 60) for name in names}
    day = Recorded(document(5, queues=2), Script(talks, {name: lot.expovariate(1 / 40) for name in names}))
    at = 0.0
    for name in names:
        at += lot.expovariate(5 / 60)
        day.call(at, name, f"+38044000000{lot.randrange(2)}")
    found = compare(TENANT, day.log(), as_it_was, DAY)
    assert found["unread_legs"] == 0
    assert 20 < found["patience_known"] < 200
    assert found["was"] == found["played"] == found["changed"]


def test_a_log_without_its_beginning_is_refused_or_said_to_be_doubtful() -> None:
    inputs = levels()
    with pytest.raises(NothingToPlay, match="no document"):
        compare(TENANT, inputs[1:], as_it_was, DAY)
    with pytest.raises(NothingToPlay, match="no call"):
        compare(TENANT, inputs[:1], as_it_was, DAY)
    without_arrival = [one for one in inputs if not (one.given.fact.leg_id == "c1" and one.offset < 6)]
    assert "doubtful" in table(compare(TENANT, without_arrival, as_it_was, DAY))


def test_patience_is_kaplans_and_meiers() -> None:
    patience = Patience(given_up=[2, 4], censored=[3, 5])
    assert patience.moments == [2, 4]
    assert patience.staying == pytest.approx([3 / 4, 3 / 8])
    assert [patience.drawn(0, draw) for draw in (0.2, 0.3, 0.6, 0.7)] == [2, 4, 4, None]
    assert [patience.drawn(3, draw) for draw in (0.0, 0.49, 0.51)] == [4, 4, None]
    assert Patience([], [1, 2]).drawn(0, 0.99) is None


def test_censored_patience_is_estimated_without_bias() -> None:
    """Exponential patience and exponential waits: half of those who would stay a mean patience are never seen to."""
    lot = random.Random(5)
    pairs = [(lot.expovariate(1 / 30_000), lot.expovariate(1 / 30_000)) for _ in range(20_000)]
    patience = Patience(
        [round(patience) for patience, wait in pairs if patience <= wait],
        [round(wait) for patience, wait in pairs if patience > wait],
    )
    drawn = [patience.drawn(0, (number + 0.5) / 1000) for number in range(1000)]
    median = sorted(one if one is not None else 1 << 40 for one in drawn)[500]
    assert median == pytest.approx(30_000 * 0.6931, rel=0.05)


def test_an_unknown_strategy_or_queue_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadChange, match="longest_idle"):
        other_strategy(["fastest"])
    with pytest.raises(BadChange, match="no queue 'nowhere'"):
        compare(TENANT, levels(), other_strategy(["nowhere=random"]), DAY)


def test_the_command_reads_a_saved_log_and_tells_the_same_as_table_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, other = tmp_path / "log", tmp_path / "document.json"
    write_log(log, levels())
    assert list(read_log(log)) == levels()
    other.write_text(json_format.MessageToJson(all_levels(levels()[0].given.document)))
    asked = ["--tenant", TENANT, "--log", str(log), "--document", str(other)]
    assert run([*asked, "--json"]) == 0
    found: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    assert found == compare(TENANT, levels(), all_levels, DAY)
    assert run(asked) == 0
    shown = capsys.readouterr().out
    assert any(
        line.split() == ["q0", "mean_wait_seconds", "16.200", "16.200", "1.200", "-15.000"]
        for line in shown.splitlines()
    )


def test_a_log_that_grows_is_compared_anew_and_says_the_same_as_the_whole_one() -> None:
    whole = levels()
    parts = [whole[:1], whole[1:9], [], whole[9:]]
    found = list(islice(shadow(TENANT, lambda: parts.pop(0), all_levels, DAY), 4))
    assert "no call" in str(found[0])
    assert found[1] == found[2] == compare(TENANT, whole[:9], all_levels, DAY)
    assert found[3] == compare(TENANT, whole, all_levels, DAY)


def companies_day(recorded: type[Recorded]) -> list[Logged]:
    """Two queues that share nobody, each with a second agent who is asked after half a minute only, and a busy hour."""
    made = document(4, queues=2)
    for number, queue in enumerate(made.queues):
        del queue.tiers[:]
        queue.level_seconds = 30
        queue.tiers.add(agent_id=f"a{2 * number}", level=1, position=1)
        queue.tiers.add(agent_id=f"a{2 * number + 1}", level=2, position=2)
    lot = random.Random("a busy hour")
    callers = {f"c{number}": number * 30 + lot.random() for number in range(120)}
    talks = {call_id: lot.uniform(20, 90) for call_id in callers}
    patience = {call_id: lot.uniform(5, 60) for call_id in callers if lot.random() < 0.4}
    day = recorded(made, Script(talks, patience))
    for number, (call_id, after) in enumerate(callers.items()):
        day.call(after, call_id, f"+38044000000{number % 2}")
    return day.log()


class RecordedSplit(Recorded):
    """Plays the day of a company whose queues are decided each in a log of its own."""

    def __init__(self, document: tn.TenantDocument, script: Script) -> None:
        document.routing_domains.add(domain_id="north", queues=["q0"])
        document.routing_domains.add(domain_id="south", queues=["q1"])
        super().__init__(document, script)

    def _core(self) -> Core:
        self._tenant = SplitTenant(TENANT, self.moments, self.switch)  # type: ignore[arg-type]  # this one breaks nothing
        return self._tenant.parts[""].core

    def log(self) -> list[Logged]:
        super().log()
        parts = self._tenant.parts.values()
        return [
            Logged(part.partition, offset, at_ms, Input.FromString(given))
            for part in reversed(parts)
            for offset, (at_ms, given, _) in enumerate(part.log)
        ]


def test_a_company_that_is_split_is_played_like_one_that_is_whole() -> None:
    whole = compare(TENANT, companies_day(Recorded), all_levels, DAY)
    split = compare(TENANT, companies_day(RecordedSplit), all_levels, DAY)
    assert whole["changed"]["queues"]["q0"] != whole["played"]["queues"]["q0"]
    late = split["was"]["all"].pop("occupancy"), whole["was"]["all"].pop("occupancy")
    assert late[0] == pytest.approx(late[1], abs=0.001)  # a log hears a little later when an agent became ready
    assert split == whole


def test_callers_outside_the_period_are_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    write_log(log, levels())
    asked = ["--tenant", TENANT, "--log", str(log), "--strategy", "random", "--json"]
    assert run([*asked, "--since", "2023-11-14T22:13:25"]) == 0  # START_MS and five seconds
    assert orjson.loads(capsys.readouterr().out)["was"]["all"]["callers"] == 1


@pytest.mark.parametrize(
    "more",
    [
        ["--strategy", "fastest"],
        ["--document", "/nowhere"],
        ["--strategy", "random"],
        ["--strategy", "random", "--follow", "5"],
        ["--strategy", "random", "--follow", "5", "--log", "/nowhere"],
    ],
)
def test_what_can_not_be_asked_is_refused_in_one_sentence(
    more: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGMASTER_KAFKA_BOOTSTRAP", raising=False)
    assert run(["--tenant", TENANT, *more]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_that_is_no_log_is_refused_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"hello\n")
    assert run(["--tenant", TENANT, "--log", str(log), "--strategy", "random"]) == 1
    assert "line 1" in capsys.readouterr().err
