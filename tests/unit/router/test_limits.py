"""What a tenant may use: how many calls a second, which numbers, how much a day (SPEC 1.4)."""

from typing import Any

import orjson
import pytest

from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.destinations import ban
from tests.unit.router.world import Log, document

ABROAD = "+442071000000"
MINUTE = 60


def _log(**limits: Any) -> Log:
    made = document()
    made.limits.CopyFrom(tn.Limits(**{"allowed_prefixes": ["+44"], **limits}))
    return Log(made)


def _exceeded(log: Log) -> list[tuple[str, float, float]]:
    bodies = [event.limit_exceeded for event in log.events("limit_exceeded")]
    return [(body.limit, body.value, body.allowed) for body in bodies]


def _tariff(prefix: str, price: float) -> tn.Tariff:
    return tn.Tariff(prefix=prefix, price_per_minute=price)


# -- calls a second


def test_more_calls_in_a_second_than_may_are_refused_and_told() -> None:
    log = _log(calls_per_second=2)
    for number in range(3):
        log.arrive(f"c{number}")
        log.wait(0.1)
    assert [command.call_id for command in log.commands("hang_up_leg")] == ["c2"]
    assert log.last_command("hang_up_leg").hang_up_leg.cause == "NORMAL_CIRCUIT_CONGESTION"
    assert _exceeded(log) == [("calls_per_second", 3, 2)]


def test_a_refused_call_takes_no_room_of_the_next_second() -> None:
    log = _log(calls_per_second=1)
    log.arrive("first")
    log.wait(0.9)
    log.arrive("refused")
    log.wait(0.1)
    log.arrive("second")
    assert [command.call_id for command in log.commands("hang_up_leg")] == ["refused"]


def test_calls_that_agents_begin_count_too() -> None:
    log = _log(calls_per_second=1)
    log.arrive("c1")
    wish = rq.DialNumber(agent_id="olena", number=ABROAD)
    log.request("status", set_agent_status=rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_READY))
    assert log.request("soon", dial_number=wish).problem == "no-capacity"
    log.wait(1)
    assert log.request("later", dial_number=wish).problem == ""
    log.arrive("c2")
    assert log.last_command("hang_up_leg").call_id == "c2"


# -- which numbers


@pytest.mark.parametrize(
    ("number", "more", "limit"),
    [
        ("+442071000000", {}, ""),
        ("+492211234567", {}, "allowed_prefixes"),
        ("+442071000000", {"denied_prefixes": ["+44207"]}, "denied_prefixes"),
        ("+449098790000", {}, "high_risk_prefixes"),
        ("+449098790000", {"high_risk_prefixes": ["+44909"]}, ""),
        ("+881612345678", {"allowed_prefixes": ["+"]}, "high_risk_prefixes"),
        ("+442071000000", {"outbound_spend_per_day": 1.0}, "tariffs"),
        ("+442071000000", {"outbound_spend_per_day": 1.0, "tariffs": [_tariff("+44", 0.1)]}, ""),
    ],
)
def test_a_number_is_dialled_only_when_every_limit_allows_it(number: str, more: dict[str, Any], limit: str) -> None:
    limits = tn.Limits(**{"allowed_prefixes": ["+44"], **more})
    assert ban(limits, number) == limit


def test_a_forward_to_a_denied_number_fails_and_is_told() -> None:
    log = _log(denied_prefixes=["+44207"])
    log.arrive("c1")
    log.press("c1", "2")
    assert log.commands("originate_leg") == []
    assert _exceeded(log) == [("denied_prefixes", 0, 0)]


# -- what it costs


def _forward(log: Log, call_id: str, seconds: float) -> None:
    """Let a caller be forwarded and talk for so long."""
    log.arrive(call_id)
    log.press(call_id, "2")
    leg_id = log.last_command("originate_leg", call_id).leg_id
    log.fact(leg_id, call_id, leg_answered=sw.LegAnswered())
    log.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=leg_id))
    log.wait(seconds)
    log.hangs_up(call_id)
    log.hangs_up(leg_id)


def _priced(**more: Any) -> Log:
    tariffs = [_tariff("+44", 1.0), _tariff("+442071", 0.25), _tariff("+44207", 9.0)]
    return _log(tariffs=tariffs, **more)


def test_the_longest_prefix_prices_a_call_and_each_minute_that_begins_counts() -> None:
    log = _priced(outbound_spend_per_day=10)
    _forward(log, "c1", MINUTE + 1)
    _forward(log, "c2", 1)
    assert log.state.spent[1] == 750
    assert log.state.metered == {}


def test_a_transfer_to_a_number_costs_as_a_forward_does() -> None:
    log = _priced(outbound_spend_per_day=10)
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    assert log.request("t1", transfer_call=rq.TransferCall(call_id="c1", number="+442071000001")).accepted
    leg_id = log.last_command("originate_leg", "c1").leg_id
    log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    log.wait(MINUTE - 1)
    log.hangs_up("c1")
    log.hangs_up(leg_id)
    assert log.state.spent[1] == 250


def test_nothing_is_dialled_once_the_day_s_money_is_spent_and_the_moment_is_told_once() -> None:
    log = _priced(outbound_spend_per_day=0.5)
    _forward(log, "c1", MINUTE + 1)
    assert _exceeded(log) == [("outbound_spend_per_day", 0.5, 0.5)]
    log.arrive("c2")
    log.press("c2", "2")
    assert len(log.commands("originate_leg")) == 1
    assert _exceeded(log)[1:] == [("outbound_spend_per_day", 0.5, 0.5)]
    log.hangs_up("c2")
    log.wait(24 * 60 * MINUTE)
    log.arrive("c3")
    log.press("c3", "2")
    assert len(log.commands("originate_leg")) == 2


def test_calls_that_go_on_count_before_they_end() -> None:
    log = _priced(outbound_spend_per_day=0.5)
    log.arrive("c1")
    log.press("c1", "2")
    leg_id = log.last_command("originate_leg", "c1").leg_id
    log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
    log.fact("c1", leg_bridged=sw.LegBridged(other_leg_id=leg_id))
    log.wait(MINUTE - 1)
    _forward(log, "unanswered", 0)
    assert [command.call_id for command in log.commands("originate_leg")] == ["c1", "unanswered"]
    log.wait(2)
    log.arrive("c2")
    log.press("c2", "2")
    assert [command.call_id for command in log.commands("originate_leg")] == ["c1", "unanswered"]


def test_a_leg_that_nobody_answers_costs_nothing() -> None:
    log = _priced(outbound_spend_per_day=0.5)
    log.arrive("c1")
    log.press("c1", "2")
    log.hangs_up(log.last_command("originate_leg", "c1").leg_id, "NO_ANSWER")
    assert log.state.spent[1] == 0
    assert log.state.metered == {}


def test_what_was_spent_and_what_goes_on_outlives_a_restart() -> None:
    log = _priced(outbound_spend_per_day=10, calls_per_second=9)
    _forward(log, "c1", 1)
    log.arrive("c2")
    log.press("c2", "2")
    again = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(log.state))))
    assert (again.spent, again.metered, again.begun) == (log.state.spent, log.state.metered, log.state.begun)


def test_a_snapshot_of_the_former_format_is_read() -> None:
    log = _log()
    log.arrive("c1")
    former = orjson.loads(orjson.dumps(to_snapshot(log.state)))
    former["format"] = 6
    for name in ("begun", "spent", "metered"):
        del former[name]
    assert from_snapshot(former).spent == [0, 0]
