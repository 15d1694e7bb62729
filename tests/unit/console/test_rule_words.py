"""Faults of channels and rules in a tenant's document, each with its path."""

import copy
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.console.domain.translation import to_contract
from services.console.domain.validation import faults_of
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

Document = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
CHANNELS: list[Document] = [
    {"channel_id": "shift", "secret_ref": "bot", "telegram": {"chat_id": "-100123"}},
    {"channel_id": "slack", "secret_ref": "hook", "slack": {}},
    {
        "channel_id": "mail",
        "email": {"host": "mail.acme.example", "sender": "a@acme.example", "recipients": ["b@acme.example"]},
    },
    {"channel_id": "sms", "secret_ref": "sms", "sms": {"gateway": "turbosms", "sender": "Acme"}},
    {"channel_id": "topic", "feed": {}},
    {"channel_id": "crm", "secret_ref": "crm", "crm": {"connector": "hubspot", "users": {"olena": "42"}}},
]
RULES: list[Document] = [
    {
        "rule_id": "again",
        "events": ["call.started"],
        "condition": "event.direction == 'inbound'",
        "schedule_id": "always",
        "window": {"count": 3, "seconds": 3600, "per": "caller"},
        "actions": [{"to": "shift", "text": "Знову дзвонить {caller}"}, {"to": "receiver"}, {"to": "topic"}],
    },
    {"rule_id": "long", "wait": {"seconds": 60}, "actions": [{"to": "mail", "subject": "Черга", "text": "{queue}"}]},
    {
        "rule_id": "level",
        "kpi": {"measure": "service_level", "at_least": 80, "seconds": 900},
        "actions": [{"to": "slack", "text": "{event.value} < {event.norm}"}],
    },
]

NORM: Document = {"kpi_id": "level", "metric": "service_level", "norm": 0.8}


@pytest.fixture
def document(acme: Document) -> Document:
    return copy.deepcopy(acme) | {"channels": copy.deepcopy(CHANNELS), "rules": copy.deepcopy(RULES)}


def test_a_sound_document_becomes_its_contract(document: Document) -> None:
    assert faults_of(document) == []
    contract = to_contract(document, 1)
    assert [channel.WhichOneof("kind") for channel in contract.channels] == [
        *("telegram", "slack", "email", "sms", "feed", "crm"),
    ]
    assert contract.channels[2].email.security == tn.MAIL_SECURITY_STARTTLS
    assert contract.channels[4].feed.format == tn.FEED_FORMAT_JSON
    assert contract.rules[0].window.per == tn.RULE_KEY_CALLER
    assert contract.rules[2].kpi.measure == tn.RULE_MEASURE_SERVICE_LEVEL
    assert contract.rules[2].kpi.least_visits == 10


@pytest.mark.parametrize(
    ("path", "value", "at", "words"),
    [
        (("channels", 0, "slack"), {}, "channels[0]", "exactly one of"),
        (("channels", 0, "secret_ref"), None, "channels[0].secret_ref", "is missing"),
        (("channels", 0, "events"), ["call.*"], "channels[0].events", "by rules"),
        (("channels", 0, "telegram", "chat_id"), "x\ny", "channels[0].telegram.chat_id", "a chat's number"),
        (("channels", 0, "channel_id"), "receiver", "channels[0].channel_id", "a webhook endpoint's id already"),
        (("channels", 1, "channel_id"), "shift", "channels[1].channel_id", "the same as in channels[0]"),
        (("channels", 2, "email", "recipients"), ["a@b\r\nBcc: c@d"], "channels[2].email.recipients[0]", "an address"),
        (("channels", 2, "email", "host"), "mail/x", "channels[2].email.host", "a host's name"),
        (("channels", 2, "email", "recipients"), None, "rules[1].actions[0].to", "only message.requested"),
        (("channels", 3, "sms", "gateway"), None, "channels[3].sms", "either gateway"),
        (("channels", 3, "sms", "smpp"), {"host": "smsc.example.net"}, "channels[3].sms", "either gateway"),
        (("channels", 3, "sms", "smpp"), {"host": "smsc/x"}, "channels[3].sms.smpp.host", "a host's name"),
        (("channels", 5, "crm", "settings"), {"a": "b\nc"}, "channels[5].crm.settings.a", "one line"),
        (("rules", 0, "events"), [], "rules[0].events", "is missing"),
        (("rules", 0, "events"), ["call.startet"], "rules[0].events[0]", "Did you mean call.started"),
        (("rules", 0, "condition"), "caller =", "rules[0].condition", "can't"),
        (("rules", 0, "condition"), "event.nothing == 1", "rules[0].condition", "There is no event.nothing"),
        (("rules", 0, "condition"), "[1].all(x, true)", "rules[0].condition", "There is no"),
        (("rules", 0, "schedule_id"), "never", "rules[0].schedule_id", "no schedule never"),
        (("rules", 0, "window", "count"), 1, "rules[0].window.count", "at least 2"),
        (("rules", 0, "window", "per"), "client", "rules[0].window.per", "is not known"),
        (("rules", 0, "actions", 0, "to"), "nobody", "rules[0].actions[0].to", "no channel and no webhook endpoint"),
        (("rules", 0, "actions", 0, "text"), None, "rules[0].actions[0].text", "is missing"),
        (("rules", 0, "actions", 0, "text"), "{callr}", "rules[0].actions[0].text", "There is no {callr}"),
        (("rules", 0, "wait"), {"seconds": 5}, "rules[0]", "window and wait"),
        (("rules", 0, "actions", 1), {"to": "crm"}, "rules[0].actions[1].text", "a task with this text"),
        (("rules", 1, "actions", 0), {"to": "crm"}, "rules[1].actions[0].text", "call.ended, transcript.completed"),
        (("rules", 1, "actions", 0, "subject"), None, "rules[1].actions[0].subject", "is missing"),
        (("rules", 1, "wait", "queue_id"), "x", "rules[1].wait.queue_id", "no queue x"),
        (("rules", 2, "kpi", "at_most"), 5, "rules[2].kpi", "either at_least or at_most"),
        (("kpis",), [NORM], "rules[2].rule_id", "a norm of kpis already"),
        (("rules", 2, "rule_id"), "long", "rules[2].rule_id", "the same as in rules[1]"),
    ],
)
def test_a_fault_has_its_path(document: Document, path: tuple[str | int, ...], value: Any, at: str, words: str) -> None:
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    found = {fault.path: str(fault) for fault in faults_of(document)}
    assert at in found, found
    assert words in found[at]


def test_the_examples_of_the_documentation_are_sound(acme: Document) -> None:
    text = (ROOT / "docs" / "rules-and-channels.md").read_text(encoding="utf-8")
    document = copy.deepcopy(acme)
    examples: dict[str, list[Document]] = defaultdict(list)
    for example in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        for name, entries in yaml.safe_load(example).items():
            examples[name] += entries
    document |= examples
    document["schedules"].append(document["schedules"][0] | {"schedule_id": "work"})
    document["webhooks"].append(acme["webhooks"][0] | {"endpoint_id": "crm-hook"})
    assert (len(document["channels"]), len(document["rules"]), len(document["webhooks"])) == (8, 3, 2)
    assert faults_of(document) == []


def test_a_rule_may_send_a_crm_what_its_connector_takes_and_anything_with_a_text(document: Document) -> None:
    rule = document["rules"][0]
    rule["actions"] = [{"to": "crm", "text": "{caller} again"}]
    assert faults_of(document) == []
    rule["actions"], rule["events"] = [{"to": "crm"}], ["call.ended"]
    assert faults_of(document) == []
    rule["events"], document["channels"][5]["events"] = ["form.answered"], ["form.answered"]
    assert faults_of(document) == []
