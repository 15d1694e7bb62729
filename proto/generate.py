"""Write what follows from proto/: generated code, the AsyncAPI document and the catalogue of events.

`--check` only says what is out of date.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from catalogue import catalogue

ROOT = Path(__file__).resolve().parents[1]
PROTO = ROOT / "proto"
CONTRACTS = ROOT / "services" / "shared" / "contracts"
ASYNCAPI = PROTO / "asyncapi.yaml"
EVENTS = ROOT / "docs" / "events.md"
PUBLIC = "ringmaster.calls"
FEED = "ringmaster.feed"
PROTOBUF = "application/vnd.google.protobuf;version=3"


def generate(target: Path) -> None:
    """Compile every .proto file into `target`: messages and type stubs."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("ringmaster/**/*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--python_out={target}"]
    command += [f"--plugin=protoc-gen-mypy={Path(sys.executable).with_name('protoc-gen-mypy')}"]
    subprocess.run([*command, f"--mypy_out=quiet:{target}", *sources], check=True, cwd=PROTO)  # noqa: S603 - our files
    for path in (target / "ringmaster").rglob("*_pb2.py*"):
        if path.suffix == ".pyc":
            continue
        # protoc imports siblings from the proto root; ours live below services.shared.contracts.
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace("from ringmaster.v1 import", "from services.shared.contracts.ringmaster.v1 import"),
            encoding="utf-8",
        )
    for folder in (target / "ringmaster", target / "ringmaster" / "v1"):
        (folder / "__init__.py").touch()


def asyncapi() -> str:
    """Describe every topic as an AsyncAPI 3.0 document, from the topics' files and the messages' comments."""
    topics = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((PROTO / "topics").glob("*.yaml"))]
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ringmaster",
            "version": "1.0.0",
            "description": "The topics between Ringmaster's services and its public events. Values are protobuf, "
            "headers are CloudEvents 1.0 in binary mode.",
        },
        "defaultContentType": "application/protobuf",
        "channels": {topic["topic"]: _channel(topic) for topic in topics} | {FEED: _feed()},
        "operations": {name: operation for topic in topics for name, operation in _operations(topic).items()}
        | {"receive-ringmaster-feed": _reading_a_feed()},
        "components": {"schemas": {"CloudEvent": _headers(), "EventAsJson": _event_as_json()}},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _channel(topic: dict[str, Any]) -> dict[str, Any]:
    message = {"name": topic["message"], "bindings": _key(topic["key"])} | _payload(topic["message"])
    if topic["topic"] == PUBLIC:
        message["headers"] = {"$ref": "#/components/schemas/CloudEvent"}
    return {
        "address": topic["topic"],
        "description": topic["description"],
        "messages": {topic["message"].split(".")[-1]: message},
        "bindings": {
            "kafka": {
                "topic": topic["topic"],
                "partitions": topic["partitions"],
                "topicConfiguration": {
                    "cleanup.policy": [topic["cleanup"]],
                    "retention.ms": topic["retention_ms"],
                },
            }
        },
    }


def _key(description: str) -> dict[str, Any]:
    return {"kafka": {"key": {"type": "string", "description": description}}}


def _payload(message: str) -> dict[str, Any]:
    """Return where the schema of a message of ours is."""
    package, _, name = message.rpartition(".")
    folder = PROTO / package.replace(".", "/")
    files = [
        path for path in sorted(folder.glob("*.proto")) if f"\nmessage {name} {{" in path.read_text(encoding="utf-8")
    ]
    if not package or not files:
        return {}
    place = str(files[0].relative_to(PROTO))
    return {"payload": {"schemaFormat": PROTOBUF, "schema": {"$ref": place}}}


def _feed() -> dict[str, Any]:
    """Describe the topic that each company has for programs of its own (SPEC 7.6)."""
    as_json = {"contentType": "application/json", "payload": {"$ref": "#/components/schemas/EventAsJson"}}
    as_protobuf = {"contentType": "application/protobuf"} | _payload("ringmaster.v1.Event")
    return {
        "address": f"{FEED}.{{tenant_id}}",
        "description": "A company's own events, readable by its reader alone and from any moment that is kept: the "
        "same as in webhooks, in the order of the log. A record that comes twice has the same ce_id.",
        "parameters": {"tenant_id": {"description": "The company, as in its document."}},
        "messages": {
            "Json": {"name": "Event as JSON"} | _fed() | as_json,
            "Protobuf": {"name": "ringmaster.v1.Event"} | _fed() | as_protobuf,
        },
    }


def _fed() -> dict[str, Any]:
    key = _key("the event's subject: the call, agent:<id>, switch:<node>")
    return {"headers": {"$ref": "#/components/schemas/CloudEvent"}, "bindings": key}


def _reading_a_feed() -> dict[str, Any]:
    return {"action": "receive", "channel": {"$ref": f"#/channels/{FEED}"}, "description": "programs of the company"}


def _headers() -> dict[str, Any]:
    """Describe what stands in the headers of public events (CloudEvents 1.0, binary mode)."""
    meanings = {
        "ce_specversion": "1.0",
        "ce_id": "The same fact has the same id after any replay.",
        "ce_type": "The event's type, as in docs/events.md.",
        "ce_source": "The service that told it.",
        "ce_time": "When it happened, RFC 3339.",
        "ce_tenant": "The company.",
        "content-type": "How the value is written: application/protobuf, or application/json in a feed.",
        "ce_subject": "What the sequence counts within: the call, agent:<id>, switch:<node>.",
        "ce_sequence": "Counts a subject's events from 1 without gaps, twenty digits; not there where nobody counts.",
    }
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_tenant", "content-type"],
        "properties": {name: {"type": "string", "description": meaning} for name, meaning in meanings.items()},
    }


def _event_as_json() -> dict[str, Any]:
    """Describe what a webhook and a feed get; what `data` holds beside these is in docs/events.md by type."""
    texts = {"event_id": "The event.", "tenant_id": "The company.", "call_id": "The call, or empty."}
    data = {name: {"type": "string", "description": meaning} for name, meaning in texts.items()}
    data["sequence"] = {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "As ce_sequence; 0 where nobody counts.",
    }
    return {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "required": list(data), "properties": data},
        },
    }


def _operations(topic: dict[str, Any]) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{topic['topic']}"}
    name = topic["topic"].replace(".", "-")
    return {
        f"send-{name}": {"action": "send", "channel": channel, "description": ", ".join(topic["producers"])},
        f"receive-{name}": {"action": "receive", "channel": channel, "description": ", ".join(topic["consumers"])},
    }


def stale() -> list[str]:
    """Return the committed files that differ from what would be generated now."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        wanted = {path.relative_to(fresh): path.read_bytes() for path in fresh.rglob("*.py*")}
    differing = [str(name) for name, text in wanted.items() if _bytes(CONTRACTS / name) != text]
    documents = ((ASYNCAPI, asyncapi()), (EVENTS, catalogue()))
    return differing + [path.name for path, text in documents if _bytes(path) != text.encode()]


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def main() -> int:
    """Generate, or with --check compare; returns the exit code."""
    if "--check" in sys.argv[1:]:
        for name in (differing := stale()):
            print(f"{name} is out of date: type `make proto`", file=sys.stderr)  # noqa: T201 - a script's answer
        return 1 if differing else 0
    generate(CONTRACTS)
    ASYNCAPI.write_text(asyncapi(), encoding="utf-8")
    EVENTS.write_text(catalogue(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
