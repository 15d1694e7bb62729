"""Rules and endpoints are changed one at a time by pages of other services: through the one place that applies."""

import json
from typing import Any

import pytest

from services.console.adapters.memory import MemoryTenantStore
from services.console.changing import DocumentDesk
from services.console.domain.parts import with_entry
from services.console.publishing import Publisher
from services.console.store import StoreUnavailable, Version
from services.console.tenancy import Tenancy
from services.shared.bus.topics import DOCUMENT_REPLIES, DOCUMENT_REQUESTS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import document_pb2 as doc
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.memory_bus import MemoryBus

Document = dict[str, Any]
RULE = {"rule_id": "lost", "events": ["call.lost"], "actions": [{"to": "crm"}]}
NOW = 1_790_000_000.0


class Racing(MemoryTenantStore):
    """Lets somebody else apply a version just before ours, once."""

    before: Any = None

    def append(self, version: Version) -> None:
        act, self.before = self.before, None
        if act is not None:
            act()
        super().append(version)


class House:
    """A console's desk, and who asks it."""

    def __init__(self, document: Document) -> None:
        self.bus, self.store = MemoryBus(), Racing()
        clock = Clock(wall=lambda: NOW)
        self.tenancy = Tenancy(self.store, Publisher(self.store, self.bus.producer(), clock), clock)
        document["rules"] = []
        self.tenancy.apply(document, "anna")
        reader = self.bus.consumer(None, [DOCUMENT_REQUESTS], from_beginning=False)
        self.desk = DocumentDesk(reader, self.bus.producer(), self.tenancy, clock)
        self.endpoint_id = document["webhooks"][0]["endpoint_id"]

    def rule(self, **changed: Any) -> Document:
        return RULE | {"actions": [{"to": self.endpoint_id}]} | changed

    def request(self, words: Any, part_id: str = "lost", **asked: Any) -> doc.DocumentRequest:
        change = doc.ChangeDocument(
            part=asked.get("part", doc.DOCUMENT_PART_RULE),
            part_id=part_id,
            words=b"" if words is None else json.dumps(words).encode(),
            seen_version=asked.get("seen", self.head().number),
            is_preview=asked.get("preview", False),
        )
        return doc.DocumentRequest(
            request_id=asked.get("request_id", "one"),
            tenant_id=asked.get("tenant_id", "acme"),
            actor="sofia",
            role=asked.get("role", "supervisor"),
            until_ms=int(asked.get("until", NOW + 10) * 1000),
            change=change,
        )

    def ask(self, words: Any, part_id: str = "lost", **asked: Any) -> doc.DocumentReply:
        return self.desk.answer(self.request(words, part_id, **asked))

    def head(self) -> Version:
        return self.tenancy.version("acme")


@pytest.fixture
def house(acme: Document) -> House:
    return House(acme)


def test_a_rule_that_is_saved_is_a_version_like_any_other_with_its_author(house: House) -> None:
    reply = house.ask(house.rule())
    assert (reply.accepted, reply.version, reply.actor, reply.is_published) == (True, 2, "sofia", True)
    assert [one.path for one in reply.changes] == ["rules[lost]"]
    assert json.loads(reply.changes[0].after)["events"] == ["call.lost"]
    assert house.head().document["rules"] == [house.rule()]
    published = TenantDocument.FromString(house.bus.records(TENANTS)[-1].value)
    assert [rule.rule_id for rule in published.rules] == ["lost"]
    reply = house.ask(house.rule(condition="event.direction == 'inbound'"), request_id="two")
    assert [one.path for one in reply.changes] == ["rules[lost].condition"]
    reply = house.ask(None, request_id="three")
    assert (reply.accepted, reply.version, reply.changes[0].after) == (True, 4, "")
    assert "rules" not in house.head().document


def test_a_preview_says_what_would_change_and_changes_nothing(house: House) -> None:
    reply = house.ask(house.rule(), preview=True)
    assert (reply.accepted, reply.version, len(reply.changes)) == (True, 1, 1)
    assert house.head().number == 1


def test_every_fault_is_named_by_its_field(house: House) -> None:
    reply = house.ask(house.rule(condition="event.", actions=[{"to": "nobody"}], schedule_id="never"))
    assert (reply.accepted, reply.problem) == (False, "bad-document")
    found = {one.field: one.path for one in reply.faults}
    assert found == {name: f"rules[0].{name}" for name in ("condition", "actions[0].to", "schedule_id")}
    assert house.head().number == 1


def test_an_endpoint_that_a_rule_needs_is_not_taken_out(house: House) -> None:
    assert house.ask(house.rule()).accepted
    reply = house.ask(None, house.endpoint_id, part=doc.DOCUMENT_PART_WEBHOOK, role="admin", request_id="two")
    assert ("rules[0].actions[0].to", "") in {(one.path, one.field) for one in reply.faults}
    assert house.head().number == 2


@pytest.mark.parametrize(
    ("role", "part", "problem"),
    [
        ("admin", doc.DOCUMENT_PART_RULE, ""),
        ("supervisor", doc.DOCUMENT_PART_RULE, ""),
        ("supervisor", doc.DOCUMENT_PART_WEBHOOK, "forbidden"),
        ("analyst", doc.DOCUMENT_PART_RULE, "forbidden"),
        ("integration", doc.DOCUMENT_PART_RULE, "forbidden"),
        ("agent", doc.DOCUMENT_PART_RULE, "forbidden"),
        ("", doc.DOCUMENT_PART_RULE, "forbidden"),
        ("ADMIN", doc.DOCUMENT_PART_RULE, "forbidden"),
    ],
)
def test_only_who_may_changes_anything(house: House, role: str, part: Any, problem: str) -> None:
    reply = house.ask(house.rule(), role=role, part=part)
    assert (reply.accepted, reply.problem) == (not problem, problem)
    assert house.head().number == (1 if problem else 2)


@pytest.mark.parametrize(
    "words",
    ["[]", "null", "{", '"x"', "{}", '{"rule_id": "other"}', '{"rule_id": "lost", "x": "' + "x" * 70_000 + '"}'],
)
def test_what_is_no_part_of_this_name_is_refused(house: House, words: str) -> None:
    request = house.request(None)
    request.change.words = words.encode()
    reply = house.desk.answer(request)
    assert (reply.accepted, reply.problem) == (False, "bad-document")
    assert reply.faults
    assert house.head().number == 1


def test_a_sound_entry_under_the_id_of_another_one_is_refused(house: House) -> None:
    reply = house.ask(house.rule(rule_id="other"), "lost")
    assert (reply.accepted, reply.problem, reply.faults[0].field) == (False, "bad-document", "rule_id")
    assert house.head().number == 1


def test_what_another_has_changed_since_is_not_overwritten_but_other_parts_are_no_hindrance(house: House) -> None:
    assert house.ask(house.rule()).accepted
    stale = house.ask(house.rule(name="Mine"), seen=1, request_id="two")
    assert (stale.accepted, stale.problem) == (False, "changed-meanwhile")
    assert house.ask(house.rule(rule_id="other"), "other", request_id="three").accepted
    assert house.ask(house.rule(name="Mine"), seen=2, request_id="four").accepted
    assert house.ask(house.rule(name="Mine"), seen=99, request_id="five").problem == "changed-meanwhile"


def test_a_change_at_the_same_moment_is_put_upon(house: House) -> None:
    document = with_entry(house.head().document, "rules", "other", house.rule(rule_id="other"))
    house.store.before = lambda: house.tenancy.apply(document, "anna")
    reply = house.ask(house.rule())
    assert (reply.accepted, reply.version) == (True, 3)
    assert [one["rule_id"] for one in house.head().document["rules"]] == ["other", "lost"]


def test_the_same_request_twice_or_by_two_processes_has_one_effect(house: House) -> None:
    first, again = house.ask(house.rule()), house.ask(house.rule(), seen=1)
    assert (first.version, again.version, again.accepted) == (2, 2, True)
    house.store.before = lambda: house.ask(house.rule(name="New"), request_id="two")
    reply = house.ask(house.rule(name="New"), request_id="two")
    assert (reply.accepted, reply.version, house.head().number) == (True, 3, 3)


def test_nothing_is_changed_for_who_has_stopped_waiting(house: House) -> None:
    assert house.ask(house.rule(), until=NOW - 0.1).problem == "too-late"
    assert house.head().number == 1


def test_a_company_without_a_document_and_a_store_that_is_away_are_said(house: House) -> None:
    assert house.ask(house.rule(), tenant_id="nobody").problem == "not-found"
    assert house.ask(None, "nothing").problem == "not-found"

    def away() -> None:
        raise StoreUnavailable("away")

    house.store.before = away
    assert house.ask(house.rule()).problem == "store-unavailable"
    assert house.ask(house.rule()).accepted


def test_what_is_asked_over_the_log_is_answered_there_and_noise_is_passed_over(house: House) -> None:
    sender = house.bus.producer()
    sender.send(DOCUMENT_REQUESTS, "acme", b"\xff\xff", timestamp_ms=0)
    show = doc.DocumentRequest(
        request_id="show", tenant_id="acme", actor="ada", role="analyst", show=doc.ShowDocument()
    )
    for request in (house.request(house.rule()), show, doc.DocumentRequest(request_id="nothing", tenant_id="acme")):
        sender.send(DOCUMENT_REQUESTS, "acme", request.SerializeToString(), timestamp_ms=0)
    for record in house.desk._requests.poll(0):
        house.desk._take(record)
    replies = [doc.DocumentReply.FromString(record.value) for record in house.bus.records(DOCUMENT_REPLIES)]
    assert [(one.request_id, one.accepted) for one in replies] == [("one", True), ("show", True), ("nothing", False)]
    shown = json.loads(replies[1].shown)
    assert [one["rule_id"] for one in shown["rules"]] == ["lost"]
    assert {"channels", "schedules", "queues", "events", "webhooks"} <= set(shown)
