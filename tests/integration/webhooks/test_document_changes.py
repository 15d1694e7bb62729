"""Rules and endpoints made and changed over the webhooks' API: the console applies them, and they work at once."""

from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.integration.webhooks.harness import LocalReceiver, call_started, wait_until
from tests.integration.webhooks.test_api import House, Make, house
from tests.unit.chassis.foreign_pages import assert_foreign_pages_change_nothing

__all__ = ["house"]

RULE = {"rule_id": "each", "events": ["call.started"], "actions": [{"to": "crm", "text": "{caller}"}]}


@pytest.fixture
def office(house: House, receiver: LocalReceiver) -> House:
    """Give a company whose document the console knows."""
    house.console.apply(receiver.url)
    wait_until(lambda: receiver.url in {one["url"] for one in house.get("/v1/endpoints")["endpoints"]})
    house.get("/v1/document")
    return house


def put(house: House, path: str, body: Any, who: str = "boss", **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {who}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return house.app.test_client().put(path, json=body, headers=sent)


def test_a_rule_is_tried_seen_saved_and_works_and_is_taken_out_again(office: House, receiver: LocalReceiver) -> None:
    document = office.get("/v1/document")
    assert (document["version"], document["actor"], document["rules"]) == (1, "anna", [])
    wished = {"rule": RULE, "seen_version": document["version"]}
    preview = put(office, "/v1/rules/each", wished | {"preview": True}).json
    assert (preview["version"], [one["path"] for one in preview["changes"]]) == (1, ["rules[each]"])
    saved = put(office, "/v1/rules/each", wished, Idempotency_Key="k").json
    assert (saved["version"], saved["actor"], saved["is_published"]) == (2, "boss", True)
    assert put(office, "/v1/rules/each", wished, Idempotency_Key="k").json["version"] == 2
    assert [one["rule_id"] for one in office.get("/v1/rules")["rules"]] == ["each"]
    office.service.publish(call_started(1))
    wait_until(lambda: len(receiver.ids()) == 2)
    assert "evt-acme-1.crm" in receiver.ids()
    gone = office.ask("/v1/rules/each?seen_version=2", method="DELETE").json
    assert (gone["version"], gone["changes"][0]["after"]) == (3, None)
    assert office.get("/v1/rules")["rules"] == []
    assert office.ask("/v1/rules/each?seen_version=3", method="DELETE").status_code == 404


def test_faults_come_by_field_and_changes_of_others_are_not_overwritten(office: House) -> None:
    bad = RULE | {"condition": "event.", "actions": [{"to": "nobody"}]}
    answer = put(office, "/v1/rules/each", {"rule": bad, "seen_version": 1})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert {one["field"] for one in answer.json["faults"]} == {"condition", "actions[0].to"}
    assert put(office, "/v1/rules/each", {"rule": RULE, "seen_version": 1}).status_code == 200
    late = put(office, "/v1/rules/each", {"rule": RULE | {"name": "Mine"}, "seen_version": 1})
    assert (late.status_code, late.json["title"]) == (409, "changed meanwhile")
    assert "boss" in late.json["detail"]
    assert put(office, "/v1/rules/each", {"rule": RULE}).status_code == 400
    assert (
        put(office, "/v1/rules/each", {"rule": RULE, "seen_version": 1}, Idempotency_Key="k" * 300).status_code == 400
    )


def test_a_key_that_is_used_for_another_change_is_another_change(office: House) -> None:
    """Of another rule, another body, or a change that is only looked at: none may be taken for done."""
    wished = {"rule": RULE, "seen_version": 1}
    assert put(office, "/v1/rules/each", wished, Idempotency_Key="k").json["version"] == 2
    other = RULE | {"name": "Other"}
    stale = put(office, "/v1/rules/each", {"rule": other, "seen_version": 1}, Idempotency_Key="k")
    assert (stale.status_code, stale.json["title"]) == (409, "changed meanwhile")
    assert put(office, "/v1/rules/each", {"rule": other, "seen_version": 2}, Idempotency_Key="k").json["version"] == 3
    second = {"rule": RULE | {"rule_id": "second"}, "seen_version": 3}
    assert put(office, "/v1/rules/second", second | {"preview": True}, Idempotency_Key="k").json["version"] == 3
    assert put(office, "/v1/rules/second", second, Idempotency_Key="k").json["version"] == 4
    assert put(office, "/v1/rules/second", second, Idempotency_Key="k").json["version"] == 4
    assert office.ask("/v1/rules/second?seen_version=4", method="DELETE").json["version"] == 5
    assert [(one["rule_id"], one["name"]) for one in office.console.document()["rules"]] == [("each", "Other")]


def test_a_new_endpoints_secret_is_shown_once_and_signs_what_it_gets(office: House, make_receiver: Make) -> None:
    other = make_receiver("other")
    wished = {"endpoint": {"endpoint_id": "new", "url": other.url, "secret_ref": "new"}, "seen_version": 1}
    assert "secret" not in put(office, "/v1/endpoints/new", wished | {"preview": True}, "admin").json
    made = put(office, "/v1/endpoints/new", wished, "admin").json
    assert made["secret"].startswith("whsec_")
    assert not {"secret", "no_secret"} & set(
        put(office, "/v1/endpoints/new", wished | {"seen_version": 2}, "admin").json
    )
    other.application._verifiers = [Webhook(made["secret"])]
    office.service.publish(call_started(1))
    wait_until(lambda: other.ids() == ["evt-acme-1.new"])


@pytest.mark.parametrize("who", ["analyst", "agent", "rival", "nobody"])
def test_who_may_not_changes_no_rule(office: House, who: str) -> None:
    answers = [
        put(office, "/v1/rules/each?tenant=acme", {"rule": RULE, "seen_version": 1}, who),
        office.ask("/v1/rules/each?tenant=acme&seen_version=1", who, method="DELETE"),
    ]
    assert {answer.status_code for answer in answers} <= {401, 403}
    assert office.console.tenancy.version("acme").number == 1


def test_a_supervisor_changes_no_endpoint_and_reads_what_he_may(office: House) -> None:
    endpoint = {"endpoint_id": "crm", "url": "https://elsewhere.example/", "secret_ref": "main"}
    assert put(office, "/v1/endpoints/crm", {"endpoint": endpoint, "seen_version": 1}).status_code == 403
    assert office.ask("/v1/endpoints/crm?seen_version=1", method="DELETE").status_code == 403
    assert office.ask("/v1/document", "agent").status_code == 403
    assert office.ask("/v1/document?tenant=acme", "rival").status_code == 403
    assert office.console.tenancy.version("acme").number == 1


def test_a_console_that_is_silent_is_said_and_nothing_is_changed_later(office: House) -> None:
    assert office.service.webhooks is not None
    office.console.fall_silent()
    office.service.webhooks._changes._reply_seconds = 0.05
    answer = put(office, "/v1/rules/each", {"rule": RULE, "seen_version": 1})
    assert (answer.status_code, answer.json["title"]) == (503, "no answer")
    office.service.webhooks._changes._reply_seconds = 10.0
    office.console.speak_again()
    assert office.get("/v1/document")["version"] == 1  # asked after the other, so that one was read and found too late


def test_foreign_pages_change_no_document(office: House) -> None:
    assert_foreign_pages_change_nothing(office.app)
