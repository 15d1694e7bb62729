"""Each event of the catalogue has an example that is valid, whole, and can't be taken for a fact."""

import json

import pytest
from google.protobuf.message import Message

from services.shared.bus.events import event_type
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.adapters.example_values import example_values
from services.webhooks.domain.endpoint import delivery_id_of
from services.webhooks.domain.examples import (
    event_types,
    example_of,
    example_payload,
    is_example,
    unknown_fields,
)
from services.webhooks.domain.payload import EVERYTHING, PayloadForm, payload_of
from tests.contract.test_topics import PUBLIC_EVENTS

NOW_MS = 1_800_000_000_000
LONGEST_ID = "e" * 63


def made(kind: str) -> Event:
    return example_of(kind, "acme", "0123456789abcdef", NOW_MS, example_values())


def test_every_public_event_has_an_example_and_the_table_says_something_of_every_field() -> None:
    assert set(PUBLIC_EVENTS) <= set(event_types())
    assert unknown_fields(example_values()) == []


@pytest.mark.parametrize("kind", event_types())
def test_an_example_is_a_valid_event_of_its_type_and_marked(kind: str) -> None:
    event = made(kind)
    assert event_type(event) == kind
    assert Event.FromString(event.SerializeToString()) == event
    assert_named_values(event)
    document = json.loads(example_payload(event, kind, EVERYTHING))
    assert document.pop("example") is True
    assert document == json.loads(payload_of(event, kind))
    assert event.event_id.startswith("example-")
    assert event.call_id.startswith("example-") or not event.call_id
    assert is_example(delivery_id_of(event.event_id, LONGEST_ID))


def assert_named_values(message: Message) -> None:
    """No value of an enumeration is the one for "unspecified", and none is unknown to the contract."""
    for field in message.DESCRIPTOR.fields:
        value, kind = getattr(message, field.name), field.message_type
        if field.enum_type is not None:
            assert value != 0, field.full_name
            assert value in field.enum_type.values_by_number, field.full_name
        elif kind is not None and not kind.GetOptions().map_entry:
            for inner in value if field.is_repeated else [value] * message.HasField(field.name):
                assert_named_values(inner)


def test_an_example_has_the_form_that_its_endpoint_gets_events_in() -> None:
    event = made("call.ended")
    thin = json.loads(example_payload(event, "call.ended", PayloadForm(is_thin=True)))
    assert set(thin["data"]) == {"event_id", "tenant_id", "call_id", "sequence"}
    assert thin["example"] is True
    template = PayloadForm(template='{"wer": "{{data.caller.name}}"}')
    assert json.loads(example_payload(event, "call.ended", template)) == {"wer": "Олена Приклад"}


def test_what_belongs_to_no_call_names_none() -> None:
    assert made("config.changed").call_id == made("agent.registered").call_id == ""
    assert made("offer.created").call_id == "example-call-0123456789abcdef"
