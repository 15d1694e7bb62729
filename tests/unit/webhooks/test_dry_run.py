"""What rules would have done with the last day's events."""

import pytest

from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS, DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks.domain.rules.rule import BadRule, TenantRules, rules_of
from services.webhooks.domain.rules.words import rule_from_words
from services.webhooks.dry_run import DryRun
from services.webhooks.history import History

NOW_MS = 1_767_607_200_000
HOUR_MS = 3_600_000
AGAIN: dict[str, object] = {
    "rule_id": "again",
    "events": ["call.started"],
    "window": {"count": 2, "seconds": 3600, "per": "caller"},
    "actions": [{"to": "shift", "text": "{caller} знову"}],
}


def rules(*words: dict[str, object]) -> TenantRules:
    return rules_of(tn.TenantDocument(tenant_id="acme", rules=[rule_from_words(one) for one in words]))


def dry_run(bus: MemoryBus) -> DryRun:
    return DryRun(History(lambda: bus.consumer(None, [CALLS])), Clock(wall=lambda: NOW_MS / 1000))


def call(bus: MemoryBus, number: int, hours_ago: float, caller: str = "+380671112233", tenant_id: str = "acme") -> None:
    event = Event(event_id=f"e{number}", tenant_id=tenant_id, call_id=f"c{number}")
    event.time.FromMilliseconds(NOW_MS - int(hours_ago * HOUR_MS))
    event.call_started.caller.number = caller
    publish_event(bus.producer(), event)


def test_the_last_days_firings_are_shown_with_their_messages_and_nothing_is_sent() -> None:
    bus = MemoryBus()
    call(bus, 1, 24.2)
    call(bus, 2, 23.9)  # the second of an hour that began before the day
    call(bus, 3, 5.0)
    call(bus, 4, 4.5)
    call(bus, 5, 4.4, tenant_id="beta")
    found = dry_run(bus).rehearse(rules(AGAIN), 24)
    assert (found.events, found.fired, found.is_whole) == (3, 2, True)
    assert [one["event_id"] for one in found.firings] == ["e2", "e4"]
    assert found.firings[0]["messages"] == [{"to": "shift", "subject": "", "text": "+380671112233 знову"}]
    assert bus.records(DELIVERIES) == []
    assert len(bus.records(CALLS)) == 5


def test_a_long_wait_of_the_past_is_found() -> None:
    bus = MemoryBus()
    joined = Event(event_id="j1", tenant_id="acme", call_id="c1")
    joined.time.FromMilliseconds(NOW_MS - HOUR_MS)
    joined.queue_joined.queue_id = "sales"
    publish_event(bus.producer(), joined)
    call(bus, 2, 0.5)
    found = dry_run(bus).rehearse(rules({"rule_id": "long", "wait": {"seconds": 60}, "actions": [{"to": "x"}]}), 24)
    assert [(one["call_id"], one["event_type"]) for one in found.firings] == [("c1", "kpi.violated")]


@pytest.mark.parametrize(
    "words",
    [
        {"rule_id": 5},
        {"rule_id": "r", "window": {"count": 3, "seconds": 60, "per": "moon"}},
        {"rule_id": "r", "window": {"count": 3, "seconds": 10**9}},
        {"rule_id": "r", "window": {"count": 3}},
        {"rule_id": "r", "window": []},
        {"rule_id": "r", "evnts": []},
    ],
)
def test_what_is_no_rule_is_refused_with_a_sentence(words: dict[str, object]) -> None:
    with pytest.raises(BadRule):
        rule_from_words(words)
