import pytest

from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import LINE, Log, document


@pytest.fixture
def log() -> Log:
    return Log(document())


def _exit(log: Log) -> int:
    return log.events("call_ended")[-1].call_ended.exit


def test_a_call_that_is_answered_tells_its_whole_story_in_order(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.now_ms += 3_000
    agent_leg = log.talk("c1").leg_id
    log.now_ms += 60_000
    log.hangs_up(agent_leg)
    log.hangs_up("c1", party=sw.HANGUP_PARTY_PLATFORM)
    assert log.bodies("c1") == [
        "call_started",
        "flow_step_entered",
        "ivr_choice",
        "flow_step_left",
        "flow_step_entered",
        "queue_joined",
        "offer_created",
        "offer_ringing",
        "offer_accepted",
        "queue_left",
        "call_answered",
        "call_ended",
    ]
    ended = log.events("call_ended")[0].call_ended
    assert (ended.exit, ended.wait_ms, ended.talk_ms) == (ev.CALL_EXIT_ANSWERED, 3_000, 60_000)
    assert [event.sequence for event in log.events() if event.call_id == "c1"] == list(range(1, 13))


def test_the_caller_is_answered_before_the_first_thing_to_be_heard_and_only_once(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    actions = [command.WhichOneof("action") for command in log.commands(call_id="c1")]
    assert actions == ["lease_leg", "answer_leg", "collect_digits", "start_music", "originate_leg"]


def test_a_waiting_leg_is_leased_again_until_it_is_bridged(log: Log) -> None:
    log.ready("olena")
    log.arrive("c1")
    log.wait(25)
    assert [command.lease_leg.seconds for command in log.commands("lease_leg")] == [30, 30, 30]
    log.press("c1", "1")
    log.talk("c1")
    log.wait(44)
    assert [command.lease_leg.seconds for command in log.commands("lease_leg")] == [30, 30, 30, 0]


def test_an_agent_is_rung_at_the_phone_below_the_tenants_domain(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    originate = log.last_command("originate_leg").originate_leg
    assert (originate.phone, originate.ring_timeout_ms) == ("phone-olena@acme.example", 15_000)
    assert originate.caller_number == "+380501112233"


def test_a_bridge_is_ordered_only_when_the_agent_answered_and_only_once(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    originate = log.rings("c1")
    assert log.commands("bridge_legs") == []
    log.fact(originate.leg_id, "c1", leg_answered=sw.LegAnswered())
    log.fact(originate.leg_id, "c1", leg_parked=sw.LegParked())
    bridge = log.commands("bridge_legs")
    assert [(command.leg_id, command.bridge_legs.other_leg_id) for command in bridge] == [("c1", originate.leg_id)]
    assert not bridge[0].bridge_legs.park_after


def test_the_callers_leg_is_recorded_unless_the_policy_says_no() -> None:
    for mode, recordings in ((tn.RECORDING_MODE_UNSPECIFIED, 1), (tn.RECORDING_MODE_NONE, 0)):
        tenant = document()
        tenant.recording.mode = mode
        log = Log(tenant)
        log.ready("olena")
        log.queue("c1")
        log.talk("c1")
        assert [command.leg_id for command in log.commands("start_recording")] == ["c1"] * recordings


def test_when_the_agent_hangs_up_the_caller_is_hung_up_too_and_the_agent_wraps_up(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.talk("c1").leg_id
    log.hangs_up(leg_id)
    assert log.last_command("hang_up_leg").leg_id == "c1"
    assert log.events("agent_wrapup_started")[-1].agent_wrapup_started.seconds == 10
    log.hangs_up("c1")
    log.wait(11)
    assert log.events("agent_state_changed")[-1].agent_state_changed.state == ev.AGENT_STATE_IDLE
    assert log.state.timers == {}


def test_when_the_caller_hangs_up_the_agents_leg_is_hung_up_too(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.talk("c1").leg_id
    log.hangs_up("c1")
    assert log.last_command("hang_up_leg").leg_id == leg_id
    assert _exit(log) == ev.CALL_EXIT_ANSWERED
    assert log.state.agents["olena"].wrap_up_from_ms


@pytest.mark.parametrize(
    ("waited_ms", "expected"),
    [(4_999, ev.CALL_EXIT_SHORT_ABANDONED), (5_000, ev.CALL_EXIT_ABANDONED)],
)
def test_a_caller_who_gives_up_in_the_queue_has_abandoned(
    log: Log, waited_ms: int, expected: "ev.CallExit.ValueType"
) -> None:
    log.ready("olena")
    log.queue("c1")
    log.rings("c1")
    log.now_ms += waited_ms
    log.hangs_up("c1", "ORIGINATOR_CANCEL")
    assert _exit(log) == expected
    assert log.events("call_lost")[-1].call_lost.exit == expected
    assert log.events("queue_left")[-1].queue_left.wait_ms == waited_ms


def test_a_caller_who_leaves_while_the_agent_rings_takes_the_agents_leg_along(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    originate = log.rings("c1")
    log.hangs_up("c1")
    assert log.events("offer_cancelled")[-1].offer_cancelled.agent_id == "olena"
    assert log.last_command("hang_up_leg").leg_id == originate.leg_id
    log.queue("c2")
    assert len(log.commands("originate_leg")) == 1, "the phone is not rung before the former leg is gone"
    log.hangs_up(originate.leg_id, "ORIGINATOR_CANCEL")
    assert len(log.commands("originate_leg")) == 2


def test_a_bridge_that_fails_brings_the_caller_back_with_the_entry_time(log: Log) -> None:
    log.ready("olena", "taras")
    log.queue("c1")
    originate = log.rings("c1")
    entered = log.state.calls["c1"].entered_ms
    log.now_ms += 4_000
    log.fact(originate.leg_id, "c1", leg_answered=sw.LegAnswered())
    log.refused(log.last_command("bridge_legs"), "Invalid uuid")
    assert log.state.calls["c1"].entered_ms == entered
    assert log.last_command("originate_leg").originate_leg.phone == "phone-taras@acme.example"
    assert log.last_command("stop_recording").leg_id == "c1"
    log.talk("c1")
    assert log.events("call_answered")[-1].call_answered.wait_ms == 4_000


def test_a_bridge_that_is_never_told_brings_the_caller_back_too(log: Log) -> None:
    log.ready("olena", "taras")
    log.queue("c1")
    log.fact(log.rings("c1").leg_id, "c1", leg_answered=sw.LegAnswered())
    log.wait(61)
    assert log.last_command("originate_leg").originate_leg.phone == "phone-taras@acme.example"


def test_a_bridge_that_is_not_told_is_ordered_again_before_it_is_given_up(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.rings("c1").leg_id
    log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    log.wait(41)
    orders = log.commands("bridge_legs")
    assert len({order.command_id for order in orders}) == len(orders) == 3
    assert all(order.bridge_legs.other_leg_id == leg_id for order in orders)
    assert log.commands("hang_up_leg") == []
    log.fact("c1", leg_bridged=sw.LegBridged(other_leg_id=leg_id))
    assert len(log.events("call_answered")) == 1
    log.wait(600)
    assert len(log.commands("bridge_legs")) == 3


def test_the_switchs_word_for_a_bridge_counts_when_the_fact_is_lost(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.rings("c1").leg_id
    log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    log.result(log.last_command("bridge_legs"), cm.COMMAND_OUTCOME_DONE)
    assert log.events("call_answered") == []
    log.wait(61)
    assert len(log.events("call_answered")) == 1
    log.hangs_up("c1")
    assert log.events("call_ended")[0].call_ended.exit == ev.CALL_EXIT_ANSWERED


def test_the_longest_wait_passes_and_the_flow_ends_the_call(log: Log) -> None:
    log.ready("ivan")
    log.queue("c0")
    log.talk("c0")
    log.queue("c1")
    log.wait(121)
    assert log.events("queue_left")[-1].queue_left.exit == ev.QUEUE_EXIT_TIMEOUT
    assert log.last_command("hang_up_leg").leg_id == "c1"
    log.hangs_up("c1")
    assert _exit(log) == ev.CALL_EXIT_TIMEOUT
    assert log.events("call_lost")[-1].call_lost.queue_id == "sales"


def test_a_queue_that_nobody_serves_lets_nobody_wait(log: Log) -> None:
    log.queue("c1")
    log.hangs_up("c1")
    assert log.events("queue_left")[-1].queue_left.exit == ev.QUEUE_EXIT_NO_AGENT
    assert _exit(log) == ev.CALL_EXIT_NO_AGENT


def test_callers_are_sent_on_when_the_last_agent_goes_offline(log: Log) -> None:
    log.ready("olena")
    log.queue("c0")
    log.talk("c0")
    log.queue("c1")
    log.request("bye", set_agent_status=rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_OFFLINE))
    assert log.events("queue_left")[-1].queue_left.exit == ev.QUEUE_EXIT_NO_AGENT


def test_a_full_queue_takes_nobody_more(log: Log) -> None:
    log.request("away", set_agent_status=rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_AWAY))
    for number in range(4):
        log.queue(f"c{number}")
    assert len(log.events("queue_joined")) == 3
    assert log.events("flow_step_left")[-2].flow_step_left.exit == "full"


def test_a_line_without_a_flow_ends_the_call_with_an_error(log: Log) -> None:
    log.arrive("c1", line="+380440000000")
    log.hangs_up("c1", "UNALLOCATED_NUMBER")
    assert _exit(log) == ev.CALL_EXIT_ERROR


def test_a_flow_that_goes_round_in_circles_ends_the_call_politely(log: Log) -> None:
    log.arrive("c1")
    log.press("c1", "4")
    assert log.last_command("hang_up_leg").leg_id == "c1"
    log.hangs_up("c1")
    assert _exit(log) == ev.CALL_EXIT_ERROR


def test_more_calls_than_allowed_are_refused_and_told(log: Log) -> None:
    for number in range(6):
        log.arrive(f"c{number}")
    exceeded = log.events("limit_exceeded")
    assert [(event.call_id, event.limit_exceeded.limit) for event in exceeded] == [("c5", "concurrent_calls")]
    assert [command.leg_id for command in log.commands("hang_up_leg")] == ["c5"]


def test_a_call_that_the_switch_took_back_ended_as_a_fallback(log: Log) -> None:
    log.arrive("c1")
    log.fact("c1", leg_fell_back=sw.LegFellBack(line=LINE))
    log.hangs_up("c1")
    [told] = [event.call_ended for event in log.events("call_ended")]
    assert (told.exit, told.fell_back) == (ev.CALL_EXIT_FALLBACK, True)
    log.arrive("c2")
    log.hangs_up("c2")
    assert not log.events("call_ended")[-1].call_ended.fell_back


def test_a_waiting_call_that_a_restart_took_along_ended_in_error(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.hangs_up("c1", "SYSTEM_SHUTDOWN", reconciled=True)
    assert _exit(log) == ev.CALL_EXIT_ERROR


def test_a_fact_told_twice_counts_once(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    former = [given for _, given in log.inputs if given.WhichOneof("input") == "fact"]
    for given in former:
        assert not log.feed(given).events


def test_a_leg_of_ours_that_nobody_waits_for_is_not_left_in_silence(log: Log) -> None:
    log.fact("old-leg", "old-call", leg_parked=sw.LegParked())
    assert log.last_command("hang_up_leg").leg_id == "old-leg"


def test_legs_and_results_that_are_not_ours_change_nothing(log: Log) -> None:
    out = [
        log.fact("foreign", leg_answered=sw.LegAnswered()),
        log.hangs_up("foreign"),
        log.fact("foreign", leg_bridged=sw.LegBridged(other_leg_id="other")),
    ]
    assert not any(one.events or one.commands for one in out)


def test_a_hang_up_that_is_never_told_ends_the_call_nevertheless(log: Log) -> None:
    log.arrive("c1")
    log.request("end", hang_up_call=rq.HangUpCall(call_id="c1"))
    log.wait(60)
    [ended] = log.events("call_ended")
    assert ended.call_ended.hangup_cause == "NORMAL_CLEARING"
    assert len(log.commands("hang_up_leg")) == 3
    assert log.state.timers == {}


def test_a_recording_is_told_when_it_begins_and_when_it_is_complete_even_after_the_call(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.talk("c1").leg_id
    recording_id = log.last_command("start_recording").start_recording.recording_id
    path = f"acme/c1/{recording_id}.wav"
    log.fact("c1", recording_began=sw.RecordingBegan(recording_id=recording_id, path=path))
    log.hangs_up(leg_id)
    log.hangs_up("c1")
    finished = sw.RecordingFinished(recording_id=recording_id, path=path, duration_ms=900)
    for _ in range(2):
        log.fact("c1", recording_finished=finished)
    assert log.events("recording_started")[0].recording_started.agent_id == "olena"
    assert log.events("call_ended")[0].call_ended.recording_ids == [recording_id]
    assert [event.recording_stopped.duration_ms for event in log.events("recording_stopped")] == [900]


def test_a_call_whose_bridge_never_came_has_no_recording(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.rings("c1").leg_id
    log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    orders = [command.WhichOneof("action") for command in log.outputs[-1].commands]
    assert orders.index("start_recording") < orders.index("bridge_legs")
    recording_id = log.last_command("start_recording").start_recording.recording_id
    path = f"acme/c1/{recording_id}.wav"
    log.fact("c1", recording_began=sw.RecordingBegan(recording_id=recording_id, path=path))
    log.hangs_up("c1", "ORIGINATOR_CANCEL")
    log.fact("c1", recording_finished=sw.RecordingFinished(recording_id=recording_id, path=path))
    assert list(log.events("call_ended")[0].call_ended.recording_ids) == []
    assert log.events("recording_stopped")[0].recording_stopped.duration_ms == 0


def test_calls_keep_the_flow_that_they_started_with(log: Log) -> None:
    log.arrive("c1")
    newer = document(version=2)
    newer.flows[0].start = "bye"
    log.feed(Input(tenant_id="acme", document=newer))
    log.press("c1", "3")
    log.arrive("c2")
    assert log.state.calls["c1"].step_id == "hear"
    assert log.last_command("hang_up_leg").leg_id == "c2"
    assert [event.config_changed.version for event in log.events("config_changed")] == [1, 2]
    log.hangs_up("c1")
    assert set(log.state.documents) == {2}


def test_callers_of_a_removed_queue_are_not_left_waiting(log: Log) -> None:
    log.request("away", set_agent_status=rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_AWAY))
    log.queue("c1")
    newer = document(version=2)
    del newer.queues[:]
    log.feed(Input(tenant_id="acme", document=newer))
    assert log.events("queue_left")[-1].queue_left.exit == ev.QUEUE_EXIT_ERROR
    assert log.last_command("hang_up_leg").leg_id == "c1"


def test_a_removed_agent_finishes_the_call_and_is_gone(log: Log) -> None:
    log.ready("olena")
    log.queue("c1")
    leg_id = log.talk("c1").leg_id
    newer = document(version=2)
    del newer.agents[0]
    del newer.queues[0].tiers[0]
    log.feed(Input(tenant_id="acme", document=newer))
    assert "olena" in log.state.agents
    log.hangs_up(leg_id)
    log.wait(11)
    assert "olena" not in log.state.agents
