"""What of a talk is recorded, by whose policy, and what people may change about it (SPEC 6.1)."""

import random
from uuid import UUID

import pytest

from services.router.domain.recording import is_wanted
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.world import LINE, Log, document

DONE, FAILED = cm.COMMAND_OUTCOME_DONE, cm.COMMAND_OUTCOME_FAILED


def talking(
    policy: tn.RecordingPolicy, line: tn.RecordingPolicy | None = None, queue: tn.RecordingPolicy | None = None
) -> Log:
    """Return a company whose caller c1 talks with olena."""
    company = document()
    company.recording.CopyFrom(policy)
    if line is not None:
        company.lines[0].recording.CopyFrom(line)
    if queue is not None:
        company.queues[0].recording.CopyFrom(queue)
    log = Log(company)
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    return log


def ask(log: Log, name: str, control: "rq.RecordingControl.ValueType") -> str:
    """Ask for something; return the problem, empty when there is none."""
    reply = log.request(name, control_recording=rq.ControlRecording(call_id="c1", control=control))
    return str(reply.problem)


def recorded(log: Log) -> int:
    return len(log.commands("start_recording"))


ALL = tn.RecordingPolicy(mode=tn.RECORDING_MODE_ALL, mask_seconds=30)
NONE = tn.RecordingPolicy(mode=tn.RECORDING_MODE_NONE)
ON_DEMAND = tn.RecordingPolicy(mode=tn.RECORDING_MODE_ON_DEMAND)


@pytest.mark.parametrize(
    ("company", "line", "queue", "wanted"),
    [
        (ALL, None, None, 1),
        (NONE, None, None, 0),
        (ALL, NONE, None, 0),
        (NONE, ALL, None, 1),
        (NONE, NONE, ALL, 1),
        (ALL, ALL, NONE, 0),
        (tn.RecordingPolicy(mode=tn.RECORDING_MODE_ON_CONSENT), None, None, 0),
    ],
)
def test_the_queues_policy_goes_before_the_lines_and_that_before_the_companys(
    company: tn.RecordingPolicy,
    line: tn.RecordingPolicy | None,
    queue: tn.RecordingPolicy | None,
    wanted: int,
) -> None:
    assert recorded(talking(company, line, queue)) == wanted


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 90, 100])
def test_a_percentage_chooses_by_the_call_and_comes_near_its_share(percent: int) -> None:
    policy = tn.RecordingPolicy(mode=tn.RECORDING_MODE_PERCENT, percent=percent)
    dice = random.Random(percent)
    call_ids = [str(UUID(int=dice.getrandbits(128))) for _ in range(400)]
    chosen = [is_wanted(policy, call_id, "") for call_id in call_ids]
    assert chosen == [is_wanted(policy, call_id, "") for call_id in call_ids]
    # Six standard deviations of a binomial share over 400 calls, at its widest.
    assert abs(sum(chosen) / len(chosen) - percent / 100) <= 6 * 0.025
    if percent in (0, 100):
        assert set(chosen) == {percent == 100}


@pytest.mark.parametrize("mode", tn.RecordingMode.values())
def test_who_refused_is_recorded_under_no_policy(mode: "tn.RecordingMode.ValueType") -> None:
    assert not is_wanted(tn.RecordingPolicy(mode=mode, percent=100), "c1", "refused")


def test_a_recording_says_who_called_which_line_and_who_asked_for_it(log_on_demand: Log) -> None:
    log = log_on_demand
    assert recorded(log) == 0
    assert not ask(log, "s1", rq.RECORDING_CONTROL_START)
    recording_id = log.last_command("start_recording").start_recording.recording_id
    log.fact("c1", recording_began=sw.RecordingBegan(recording_id=recording_id, path=f"acme/c1/{recording_id}.wav"))
    (event,) = log.events("recording_started")
    assert event.recording_started.actor == "olena"
    assert event.recording_started.line == LINE
    assert event.recording_started.caller.startswith("+380")
    assert ask(log, "s2", rq.RECORDING_CONTROL_START) == "recorded-already"
    assert not ask(log, "s3", rq.RECORDING_CONTROL_STOP)
    assert log.last_command("stop_recording").stop_recording.recording_id == recording_id
    assert ask(log, "s4", rq.RECORDING_CONTROL_STOP) == "not-recorded"


@pytest.fixture
def log_on_demand() -> Log:
    return talking(ON_DEMAND)


def test_nobody_records_where_the_policy_forbids_it_or_stops_what_the_policy_wants() -> None:
    assert ask(talking(NONE), "s1", rq.RECORDING_CONTROL_START) == "recording-forbidden"
    assert ask(talking(ALL), "s1", rq.RECORDING_CONTROL_STOP) == "recorded-by-policy"


@pytest.mark.parametrize(
    ("control", "kind"),
    [(rq.RECORDING_CONTROL_MASK, "recording_masked"), (rq.RECORDING_CONTROL_PAUSE, "recording_paused")],
)
def test_what_nobody_ends_ends_by_itself_after_its_longest_time(
    control: "rq.RecordingControl.ValueType", kind: str
) -> None:
    log = talking(ALL)
    assert not ask(log, "m1", control)
    log.result(log.last_command("mask_recording"), DONE)
    (event,) = log.events(kind)
    assert (getattr(event, kind).actor, getattr(event, kind).limit_seconds) == ("olena", 30)
    log.wait(29)
    assert not log.commands("unmask_recording")
    log.wait(2)
    log.result(log.last_command("unmask_recording"), DONE)
    (event,) = log.events("recording_resumed")
    assert event.recording_resumed.actor == "system"


def test_an_unmask_that_failed_is_tried_again_until_voices_are_written() -> None:
    log = talking(ALL)
    ask(log, "m1", rq.RECORDING_CONTROL_MASK)
    log.result(log.last_command("mask_recording"), DONE)
    ask(log, "u1", rq.RECORDING_CONTROL_RESUME)
    log.result(log.last_command("unmask_recording"), FAILED)
    assert not log.events("recording_resumed")
    log.wait(3)
    assert len(log.commands("unmask_recording")) == 2
    log.result(log.last_command("unmask_recording"), DONE)
    assert len(log.events("recording_resumed")) == 1
    log.wait(60)
    assert len(log.commands("unmask_recording")) == 2


def test_a_mask_that_failed_is_not_told_and_leaves_no_timer() -> None:
    log = talking(ALL)
    ask(log, "m1", rq.RECORDING_CONTROL_MASK)
    log.result(log.last_command("mask_recording"), FAILED)
    assert not log.events("recording_masked")
    log.wait(60)
    assert not log.commands("unmask_recording")


def test_a_mask_ends_with_its_call() -> None:
    log = talking(ALL)
    ask(log, "m1", rq.RECORDING_CONTROL_MASK)
    log.result(log.last_command("mask_recording"), DONE)
    log.hangs_up("c1")
    log.wait(60)
    assert not log.commands("unmask_recording")
