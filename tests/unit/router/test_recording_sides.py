"""The customer is heard on the left of a recording, the agent on the right, whoever was rung first (SPEC 6.1).

FreeSWITCH writes the recorded leg's own voice to the left: so it is always the customer's leg that is recorded.
"""

import pytest

from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.test_callbacks import agent_takes, customer_answers, dials, lost_with_nobody_free, rung
from tests.unit.router.test_supervision import dialled, dialling
from tests.unit.router.test_transfers import answers, ask, bridged, consulting, parted, talking
from tests.unit.router.world import Log


def recorded_legs(log: Log, call_id: str) -> set[str]:
    """Return the legs of a call that were ordered to be recorded."""
    return {command.leg_id for command in log.commands("start_recording") if command.call_id == call_id}


def test_who_calls_us_is_on_the_left() -> None:
    log, _ = talking()
    assert recorded_legs(log, "c1") == {"c1"}


@pytest.mark.parametrize("order", [tn.CALLBACK_ORDER_AGENT_FIRST, tn.CALLBACK_ORDER_CUSTOMER_FIRST])
def test_who_is_called_back_is_on_the_left_whoever_was_rung_first(order: "tn.CallbackOrder.ValueType") -> None:
    log = lost_with_nobody_free(order=order)
    log.ready("olena")
    if order == tn.CALLBACK_ORDER_AGENT_FIRST:
        agent_takes(log)
        call_id = customer_answers(log)
    else:
        call_id = customer_answers(log)
        agent_takes(log)
    log.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=rung(log)[-1].leg_id))
    assert dials(log)[-1].leg_id == call_id
    assert recorded_legs(log, call_id) == {call_id}


def test_who_is_called_by_an_agent_is_on_the_left() -> None:
    log = dialling()
    call_id, agent_leg = dialled(log)
    assert customer_answers(log) == call_id
    log.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=agent_leg))
    assert recorded_legs(log, call_id) == {call_id} == {dials(log)[-1].leg_id}


@pytest.mark.parametrize("how", ["blind", "attended", "three in a room"])
def test_the_customer_stays_on_the_left_after_a_transfer(how: str) -> None:
    if how == "blind":
        log, first = talking()
        assert ask(log, transfer_call=rq.TransferCall(call_id="c1", agent_id="taras")).accepted
        parted(log, first.leg_id)
        answers(log)
        bridged(log)
    else:
        log, *_ = consulting()
        done = {"complete_consultation": rq.CompleteConsultation(call_id="c1")}
        ask(log, **(done if how == "attended" else {"join_consultation": rq.JoinConsultation(call_id="c1")}))
    assert log.state.calls["c1"].recording_id, "nothing is recorded any more"
    assert recorded_legs(log, "c1") == {"c1"}
