"""What rules find in a log (SPEC 7.4)."""

from datetime import datetime
from typing import Any

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.domain.rules.messages import message_of
from services.webhooks.domain.rules.rule import BadRule, Rule, rules_of
from services.webhooks.domain.rules.watch import Firing, TenantWatch
from services.webhooks.rule_runner import cause_of

NOON_MS = 1_767_607_200_000
"""2026-01-05 10:00 UTC, a Monday: noon in Kyiv."""


class Log:
    """One tenant's events, given to its rules in order."""

    def __init__(self, *rules: tn.Rule, schedules: tuple[tn.Schedule, ...] = ()) -> None:
        document = tn.TenantDocument(tenant_id="acme", time_zone="Europe/Kyiv", rules=rules, schedules=schedules)
        self.watch = TenantWatch(rules_of(document))
        self.count = 0
        self.told: list[Event] = []

    def event(self, seconds: float, call_id: str = "", **body: Any) -> Event:
        self.count += 1
        event = Event(event_id=f"e{self.count}", tenant_id="acme", call_id=call_id, **body)
        event.time.FromMilliseconds(NOON_MS + int(seconds * 1000))
        return event

    def take(self, event: Event, *, is_late: bool = False) -> list[dict[str, Any]]:
        found = self.watch.take(event, event.time.ToMilliseconds(), is_late=is_late)
        self.told += found.events
        return [firing.facts for firing in found.firings]

    def started(self, seconds: float, number: str, name: str = "") -> list[dict[str, Any]]:
        body = ev.CallStarted(caller=ev.Party(number=number, name=name), line="+380441000001")
        return self.take(self.event(seconds, f"call{self.count}", call_started=body))

    def missed(self, seconds: float, agent_id: str, call_id: str = "") -> list[dict[str, Any]]:
        return self.take(self.event(seconds, call_id, offer_missed=ev.OfferMissed(agent_id=agent_id, queue_id="sales")))

    def joined(self, seconds: float, call_id: str, queue_id: str = "sales") -> list[dict[str, Any]]:
        return self.take(self.event(seconds, call_id, queue_joined=ev.QueueJoined(queue_id=queue_id)))

    def left(self, seconds: float, call_id: str, exit_way: str, wait_ms: int, *, within: bool = True) -> None:
        value = ev.QueueExit.Value(f"QUEUE_EXIT_{exit_way.upper()}")
        body = ev.QueueLeft(queue_id="sales", exit=value, wait_ms=wait_ms, within_service_level=within)
        self.take(self.event(seconds, call_id, queue_left=body))


def repeated(count: int = 3, seconds: int = 3_600, **wishes: Any) -> tn.Rule:
    window = tn.RuleWindow(count=count, seconds=seconds, per=tn.RULE_KEY_CALLER, **wishes)
    return tn.Rule(rule_id="again", events=["call.started"], window=window)


def test_a_client_who_calls_three_times_an_hour_is_told_of_once_for_each_flurry() -> None:
    log = Log(repeated())
    moments = [0, 600, 1_200, 1_800, 9_000, 9_060, 9_120]
    fired = [moment for moment in moments if log.started(moment, "+380671112233")]
    assert fired == [1_200, 9_120]
    assert [event.client_repeated_calls.calls for event in log.told] == [3, 3]
    assert log.told[0].client_repeated_calls.caller.number == "+380671112233"
    assert log.told[0].client_repeated_calls.window_seconds == 3_600


def test_a_client_is_one_however_the_carrier_writes_the_number() -> None:
    log = Log(repeated())
    written = ["+380671112233", "380671112233", "0671112233", "00380671112233", "0671112234"]
    assert [len(log.started(moment, number)) for moment, number in enumerate(written)] == [0, 0, 1, 0, 0]
    assert [event.client_repeated_calls.caller.number for event in log.told] == ["+380671112233"]


def test_a_rule_that_repeats_fires_at_each_further_call() -> None:
    log = Log(repeated(repeats=True))
    assert [len(log.started(moment, "+380671112233")) for moment in (0, 1, 2, 3, 4)] == [0, 0, 1, 1, 1]


def test_clients_are_counted_apart_and_hidden_numbers_not_at_all() -> None:
    log = Log(repeated())
    assert not any(log.started(moment, f"+38067111223{moment}") for moment in range(9))
    for withheld in (
        "",
        "anonymous",
        "Anonymous",
        "Restricted",
        "unavailable",
        "+",
        "-1",
        "sip:anonymous@anonymous.invalid",
    ):
        assert not any(log.started(moment, withheld) for moment in range(9)), withheld
    assert log.told == []


def test_a_call_at_the_windows_very_edge_is_outside() -> None:
    log = Log(repeated(2, 60))
    assert not log.started(0, "+380671112233")
    assert not log.started(60, "+380671112233")
    assert log.started(119.999, "+380671112233")


def test_an_event_that_is_told_twice_counts_once() -> None:
    log = Log(repeated(2))
    body = ev.CallStarted(caller=ev.Party(number="+380671112233"))
    event = log.event(0, "c", call_started=body)
    assert [log.take(event), log.take(event)] == [[], []]


def test_what_comes_too_late_is_not_counted_but_still_fires_a_plain_rule() -> None:
    log = Log(repeated(2), tn.Rule(rule_id="each", events=["call.*"]))
    body = ev.CallStarted(caller=ev.Party(number="+380671112233"))
    assert len(log.take(log.event(0, "a", call_started=body))) == 1
    assert len(log.take(log.event(1, "b", call_started=body), is_late=True)) == 1
    assert len(log.take(log.event(2, "c", call_started=body))) == 2


def test_an_agent_who_misses_calls_is_told_of_with_the_caller() -> None:
    window = tn.RuleWindow(count=2, seconds=600, per=tn.RULE_KEY_AGENT)
    log = Log(tn.Rule(rule_id="misses", events=["offer.missed"], window=window))
    log.started(0, "+380671112233", "Їжак")
    assert log.missed(5, "olena", "call0") == []
    assert log.missed(6, "taras", "call0") == []
    [facts] = log.missed(7, "olena", "call0")
    assert (facts["agent"], facts["caller"], facts["caller_name"], facts["count"]) == (
        "olena",
        "+380671112233",
        "Їжак",
        2,
    )


@pytest.mark.parametrize(
    ("condition", "fires"),
    [
        ("event.ring_ms == 0 && agent == 'olena'", True),
        ("agent == 'taras'", False),
        ("event.exit == 'answered'", False),  # this event has no such field: no answer is no
        ("agent", False),
        ("hour == 12 && weekday == 1", True),
    ],
)
def test_a_condition_decides(condition: str, *, fires: bool) -> None:
    log = Log(tn.Rule(rule_id="r", events=["offer.missed"], condition=condition))
    assert bool(log.missed(0, "olena")) is fires


def test_a_schedule_decides() -> None:
    hours = tn.OpenHours(days=[1], until="12:30", **{"from": "09:00"})
    schedule = tn.Schedule(schedule_id="work", open=[hours])
    log = Log(tn.Rule(rule_id="r", events=["offer.missed"], schedule_id="work"), schedules=(schedule,))
    assert [len(log.missed(moment, "olena")) for moment in (0, 1_799, 1_800)] == [1, 1, 0]


def at(moment: str) -> float:
    """Return a moment in UTC as seconds from NOON_MS."""
    return datetime.fromisoformat(moment + "+00:00").timestamp() - NOON_MS / 1000


@pytest.mark.parametrize(
    ("zone", "moment", "fires"),
    [
        # Kyiv goes from UTC+2 to UTC+3 in the night to Sunday the 29th of March 2026, and back on the 25th of October.
        ("", "2026-03-27 06:30", False),  # 8:30
        ("", "2026-03-30 06:30", True),  # 9:30
        ("", "2026-03-30 15:30", False),  # 18:30
        ("", "2026-10-23 14:59", True),  # 17:59
        ("", "2026-10-26 14:59", True),  # 16:59
        ("", "2026-10-26 15:59", True),  # 17:59
        ("", "2026-10-26 16:00", False),  # 18:00
        # The schedule's own zone goes before the tenant's; Madrid changes on the same days.
        ("Europe/Madrid", "2026-03-30 06:30", False),  # 8:30
        ("Europe/Madrid", "2026-03-30 07:30", True),  # 9:30
        ("Europe/Madrid", "2026-10-26 16:30", True),  # 17:30
        ("Asia/Kathmandu", "2026-03-30 03:16", True),  # 9:01, at UTC+5:45
        ("Asia/Kathmandu", "2026-03-30 03:14", False),  # 8:59
    ],
)
def test_a_schedule_goes_by_the_clock_on_the_wall(zone: str, moment: str, *, fires: bool) -> None:
    hours = tn.OpenHours(days=[1, 2, 3, 4, 5], until="18:00", **{"from": "09:00"})
    schedule = tn.Schedule(schedule_id="work", time_zone=zone, open=[hours])
    log = Log(tn.Rule(rule_id="r", events=["offer.missed"], schedule_id="work"), schedules=(schedule,))
    assert bool(log.missed(at(moment), "olena")) is fires


def test_the_hour_that_comes_twice_is_open_twice_and_the_one_that_never_comes_hurts_nobody() -> None:
    hours = tn.OpenHours(days=[7], until="04:00", **{"from": "03:00"})
    schedule = tn.Schedule(schedule_id="night", open=[hours])
    log = Log(tn.Rule(rule_id="r", events=["offer.missed"], schedule_id="night"), schedules=(schedule,))
    autumn = [f"2026-10-2{5 if hour < 24 else 6} 0{hour % 24}:30" for hour in (0, 1, 2)]
    assert [len(log.missed(at(moment), "olena")) for moment in autumn] == [1, 1, 0]
    spring = ["2026-03-29 00:30", "2026-03-29 01:30"]  # 2:30 and, an hour later, 4:30
    assert [len(log.missed(at(moment), "olena")) for moment in spring] == [0, 0]


def test_a_long_wait_is_told_while_the_caller_waits_and_once() -> None:
    log = Log(tn.Rule(rule_id="long", wait=tn.RuleWait(seconds=60)))
    log.joined(0, "c1")
    log.joined(30, "c2")
    assert log.watch.due(NOON_MS + 59_999) == []
    [event] = log.watch.due(NOON_MS + 60_000)
    assert (event.call_id, event.kpi_violated.subject, event.kpi_violated.norm) == ("c1", "queue:sales", 60.0)
    [facts] = log.take(event)
    assert (facts["queue"], facts["type"], facts["waited"]) == ("sales", "kpi.violated", 60)
    assert log.take(event) == []
    assert log.watch.due(NOON_MS + 60_000) == []
    log.left(80, "c1", "answered", 80_000)
    log.left(85, "c2", "abandoned", 55_000)
    assert [event.WhichOneof("body") for event in log.told] == ["kpi_recovered"]
    assert log.watch.due(NOON_MS + 200_000) == []


def test_a_norm_is_violated_and_recovered_as_callers_leave() -> None:
    kpi = tn.RuleKpi(measure=tn.RULE_MEASURE_SERVICE_LEVEL, at_least=80, seconds=600, least_visits=5)
    log = Log(tn.Rule(rule_id="sl", kpi=kpi))
    for number in range(4):
        log.left(number, f"c{number}", "answered", 5_000)
    log.left(5, "c5", "abandoned", 20_000, within=False)
    assert log.told == []  # four of five: 80 is right
    log.left(6, "c6", "short_abandoned", 1_000, within=False)
    assert log.told == []  # does not count
    log.left(7, "c7", "abandoned", 30_000, within=False)
    [violated] = log.told
    assert violated.kpi_violated.value == pytest.approx(100 * 4 / 6)
    assert [facts["queue"] for facts in log.take(violated)] == ["sales"]
    for number in range(8, 12):
        log.left(number, f"c{number}", "answered", 5_000)
    assert [event.WhichOneof("body") for event in log.told] == ["kpi_violated", "kpi_recovered"]
    assert log.told[1].kpi_recovered.value == pytest.approx(80)


def test_messages_hold_what_the_event_says_in_one_line() -> None:
    action = tn.RuleAction(to="shift", subject="Дзвінок {caller_name}", text="{time}: {caller} {{так}}, {event.line}")
    log = Log(tn.Rule(rule_id="r", events=["call.started"], actions=[action]))
    [facts] = log.started(0, "+380671112233", "a\r\nBcc: x\u202e{caller}")
    message = message_of(log.watch.rules.rules[0].actions[0], facts)
    assert message["subject"] == "Дзвінок a  Bcc: x {caller}"
    assert message["text"] == "05.01.2026 12:00: +380671112233 {так}, +380441000001"


@pytest.mark.parametrize(
    "rule",
    [
        tn.Rule(rule_id="r", condition="[1,2].map(x, x)"),
        tn.Rule(rule_id="r", condition="nobody == 1"),
        tn.Rule(rule_id="r", condition="(" * 100 + "true" + ")" * 100),
        tn.Rule(rule_id="r", schedule_id="none"),
        tn.Rule(rule_id="r", actions=[tn.RuleAction(to="x", text="{event.__class__}")]),
        tn.Rule(rule_id="r", actions=[tn.RuleAction(to="x", text="{" + "x" * 2_000)]),
    ],
)
def test_a_rule_that_can_not_be_is_refused(rule: tn.Rule) -> None:
    with pytest.raises(BadRule):
        rules_of(tn.TenantDocument(tenant_id="acme", rules=[rule]))


def test_what_an_agent_writes_goes_to_the_caller_by_the_rule_for_its_channel() -> None:
    action = tn.RuleAction(to="sms", text="{event.text}")
    rule = tn.Rule(rule_id="write", events=["message.requested"], condition='event.channel == "sms"', actions=[action])
    log = Log(rule)
    caller = ev.Party(number="+380501112233")
    text = "Order 7\nis on its way " + "x" * 900
    mail, sms = (
        log.take(
            log.event(0, "call1", message_requested=ev.MessageRequested(caller=caller, channel=channel, text=text))
        )
        for channel in ("email", "sms")
    )
    assert mail == []
    message = message_of(log.watch.rules.rules[0].actions[0], sms[0])
    assert (message["customer"], message["text"]) == ("+380501112233", text.replace("\n", " "))
    assert message["customer_email"] == ""


def test_what_an_agent_writes_by_mail_goes_to_the_address_of_the_event() -> None:
    action = tn.RuleAction(to="mail", subject="From {agent}", text="{event.text}")
    log = Log(tn.Rule(rule_id="write", events=["message.requested"], actions=[action]))
    asked = ev.MessageRequested(channel="email", text="Order 7", agent_id="olena", email="ivan@example.com")
    (fired,) = log.take(log.event(0, "call1", message_requested=asked))
    message = message_of(log.watch.rules.rules[0].actions[0], fired)
    assert (message["customer_email"], message["subject"]) == ("ivan@example.com", "From olena")


def test_no_two_actions_of_an_events_rules_make_one_delivery() -> None:
    """The first action of the rule `a1` and the eleventh of `a`, and so on."""
    event = Event(event_id="e", tenant_id="acme")
    ids = ["a", "a1", "a10", "a-1", "a_1", "a1-0"]
    rules = [Rule(rule_id, (), None, None, "UTC", ()) for rule_id in ids]
    causes = [cause_of(Firing(rule, event, {}), number) for rule in rules for number in range(20)]
    assert len(set(causes)) == len(causes)
    assert causes[:2] == ["e.a0", "e.a1"]
