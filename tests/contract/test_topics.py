import re
from pathlib import Path

import orjson
import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from services.shared.bus import topics
from services.shared.bus.events import headers_for
from services.shared.contracts.ringmaster.v1 import (
    command_pb2,
    delivery_pb2,
    document_pb2,
    event_pb2,
    input_pb2,
    recognition_pb2,
    request_pb2,
    tenant_pb2,
)
from services.webhooks.domain.payload import payload_of

PROTO = Path(__file__).resolve().parents[2] / "proto"
FILES = sorted((PROTO / "topics").glob("*.yaml"))
DOCUMENTS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
MESSAGES: dict[str, type[Message]] = {
    "ringmaster.v1.Input": input_pb2.Input,
    "ringmaster.v1.Command": command_pb2.Command,
    "ringmaster.v1.Event": event_pb2.Event,
    "ringmaster.v1.TenantDocument": tenant_pb2.TenantDocument,
    "ringmaster.v1.Reply": request_pb2.Reply,
    "ringmaster.v1.Delivery": delivery_pb2.Delivery,
    "ringmaster.v1.DocumentRequest": document_pb2.DocumentRequest,
    "ringmaster.v1.DocumentReply": document_pb2.DocumentReply,
    "ringmaster.v1.RecogniseClip": recognition_pb2.RecogniseClip,
}
EXAMPLES = [(document["message"], example) for document in DOCUMENTS.values() for example in document["examples"]]
# SPEC 7.2, written out here so that the contract can't lose one unnoticed.
PUBLIC_EVENTS = """
call.started call.answered call.held call.resumed call.transferred call.ended call.lost
flow.step_entered flow.step_left ivr.choice queue.joined queue.left queue.position_changed
offer.created offer.ringing offer.accepted offer.rejected offer.missed offer.cancelled offer.lost_race offer.failed
agent.status_changed agent.state_changed agent.wrapup_started agent.wrapup_ended agent.registered agent.unregistered
recording.started recording.paused recording.masked recording.resumed recording.stopped recording.stored
recording.failed recording.deleted transcript.completed transcript.failed analysis.rule_matched
callback.requested callback.attempted callback.succeeded callback.failed callback.cancelled callback.expired
callback.rescheduled campaign.changed message.requested person.erasure_requested person.erased
client.repeated_calls client.vip_called client.blacklisted form.answered kpi.violated kpi.recovered
limit.exceeded config.changed switch.connected switch.disconnected switch.restarted switch.gap report.ready
""".split()  # noqa: SIM905 - it reads as the specification does


@pytest.mark.parametrize(("message", "example"), EXAMPLES)
def test_every_example_is_a_message_of_its_topic(message: str, example: str) -> None:
    text = (PROTO / "examples" / example).read_text(encoding="utf-8")
    parsed = json_format.Parse(text, MESSAGES[message]())
    again = MESSAGES[message]()
    again.ParseFromString(parsed.SerializeToString())
    assert again == parsed


def test_every_topic_that_the_code_names_has_a_file() -> None:
    named = {value for name, value in vars(topics).items() if name.isupper()}
    assert named == {document["topic"] for document in DOCUMENTS.values()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_topic_says_who_owns_writes_and_reads_it(name: str) -> None:
    document = DOCUMENTS[name]
    for field in ("owner", "key", "producers", "consumers", "description"):
        assert document[field], field
    assert document["cleanup"] in {"delete", "compact"}
    assert document["partitions"] > 0


def test_the_contract_has_every_public_event_of_the_specification() -> None:
    fields = event_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields
    assert {field.name.replace("_", ".", 1) for field in fields} == set(PUBLIC_EVENTS)


def test_the_description_for_others_knows_every_header_and_what_a_feed_holds() -> None:
    described = yaml.safe_load((PROTO / "asyncapi.yaml").read_text(encoding="utf-8"))
    headers, as_json = (
        described["components"]["schemas"]["CloudEvent"],
        described["components"]["schemas"]["EventAsJson"],
    )
    text = (PROTO / "examples" / "event-call-ended.json").read_text(encoding="utf-8")
    event = json_format.Parse(text, event_pb2.Event())
    told = headers_for(event, "router")
    assert told.keys() == headers["properties"].keys()
    assert told["ce_sequence"] == "00000000000000000014"
    event.sequence, event.subject, event.call_id = 0, "", ""
    assert set(headers["required"]) <= headers_for(event, "router").keys()
    payload = orjson.loads(payload_of(event, "call.ended"))
    assert set(as_json["required"]) == payload.keys()
    assert set(as_json["properties"]["data"]["required"]) <= payload["data"].keys()
    channel = described["channels"]["ringmaster.feed"]
    assert channel["address"] == topics.feed_topic("{tenant_id}")
    for one in (channel, described["channels"]["ringmaster.calls"]):
        for message in one["messages"].values():
            assert message["headers"] == {"$ref": "#/components/schemas/CloudEvent"}


def test_each_message_says_where_its_schema_is() -> None:
    described = yaml.safe_load((PROTO / "asyncapi.yaml").read_text(encoding="utf-8"))
    for channel in described["channels"].values():
        for message in channel["messages"].values():
            if message["name"] in MESSAGES:
                source = (PROTO / message["payload"]["schema"]["$ref"]).read_text(encoding="utf-8")
                assert f"message {message['name'].rpartition('.')[2]} {{" in source


def test_whoever_tells_public_events_is_known_as_their_producer() -> None:
    """A cluster's rights are made of these lists: who is missing in them may not write."""
    services = PROTO.parent / "services"
    telling = {
        path.relative_to(services).parts[0]
        for path in services.glob("*/**/*.py")
        if re.search(r"\bpublish_event\(|\bsend(_many)?\(\s*CALLS\b", path.read_text(encoding="utf-8"))
    } - {"shared"}
    assert telling <= set(DOCUMENTS["calls"]["producers"])
    assert {"recorder", "webhooks", "stats"} <= telling
