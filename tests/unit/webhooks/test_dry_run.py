"""What rules would have done with the last day's events."""

from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.shared.access import Action
from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS, DELIVERIES
from services.shared.chassis.admission import answer_refusals
from services.shared.chassis.clock import Clock
from services.shared.chassis.web import service_app
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks.api.rules import rule_routes
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
SCHEDULES = [
    tn.Schedule(schedule_id=name, open=[tn.OpenHours(days=[1], until=until, **{"from": since})])
    for name, since, until in (("work", "09:00", "18:00"), ("night", "00:00", "06:00"))
]


def rules(*words: dict[str, object]) -> TenantRules:
    document = tn.TenantDocument(tenant_id="acme", time_zone="Europe/Kyiv", schedules=SCHEDULES)
    document.rules.extend(rule_from_words(one) for one in words)
    return rules_of(document)


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


class Gate:
    """Everybody is acme's."""

    def tenant(self, action: Action) -> str:
        assert action in (Action.READ_DOCUMENT, Action.READ_CALLS)
        return "acme"


@pytest.fixture
def client() -> FlaskClient:
    bus = MemoryBus()
    call(bus, 1, 2.0)
    call(bus, 2, 1.9)
    directory: Any = SimpleNamespace(rules=lambda tenant_id: rules(AGAIN) if tenant_id == "acme" else None)
    app = service_app("webhooks", lambda: (True, ""))
    answer_refusals(app)
    app.register_blueprint(rule_routes(Gate(), directory, dry_run(bus)))
    return app.test_client()


def test_rules_in_force_are_listed(client: FlaskClient) -> None:
    answer: Any = client.get("/v1/rules").json
    assert answer["rules"] == [
        {
            "rule_id": "again",
            "trigger": "window",
            "events": ["call.started"],
            "condition": "",
            "schedule_id": "",
            "to": ["shift"],
            "words": AGAIN,
        }
    ]


def test_a_rule_in_force_and_a_draft_are_rehearsed(client: FlaskClient) -> None:
    answer: Any = client.post("/v1/rules/dry-run", json={"rule_id": "again"}).json
    assert (answer["fired"], answer["events"]) == (1, 2)
    draft = {
        "events": ["call.*"],
        "condition": "caller.startsWith('+38067')",
        "actions": [{"to": "x", "text": "{line}"}],
    }
    answer = client.post("/v1/rules/dry-run", json={"rule": draft, "hours": 3}).json
    assert [one["rule_id"] for one in answer["firings"]] == ["draft", "draft"]


def test_a_draft_may_keep_to_a_schedule_that_no_rule_has_used_yet(client: FlaskClient) -> None:
    """The page offers every schedule of the document; NOW_MS is Monday noon in Kyiv."""
    for schedule, fired in (("work", 2), ("night", 0)):
        draft = {"events": ["call.started"], "schedule_id": schedule, "actions": [{"to": "x", "text": "{caller}"}]}
        answer: Any = client.post("/v1/rules/dry-run", json={"rule": draft}).json
        assert answer["fired"] == fired
    draft["schedule_id"] = "none"
    assert client.post("/v1/rules/dry-run", json={"rule": draft}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"rule_id": "none"}, 404),
        ({"rule_id": "again", "hours": 25}, 400),
        ({"rule_id": "again", "hours": True}, 400),
        ({"rule": {"events": ["call.*"], "condition": "caller =="}}, 422),
        ({"rule": {"events": 5}}, 422),
        ({}, 404),
        ([], 400),
        ({"what": 1}, 400),
    ],
)
def test_what_can_not_be_rehearsed_is_refused(client: FlaskClient, body: object, status: int) -> None:
    answer = client.post("/v1/rules/dry-run", json=body)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
