import json
import random
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.webhooks.domain.plain import plain

BODIES = [field.name for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields]
DEPTH = 4


def fill(message: Message, dice: random.Random, depth: int = 0) -> None:
    """Set about half of a message's fields, as deep as it goes."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        message.FromMilliseconds(dice.randrange(2**41))  # type: ignore[attr-defined]  # a well-known type
        return
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.5 or depth > DEPTH:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                getattr(message, field.name)["ключ"] = scalar(field.message_type.fields_by_name["value"], dice)
        elif field.message_type is not None and field.is_repeated:
            for _ in range(dice.randrange(3)):
                fill(getattr(message, field.name).add(), dice, depth + 1)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name), dice, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(scalar(field, dice) for _ in range(dice.randrange(3)))
        else:
            setattr(message, field.name, scalar(field, dice))


def scalar(field: Any, dice: random.Random) -> object:
    if field.enum_type is not None:
        return dice.choice([*field.enum_type.values_by_number, 987])
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return b"\x00\xff" if field.type == FieldDescriptor.TYPE_BYTES else "рядок \u2028 \x01"
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return dice.random() < 0.5
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return dice.choice([0.1, 1e30, -2.0, float("inf"), float("nan")])
    return dice.randrange(1, 2**31)


@pytest.mark.parametrize("name", BODIES)
def test_every_event_is_written_as_the_library_writes_it(name: str) -> None:
    dice = random.Random(name)
    for _ in range(20):
        event = Event()
        body = getattr(event, name)
        body.SetInParent()
        fill(body, dice)
        assert sorted_text(plain(body)) == sorted_text(by_library(body))


def test_a_document_of_every_kind_of_field_is_too() -> None:
    dice = random.Random(7)
    for _ in range(50):
        document = TenantDocument()
        fill(document, dice)
        assert sorted_text(plain(document)) == sorted_text(by_library(document))


def by_library(message: Message) -> object:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def sorted_text(document: object) -> str:
    return json.dumps(document, sort_keys=True)
