"""Calls that go from one agent to somebody else: blind, after a consultation, as three (SPEC 3.8)."""

import itertools
from typing import Any

import pytest

from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import LegRole, TransferPhase
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import Log, document

NUMBER = "+442071000001"


def talking(*ready: str) -> tuple[Log, Command]:
    """Return a log in which call c1 talks with the first of these agents; also the originate of that agent's leg."""
    made = document()
    second = made.queues.add()
    second.CopyFrom(made.queues[0])
    second.queue_id, second.music = "second", "blues"
    del second.tiers[:]
    second.tiers.add(agent_id="ivan", level=1, position=1)
    made.queues[0].list_priorities.add(list_id="vip", priority=7)
    second.list_priorities.add(list_id="vip", priority=4)
    log = Log(made)
    log.ready(*(ready or ("olena", "taras")))
    log.queue("c1", "+380671112233")
    return log, log.talk("c1")


def ask(log: Log, **body: Any) -> rq.Reply:
    return log.request(f"ask-{len(log.inputs)}", **body)


def parted(log: Log, agent_leg_id: str) -> None:
    log.fact("c1", leg_unbridged=sw.LegUnbridged(other_leg_id=agent_leg_id))
    log.fact("c1", leg_parked=sw.LegParked())
    log.fact(agent_leg_id, "c1", leg_parked=sw.LegParked())


def answers(log: Log) -> str:
    """Let the transfer's target answer; returns its leg."""
    leg_id = log.rings("c1").leg_id
    log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    return leg_id


def bridged(log: Log) -> set[str]:
    """Tell that the last bridge that was ordered is there; returns its legs."""
    command = log.last_command("bridge_legs", "c1")
    log.fact(command.leg_id, "c1", leg_bridged=sw.LegBridged(other_leg_id=command.bridge_legs.other_leg_id))
    return {command.leg_id, command.bridge_legs.other_leg_id}


def consulting(to: str = "taras") -> tuple[Log, str, str]:
    """Return a log in which olena asks somebody about c1; also her leg and the other's."""
    log, originate = talking()
    target = {"agent_id": to} if not to.startswith("+") else {"number": to}
    assert ask(log, start_consultation=rq.StartConsultation(call_id="c1", **target)).accepted
    parted(log, originate.leg_id)
    target_leg_id = answers(log)
    assert bridged(log) == {originate.leg_id, target_leg_id}
    return log, originate.leg_id, target_leg_id


def state_of(log: Log, agent_id: str) -> AgentState:
    return log.state.agents[agent_id].state


def hears(log: Log, leg_id: str) -> str:
    """Return what a leg was told to hear last: music, or the leg that it is bridged with, or a room."""
    heard = ""
    for command in log.commands():
        action = command.WhichOneof("action")
        if action == "bridge_legs" and leg_id in (command.leg_id, command.bridge_legs.other_leg_id):
            heard = command.bridge_legs.other_leg_id if leg_id == command.leg_id else command.leg_id
        elif action == "start_music" and command.leg_id == leg_id:
            heard = "ringing" if command.start_music.ringing else f"music:{command.start_music.stream}"
        elif action == "join_conference" and command.leg_id == leg_id:
            heard = f"room:{command.join_conference.conference_id}"
    return heard


def is_let_go(log: Log, leg_id: str) -> bool:
    return any(command.leg_id == leg_id for command in log.commands("hang_up_leg"))


def transferred(log: Log) -> Event:
    (event,) = log.events("call_transferred")
    return event


def test_a_blind_transfer_to_an_agent_frees_the_first_at_once_and_connects_the_customer_with_the_second() -> None:
    log, first = talking()
    assert ask(log, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras")).accepted
    assert log.last_command("part_legs").part_legs.other_leg_id == first.leg_id
    assert is_let_go(log, first.leg_id)
    assert state_of(log, "olena") is AgentState.WRAP_UP
    parted(log, first.leg_id)
    assert hears(log, "c1") == "music:jazz"
    log.wait(3)
    target = answers(log)
    assert bridged(log) == {"c1", target}
    assert state_of(log, "taras") is AgentState.TALKING
    body = transferred(log).call_transferred
    assert (body.from_agent_id, body.to_agent_id, body.attended) == ("olena", "taras", False)
    log.wait(20)
    log.hangs_up("c1")
    (ended,) = log.events("call_ended")
    assert ended.call_ended.exit == ev.CALL_EXIT_ANSWERED
    assert ended.call_ended.agent_id == "taras"
    assert ended.call_ended.talk_ms == 20_000
    assert state_of(log, "taras") is AgentState.WRAP_UP


def test_a_blind_transfer_to_a_queue_lets_the_customer_wait_there_with_the_time_of_entry() -> None:
    log, first = talking("olena", "ivan")
    entered = log.state.calls["c1"].entered_ms
    log.wait(30)
    assert ask(log, transfer_call=rq.TransferCall(call_id="c1", queue_id="second")).accepted
    assert transferred(log).call_transferred.to_queue_id == "second"
    joined = log.events("queue_joined")[-1].queue_joined
    assert (joined.queue_id, joined.former_queue_id, joined.entered_ms) == ("second", "sales", entered)
    assert [event.queue_joined.priority for event in log.events("queue_joined")] == [7, 4]
    parted(log, first.leg_id)
    assert hears(log, "c1") == "music:blues"
    log.hangs_up(first.leg_id)
    log.talk("c1")
    assert state_of(log, "ivan") is AgentState.TALKING
    assert log.state.calls["c1"].agent_id == "ivan"


def test_a_call_is_answered_once_and_who_talks_after_a_transfer_to_a_queue_is_told_by_leaving_it() -> None:
    log, first = talking("olena", "ivan")
    ask(log, transfer_call=rq.TransferCall(call_id="c1", queue_id="second"))
    parted(log, first.leg_id)
    log.hangs_up(first.leg_id)
    log.talk("c1")
    assert [event.call_answered.agent_id for event in log.events("call_answered")] == ["olena"]
    left = log.events("queue_left")[-1].queue_left
    assert (left.queue_id, left.exit, left.agent_id) == ("second", ev.QUEUE_EXIT_ANSWERED, "ivan")


def test_who_got_a_call_by_transfer_is_the_one_whom_the_caller_talked_with_last() -> None:
    made = document()
    made.queues[0].sticky.agent_seconds = 10
    log = Log(made)
    log.ready("olena", "taras")
    log.queue("c1")
    first = log.talk("c1")
    ask(log, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    parted(log, first.leg_id)
    log.hangs_up(first.leg_id)
    second = answers(log)
    bridged(log)
    log.hangs_up(second)
    log.hangs_up("c1")
    log.wait(20)
    log.queue("again")
    assert log.events("offer_created")[-1].offer_created.agent_id == "taras"


def test_who_got_a_call_by_transfer_can_hold_it_and_transfer_it_on() -> None:
    log, agent_leg, _ = consulting()
    ask(log, complete_consultation=rq.CompleteConsultation(call_id="c1"))
    bridged(log)
    log.hangs_up(agent_leg)
    log.wait(20)
    assert ask(log, hold_call=rq.HoldCall(call_id="c1", held=True)).accepted
    assert ask(log, transfer_call=rq.TransferCall(call_id="c1", agent_id="olena")).accepted
    answers(log)
    bridged(log)
    moves = [event.call_transferred for event in log.events("call_transferred")]
    assert [(move.from_agent_id, move.to_agent_id) for move in moves] == [("olena", "taras"), ("taras", "olena")]


def test_a_blind_transfer_to_a_number_goes_on_without_us() -> None:
    log, first = talking()
    assert ask(log, transfer_call=rq.TransferCall(call_id="c1", number=NUMBER)).accepted
    parted(log, first.leg_id)
    target = log.last_command("originate_leg", "c1")
    assert target.originate_leg.number == NUMBER
    log.fact(target.leg_id, "c1", leg_parked=sw.LegParked())
    bridged(log)
    assert transferred(log).call_transferred.to_number == NUMBER
    assert log.state.calls["c1"].stage is CallStage.FORWARDED
    log.hangs_up(target.leg_id)
    log.hangs_up("c1")
    assert [event.call_ended.exit for event in log.events("call_ended")] == [ev.CALL_EXIT_ANSWERED]


@pytest.mark.parametrize("how", ["refuses", "misses", "is not there"])
def test_a_customer_whose_blind_transfer_fails_waits_in_the_queue_again(how: str) -> None:
    log, first = talking()
    ask(log, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    parted(log, first.leg_id)
    log.hangs_up(first.leg_id)
    if how == "refuses":
        log.hangs_up(log.rings("c1").leg_id, "USER_BUSY")
    elif how == "misses":
        log.rings("c1")
        log.wait(31)
    else:
        log.refused(log.last_command("originate_leg", "c1"), "USER_NOT_REGISTERED")
    call = log.state.calls["c1"]
    assert call.is_waiting
    assert (call.queue_id, call.priority) == ("sales", 7)
    assert hears(log, "c1") == "music:jazz"
    assert not log.state.transfers
    assert not log.events("call_transferred")


def test_a_consultation_puts_the_customer_on_hold_and_lets_the_agent_hear_that_it_rings() -> None:
    log, first = talking()
    ask(log, start_consultation=rq.StartConsultation(call_id="c1", agent_id="taras"))
    assert state_of(log, "olena") is AgentState.HOLDING
    parted(log, first.leg_id)
    assert hears(log, "c1") == "music:jazz"
    assert hears(log, first.leg_id) == "ringing"


@pytest.mark.parametrize("to", ["taras", NUMBER])
def test_an_attended_transfer_hands_the_customer_over_after_the_two_spoke(to: str) -> None:
    log, agent_leg, target_leg = consulting(to)
    log.wait(10)
    assert ask(log, complete_consultation=rq.CompleteConsultation(call_id="c1")).accepted
    assert not is_let_go(log, agent_leg)
    assert bridged(log) == {"c1", target_leg}
    assert is_let_go(log, agent_leg)
    assert transferred(log).call_transferred.attended
    assert state_of(log, "olena") is AgentState.WRAP_UP
    log.wait(5)
    log.hangs_up("c1")
    (ended,) = log.events("call_ended")
    assert ended.call_ended.hold_ms == 10_000
    assert is_let_go(log, target_leg)


def test_a_consultation_with_a_queue_rings_whom_its_strategy_names_and_refuses_when_nobody_is_free() -> None:
    log, first = talking("olena", "ivan")
    refused = ask(log, start_consultation=rq.StartConsultation(call_id="c1", queue_id="nowhere"))
    assert refused.problem == "queue-not-found"
    assert ask(log, start_consultation=rq.StartConsultation(call_id="c1", queue_id="second")).accepted
    parted(log, first.leg_id)
    target = answers(log)
    assert state_of(log, "ivan") is AgentState.TALKING
    assert bridged(log) == {first.leg_id, target}
    assert ask(log, complete_consultation=rq.CompleteConsultation(call_id="c1")).accepted
    assert bridged(log) == {"c1", target}
    body = transferred(log).call_transferred
    assert (body.from_agent_id, body.to_agent_id, body.attended) == ("olena", "ivan", True)
    alone, _ = talking("olena")
    refused = ask(alone, start_consultation=rq.StartConsultation(call_id="c1", queue_id="second"))
    assert refused.problem == "nobody-free"
    assert alone.state.calls["c1"].stage is CallStage.TALKING


def test_the_agent_goes_to_and_fro_between_the_customer_and_the_one_who_was_asked() -> None:
    log, agent_leg, target_leg = consulting()
    assert ask(log, swap_consultation=rq.SwapConsultation(call_id="c1")).accepted
    assert bridged(log) == {"c1", agent_leg}
    log.fact(target_leg, "c1", leg_parked=sw.LegParked())
    assert hears(log, target_leg) == "music:jazz"
    assert state_of(log, "olena") is AgentState.TALKING
    assert ask(log, swap_consultation=rq.SwapConsultation(call_id="c1")).accepted
    assert bridged(log) == {agent_leg, target_leg}
    log.fact("c1", leg_parked=sw.LegParked())
    assert hears(log, "c1") == "music:jazz"
    assert state_of(log, "olena") is AgentState.HOLDING


def test_a_cancelled_consultation_brings_the_customer_back_to_the_agent() -> None:
    log, agent_leg, target_leg = consulting()
    assert ask(log, cancel_consultation=rq.CancelConsultation(call_id="c1")).accepted
    assert is_let_go(log, target_leg)
    assert bridged(log) == {"c1", agent_leg}
    assert log.state.calls["c1"].stage is CallStage.TALKING
    assert state_of(log, "olena") is AgentState.TALKING
    assert state_of(log, "taras") is AgentState.WRAP_UP
    assert not log.events("call_transferred")


def test_a_consultation_that_is_cancelled_while_the_agent_speaks_with_the_customer_leaves_them_together() -> None:
    log, agent_leg, target_leg = consulting()
    ask(log, swap_consultation=rq.SwapConsultation(call_id="c1"))
    bridged(log)
    assert ask(log, cancel_consultation=rq.CancelConsultation(call_id="c1")).accepted
    assert is_let_go(log, target_leg)
    assert log.state.calls["c1"].stage is CallStage.TALKING
    assert not log.state.transfers
    assert hears(log, "c1") == agent_leg
    assert state_of(log, "olena") is AgentState.TALKING
    log.hangs_up(target_leg)
    log.hangs_up(agent_leg)
    assert is_let_go(log, "c1")


def test_who_waits_parked_hears_ringing_only_while_it_rings() -> None:
    log, agent_leg, _ = consulting()
    ask(log, swap_consultation=rq.SwapConsultation(call_id="c1"))
    log.fact(agent_leg, "c1", leg_parked=sw.LegParked())  # between the two bridges
    assert hears(log, agent_leg) == "c1"


def test_three_speak_in_a_room_until_one_of_them_leaves() -> None:
    log, agent_leg, target_leg = consulting()
    assert ask(log, join_consultation=rq.JoinConsultation(call_id="c1")).accepted
    rooms = {hears(log, leg_id) for leg_id in ("c1", agent_leg, target_leg)}
    assert rooms == {"room:acme.c1"}
    assert state_of(log, "olena") is AgentState.TALKING
    log.hangs_up(agent_leg)
    assert bridged(log) == {"c1", target_leg}
    assert transferred(log).call_transferred.to_agent_id == "taras"


def test_what_is_recorded_goes_on_in_the_room() -> None:
    log, *_ = consulting()
    former = log.state.calls["c1"].recording_id
    ask(log, join_consultation=rq.JoinConsultation(call_id="c1"))
    assert log.last_command("stop_recording").stop_recording.recording_id == former
    assert log.last_command("start_recording").start_recording.without_bridge


def test_an_agent_who_hangs_up_while_it_rings_has_transferred_the_call() -> None:
    log, first = talking()
    ask(log, start_consultation=rq.StartConsultation(call_id="c1", agent_id="taras"))
    parted(log, first.leg_id)
    log.hangs_up(first.leg_id)
    target = answers(log)
    assert bridged(log) == {"c1", target}
    assert log.state.calls["c1"].agent_id == "taras"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"agent_id": "nobody"}, "agent-not-found"),
        ({"agent_id": "ivan"}, "agent-not-free"),
        ({"number": "+15550001"}, "number-not-allowed"),
        ({"number": "+44;drop"}, "number-not-allowed"),
        ({"queue_id": "nowhere"}, "queue-not-found"),
        ({"queue_id": "second"}, "queue-closed"),
        ({}, "agent-not-found"),
    ],
)
def test_a_target_that_can_not_be_reached_changes_nothing(body: dict[str, str], problem: str) -> None:
    log, first = talking()
    reply = ask(log, transfer_call=rq.TransferCall(call_id="c1", **body))
    assert reply.problem == problem
    assert log.state.calls["c1"].stage is CallStage.TALKING
    assert not log.commands("part_legs")
    assert not is_let_go(log, first.leg_id)


def test_mute_and_digits_reach_the_right_legs_and_no_event_tells_the_digits() -> None:
    log, agent_leg, target_leg = consulting()
    ask(log, mute_agent=rq.MuteAgent(call_id="c1", muted=True))
    assert log.last_command("mute_leg").leg_id == agent_leg
    assert ask(log, send_call_digits=rq.SendCallDigits(call_id="c1", digits="7391#")).accepted
    assert log.last_command("send_digits").leg_id == target_leg
    ask(log, cancel_consultation=rq.CancelConsultation(call_id="c1"))
    bridged(log)
    ask(log, send_call_digits=rq.SendCallDigits(call_id="c1", digits="7391#"))
    assert log.last_command("send_digits").leg_id == "c1"
    assert not any(b"7391" in event.SerializeToString() for event in log.events())
    assert ask(log, send_call_digits=rq.SendCallDigits(call_id="c1", digits="12x")).problem == "bad-digits"


def test_a_waiting_call_moves_to_another_queue_with_its_time_of_entry() -> None:
    log, _ = talking("olena", "ivan")
    log.request("away", set_agent_status=rq.SetAgentStatus(agent_id="ivan", status=rq.AGENT_STATUS_AWAY))
    log.queue("c2", "+380501112299")
    entered = log.state.calls["c2"].entered_ms
    log.wait(4)
    assert ask(log, move_waiting_call=rq.MoveWaitingCall(call_id="c2", queue_id="second")).accepted
    call = log.state.calls["c2"]
    assert (call.queue_id, call.is_waiting, call.entered_ms) == ("second", True, entered)
    assert ask(log, move_waiting_call=rq.MoveWaitingCall(call_id="c1", queue_id="second")).problem == "not-waiting"


MOMENTS = list(TransferPhase)


def at(moment: TransferPhase) -> tuple[Log, str, str]:
    """Return a log in which a consultation is in a phase; also the agent's leg and the target's."""
    if moment is TransferPhase.RINGING:
        log, first = talking()
        ask(log, start_consultation=rq.StartConsultation(call_id="c1", agent_id="taras"))
        parted(log, first.leg_id)
        return log, first.leg_id, log.rings("c1").leg_id
    log, agent_leg, target_leg = consulting()
    bodies: dict[TransferPhase, dict[str, Any]] = {
        TransferPhase.SWAPPED: {"swap_consultation": rq.SwapConsultation(call_id="c1")},
        TransferPhase.TOGETHER: {"join_consultation": rq.JoinConsultation(call_id="c1")},
        TransferPhase.JOINING: {"complete_consultation": rq.CompleteConsultation(call_id="c1")},
        TransferPhase.RETURNING: {"cancel_consultation": rq.CancelConsultation(call_id="c1")},
    }
    if moment in bodies:
        assert ask(log, **bodies[moment]).accepted
    assert log.state.transfers["c1"].phase is moment
    return log, agent_leg, target_leg


@pytest.mark.parametrize(
    ("moment", "dying"),
    [*itertools.product(MOMENTS, itertools.permutations(["customer", "agent", "target"]))],
)
def test_whoever_dies_in_whatever_order_nobody_is_left_over(moment: TransferPhase, dying: tuple[str, ...]) -> None:
    log, agent_leg, target_leg = at(moment)
    legs = {"customer": "c1", "agent": agent_leg, "target": target_leg}
    for who in dying:
        log.hangs_up(legs[who])
        _nobody_is_alone(log)
    for leg in list(log.state.legs.values()):
        log.hangs_up(leg.leg_id)
    log.wait(300)
    assert not log.state.calls
    assert not log.state.legs
    assert not log.state.transfers
    assert log.state.timers == {}
    assert [event.call_id for event in log.events("call_ended")] == ["c1"]
    assert {state_of(log, name) for name in ("olena", "taras")} <= {AgentState.IDLE, AgentState.AWAY}


def _nobody_is_alone(log: Log) -> None:
    """A customer waits, or talks, or is being connected; and each leg that we made is wanted or let go."""
    call = log.state.calls.get("c1")
    transfer = log.state.transfers.get("c1")
    if call is not None:
        partner = call.other_leg_id or (transfer.leg_id if transfer else "")
        assert call.is_waiting or call.stage is CallStage.ENDING or partner
    wanted = {call.other_leg_id, transfer.leg_id if transfer else ""} if call is not None else set()
    wanted |= {offer.leg_id for offer in log.state.offers.values()}
    for leg in log.state.legs.values():
        if leg.role is not LegRole.CUSTOMER:
            assert leg.leg_id in wanted or leg.release_tries, leg


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_bridge_that_fails_brings_the_customer_to_whoever_is_left(moment: TransferPhase) -> None:
    log, *_ = at(moment)
    commands = [command for command in log.commands() if command.command_id == log.state.transfers["c1"].command_id]
    for command in commands:
        log.result(command, cm.COMMAND_OUTCOME_FAILED, "NORMAL_TEMPORARY_FAILURE")
        _nobody_is_alone(log)
    log.wait(60)
    _nobody_is_alone(log)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_transfer_whose_bridge_is_never_told_comes_to_an_end(moment: TransferPhase) -> None:
    log, *_ = at(moment)
    log.wait(120)
    _nobody_is_alone(log)
    assert moment in (TransferPhase.CONSULTING, TransferPhase.TOGETHER) or not log.state.transfers


def test_a_document_without_the_queue_lets_a_lonely_customer_go() -> None:
    log, first = talking()
    ask(log, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    parted(log, first.leg_id)
    newer = document(version=2)
    del newer.queues[:]
    log.feed(Input(tenant_id="acme", document=newer))
    log.hangs_up(log.rings("c1").leg_id, "USER_BUSY")
    assert log.state.calls["c1"].stage is CallStage.ENDING
