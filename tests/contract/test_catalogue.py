"""The catalogue of events tells each public event and each of its fields, and its examples are what is sent."""

import re
from pathlib import Path

import orjson
from google.protobuf import json_format

from services.shared.bus.events import event_type
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.domain.payload import payload_of
from tests.contract.test_topics import PUBLIC_EVENTS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_each_public_event_is_told_with_its_meaning() -> None:
    assert set(PUBLIC_EVENTS) <= SECTIONS.keys()
    assert all(SECTIONS[name].strip() for name in PUBLIC_EVENTS)


def test_each_field_of_each_event_is_told_with_its_meaning() -> None:
    for body in Event.DESCRIPTOR.oneofs_by_name["body"].fields:
        rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", SECTIONS[body.name.replace("_", ".", 1)], re.MULTILINE)
        assert body.message_type is not None
        assert [name for name, _, _ in rows] == [field.name for field in body.message_type.fields]


def test_each_link_leads_to_a_section() -> None:
    anchors = {name.lower().replace(".", "") for name in SECTIONS}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def test_examples_are_what_a_webhook_gets() -> None:
    examples = {
        name: found[1] for name, text in SECTIONS.items() if (found := re.search(r"```json\n(.*?)```", text, re.DOTALL))
    }
    assert {"call.ended", "offer.created"} <= examples.keys()
    for name, text in examples.items():
        path = ROOT / "proto" / "examples" / f"event-{re.sub('[._]', '-', name)}.json"
        event = json_format.Parse(path.read_text(encoding="utf-8"), Event())
        assert orjson.loads(text) == orjson.loads(payload_of(event, event_type(event)))
