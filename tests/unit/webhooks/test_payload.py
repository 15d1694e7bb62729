import json

import pytest

from services.shared.bus.events import event_type
from services.shared.contracts.ringmaster.v1.event_pb2 import CallEnded, CallExit, Event, Party
from services.webhooks.domain.payload import ENVELOPE, MOST_BYTES, PayloadForm, Unwritable, payload_of, written


def ended() -> Event:
    event = Event(event_id="evt-3-1099-2", tenant_id="acme", sequence=14, call_id="7f1c2a50")
    event.time.FromJsonString("2026-11-23T01:57:24.783965Z")
    body = CallEnded(exit=CallExit.CALL_EXIT_ANSWERED, caller=Party(number="+380501234567", name="Олена\r\nX"))
    event.call_ended.CopyFrom(body)
    return event


def test_the_payload_has_the_shape_of_standard_webhooks() -> None:
    document = json.loads(payload_of(ended(), "call.ended"))
    assert list(document) == ["type", "timestamp", "data"]
    assert (document["type"], document["timestamp"]) == ("call.ended", "2026-11-23T01:57:24.783965Z")
    data = document["data"]
    assert [data[name] for name in ENVELOPE] == ["evt-3-1099-2", "acme", "7f1c2a50", "14"]
    assert data["exit"] == "CALL_EXIT_ANSWERED"
    assert data["caller"] == {"number": "+380501234567", "name": "Олена\r\nX"}
    assert data["wait_ms"] == "0"


def test_the_same_event_makes_the_same_bytes() -> None:
    assert payload_of(ended(), "call.ended") == payload_of(Event.FromString(ended().SerializeToString()), "call.ended")


def test_no_body_has_a_field_that_the_envelope_would_hide() -> None:
    for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields:
        assert field.message_type is not None
        assert not {inner.name for inner in field.message_type.fields} & set(ENVELOPE), field.name


def test_every_type_of_event_has_a_payload() -> None:
    for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields:
        event = Event(event_id="e", tenant_id="acme")
        getattr(event, field.name).SetInParent()
        assert json.loads(payload_of(event, event_type(event)))["type"] == field.name.replace("_", ".", 1)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (PayloadForm(template="[" * 900 + "1" + "]" * 900), "the endpoint's template nests deeper than"),
        (PayloadForm(template="[" + ",".join(['"{{data}}"'] * 450) + "]"), "the template's places would hold more"),
        (PayloadForm(), f"more than the {MOST_BYTES} that are sent"),
        (PayloadForm(is_protobuf=True), f"more than the {MOST_BYTES} that are sent"),
    ],
)
def test_what_can_not_be_written_is_nothing_and_the_reason(form: PayloadForm, words: str) -> None:
    event = ended()
    event.call_ended.caller.name = "x" * (MOST_BYTES + 1)
    with pytest.raises(Unwritable, match=words):
        payload_of(event, "call.ended", form)
    payload, error = written(lambda: payload_of(event, "call.ended", form))
    assert payload == b""
    assert words in error
