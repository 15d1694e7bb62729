"""The catalogue of public events for who integrates: docs/events.md, written from the contract and its comments."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PROTO = Path(__file__).resolve().parent
EVENTS = "ringmaster/v1/event.proto"
_MESSAGES, _ENUMS, _PARTS = (
    4,
    5,
    2,
)  # the numbers of these fields in descriptor.proto: a comment's place is a path of them
_TIMESTAMP = ".google.protobuf.Timestamp"
_NUMBERS = {Field.TYPE_INT32, Field.TYPE_UINT32, Field.TYPE_DOUBLE, Field.TYPE_FLOAT}
_WIDE = {Field.TYPE_INT64, Field.TYPE_UINT64}
_HEAD = """# Events

Written from proto/ringmaster/v1/event.proto by `make proto`; change it there.

Every fact of a company is one event: on the topic `ringmaster.calls`, in its feed `ringmaster.feed.<tenant>`, and in
webhooks, which get `{"type": …, "timestamp": …, "data": {…}}`. `type` is the heading below, `timestamp` is RFC 3339 in
UTC, and `data` holds the event's own fields and always these:

| field | JSON | what it is |
|---|---|---|
| `event_id` | text | The same fact has the same id after any replay or retry. |
| `tenant_id` | text | The company. |
| `call_id` | text | The call; empty for facts about agents, switches and documents. |
| `sequence` | text of digits | Counts the events of one subject from 1 without gaps; 0 where nobody counts. |

In Kafka an event's `ce_id`, `ce_subject` and `ce_sequence` (twenty digits) are headers too: who keeps the last number
of each subject sees at once what came twice or is missing, after any replay. Services beside the router count nothing:
their events of a call have no number, and derived ids alone.

A webhook's `webhook-id` is `<event_id>.<endpoint>`: keep it, and whatever comes twice is known. Fields and values are
added in time, none is taken away or changes its meaning: pass over what you don't know. Whole numbers of 64 bits are
texts, unset texts are empty, unset moments and parts are not there.

## What only webhooks get

`endpoint.ping` is a test that somebody asked for. `endpoint.failing`, `endpoint.recovered`, `endpoint.disabled` and
`endpoint.gone` tell a company's other endpoints how one of them is: `data` holds its `endpoint_id`, the moment `since`
that trouble began, `last_error` (what its last try met) and, where it is closed, `reason`; both hold a `code`, the
sentence in `en` and `uk`, and in `do` what helps. They are neither on `ringmaster.calls` nor in a feed.

An example is an event that never happened, sent from the page or by `POST /v1/endpoints/{id}/example` for a trial:
signed and in the form of its type below. Its `webhook-id`, `event_id` and `call_id` begin with `example-`, it has the
header `webhook-example: true` and, where no template says what the body holds, `"example": true` beside `type`.

## All events
"""


class Contract:
    """The files of the contract with their comments."""

    def __init__(self) -> None:
        self._files = list(_compiled().file)
        self.messages = {f".{f.package}.{one.name}": one for f in self._files for one in f.message_type}
        self.enums = {f".{f.package}.{one.name}": one for f in self._files for one in f.enum_type}
        self._comments = dict(_comments(self._files))

    def event(self) -> Any:
        """Return an empty event."""
        pool = DescriptorPool()
        for file in self._files:
            pool.Add(file)
        return GetMessageClass(pool.FindMessageTypeByName("ringmaster.v1.Event"))()

    def comment(self, *names: str) -> str:
        """Return what is written above a message, one of its fields, an enumeration or one of its values."""
        return self._comments.get(names, "")


def _compiled() -> FileDescriptorSet:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "contract.bin")
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", "--include_imports"]
        command += ["--include_source_info", f"--descriptor_set_out={target}", EVENTS]
        subprocess.run(command, check=True, cwd=PROTO)  # noqa: S603 - our files
        return FileDescriptorSet.FromString(target.read_bytes())


def _comments(files: list[FileDescriptorProto]) -> Iterator[tuple[tuple[str, ...], str]]:
    for file in files:
        for location in file.source_code_info.location:
            names = _names(file, list(location.path))
            if names and location.leading_comments:
                yield names, " ".join(location.leading_comments.split())


def _names(file: FileDescriptorProto, path: list[int]) -> tuple[str, ...]:
    """Return whose comment a path tells: ("Message",), ("Message", "field"), and so for enumerations."""
    if len(path) not in (2, 4) or path[0] not in (_MESSAGES, _ENUMS) or (len(path) == 4 and path[2] != _PARTS):  # noqa: PLR2004
        return ()
    whole = file.message_type[path[1]] if path[0] == _MESSAGES else file.enum_type[path[1]]
    if len(path) == 2:  # noqa: PLR2004 - a message itself
        return (whole.name,)
    parts = whole.field if path[0] == _MESSAGES else whole.value
    return whole.name, parts[path[3]].name


def catalogue() -> str:
    """Return the document."""
    contract = Contract()
    event = contract.messages[".ringmaster.v1.Event"]
    bodies = [field for field in event.field if field.HasField("oneof_index")]
    used: dict[str, None] = {}
    told = [_event(contract, field, used) for field in bodies]
    families: dict[str, list[str]] = {}
    for field in bodies:
        families.setdefault(_type(field).partition(".")[0], []).append(_type(field))
    lines = [
        f"- **{family}**: {', '.join(f'[{_short(one)}](#{_anchor(one)})' for one in types)}"
        for family, types in families.items()
    ]
    return "\n".join([_HEAD, *lines, "", *told, *_shapes(contract, used)]) + "\n"


def _type(field: Field) -> str:
    return field.name.replace("_", ".", 1)


def _short(event_type: str) -> str:
    return event_type.partition(".")[2]


def _anchor(heading: str) -> str:
    """Return what a heading is linked by: lower case, without dots."""
    return heading.lower().replace(".", "")


def _event(contract: Contract, field: Field, used: dict[str, None]) -> str:
    meaning = contract.comment("Event", field.name).partition(": ")[2]
    text = f"## {_type(field)}\n\n{meaning[:1].upper()}{meaning[1:]}\n\n{_table(contract, field.type_name, used)}"
    example = PROTO / "examples" / f"event-{_type(field).replace('.', '-').replace('_', '-')}.json"
    return text + (f"\n{_example(contract, example, field)}" if example.exists() else "")


def _example(contract: Contract, path: Path, field: Field) -> str:
    """Return what a webhook gets of an example."""
    event = json_format.Parse(path.read_text(encoding="utf-8"), contract.event())
    whole = json_format.MessageToDict(
        event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    data = whole[field.name] | {name: whole[name] for name in ("event_id", "tenant_id", "call_id", "sequence")}
    document = {"type": _type(field), "timestamp": whole["time"], "data": data}
    return f"```json\n{json.dumps(document, ensure_ascii=False, indent=2)}\n```\n"


def _table(contract: Contract, type_name: str, used: dict[str, None]) -> str:
    message = contract.messages[type_name]
    if not message.field:
        return "Nothing but what every event has.\n"
    rows = [
        f"| `{one.name}` | {_json(contract, one, used)} | {contract.comment(message.name, one.name)} |"
        for one in message.field
    ]
    return "\n".join(["| field | JSON | what it is |", "|---|---|---|", *rows]) + "\n"


def _json(contract: Contract, field: Field, used: dict[str, None]) -> str:
    """Return what a field is in JSON."""
    message = contract.messages.get(field.type_name)
    if message is not None and message.nested_type == [] and field.type_name.startswith(".google"):
        return "moment" if field.type_name == _TIMESTAMP else "object"
    entry = _map_entry(contract, field)
    if entry:
        return "object of texts"
    one = _one(contract, field, used)
    return f"list of {one}" if field.label == Field.LABEL_REPEATED else one


def _map_entry(contract: Contract, field: Field) -> bool:
    """Whether it is a map: those are messages within their message."""
    return field.type == Field.TYPE_MESSAGE and field.type_name not in contract.messages


def _one(contract: Contract, field: Field, used: dict[str, None]) -> str:
    if field.type == Field.TYPE_ENUM or field.type_name in contract.messages:
        used[field.type_name] = None
        name = field.type_name.rpartition(".")[2]
        return f"[{name}](#{_anchor(name)})"
    if field.type in _WIDE:
        return "text of digits"
    if field.type in _NUMBERS:
        return "number"
    return {Field.TYPE_BOOL: "true or false", Field.TYPE_BYTES: "text, base64"}.get(field.type, "text")


def _shapes(contract: Contract, used: dict[str, None]) -> Iterator[str]:
    """Yield what events' fields are made of, and what those are made of."""
    told: set[str] = set()
    while waiting := sorted(used.keys() - told):
        for type_name in waiting:
            told.add(type_name)
            name = type_name.rpartition(".")[2]
            yield f"## {name}\n\n{contract.comment(name)}\n"
            if type_name in contract.messages:
                yield _table(contract, type_name, used)
            else:
                values = contract.enums[type_name].value
                yield "\n".join(f"- `{one.name}`: {contract.comment(name, one.name)}" for one in values) + "\n"
