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
        "channels": {topic["topic"]: _channel(topic) for topic in topics},
        "operations": {name: operation for topic in topics for name, operation in _operations(topic).items()},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _channel(topic: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": topic["topic"],
        "description": topic["description"],
        "messages": {topic["message"].split(".")[-1]: {"name": topic["message"], "bindings": _key(topic)}},
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


def _key(topic: dict[str, Any]) -> dict[str, Any]:
    return {"kafka": {"key": {"type": "string", "description": topic["key"]}}}


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
