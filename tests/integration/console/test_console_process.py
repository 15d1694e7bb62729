"""The console as a process, with a true broker and document store."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent.event import Event as Flag

from services.shared.bus.backlog import Backlog
from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import INPUTS, REPLIES, TENANTS
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus, Reply, Request
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from tests.integration.console.conftest import ROOT, RunningConsole

pytestmark = [pytest.mark.kafka, pytest.mark.stack]


def demo_tenant(name: str) -> str:
    source = ROOT / "local" / "demo" / "tenants" / f"{name}.yaml"
    return source.read_text(encoding="utf-8").replace("${RECEIVER_PORT}", "18109")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{name}.yaml" for name in ("acme", "borealis")]
    for path in paths:
        path.write_text(demo_tenant(path.stem), encoding="utf-8")
    return [str(path) for path in paths]


def documents_on(bootstrap: str, topic: str) -> list[TenantDocument]:
    """Return all tenants' documents on a topic, oldest first for each tenant."""
    reader = Consumer(bootstrap, None, [topic], "test")
    found: list[TenantDocument] = []
    try:
        backlog = Backlog(reader)
        while not backlog.is_read:
            values = [record.value for record in backlog.poll(0.5)]
            if topic == TENANTS:
                found += [TenantDocument.FromString(value) for value in values]
            else:
                inputs = [Input.FromString(value) for value in values]
                found += [entry.document for entry in inputs if entry.HasField("document")]
    finally:
        reader.close()
    return found


@contextmanager
def answering_router(bootstrap: str) -> Iterator[list[Request]]:
    """Play a router that accepts everything but the agent `nobody`."""
    seen: list[Request] = []
    stopping, ready = Flag(), Flag()

    def run() -> None:
        reader, sender = Consumer(bootstrap, None, [INPUTS], "router", from_beginning=False), Producer(bootstrap, "r")
        for place in reader.assignment():
            reader.seek(*place, reader.end_offset(*place))
        ready.set()
        while not stopping.is_set():
            for record in reader.poll(0.1):
                request = Input.FromString(record.value).request
                if request.request_id:
                    seen.append(request)
                    accepted = request.set_agent_status.agent_id != "nobody"
                    reply = Reply(request_id=request.request_id, accepted=accepted)
                    if not accepted:
                        reply.problem, reply.detail = "agent-not-found", "The tenant has no agent nobody."
                    sender.send(REPLIES, record.key, reply.SerializeToString(), timestamp_ms=int(time.time() * 1000))
        reader.close()
        sender.close()

    router = gevent.spawn(run)
    assert ready.wait(60)
    try:
        yield seen
    finally:
        stopping.set()
        router.join(20)


def test_the_command_line_applies_the_demo_tenants_and_says_when_nothing_changes(
    console: RunningConsole, files: list[str], kafka_bootstrap: str
) -> None:
    first = console.command("apply", *files)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == ["acme: applied as version 1", "borealis: applied as version 1"]
    second = console.command("apply", *files)
    assert second.stdout.splitlines() == ["acme: unchanged, still version 1", "borealis: unchanged, still version 1"]
    for topic in (TENANTS, INPUTS):
        names = {(document.tenant_id, document.version) for document in documents_on(kafka_bootstrap, topic)}
        assert {("acme", 1), ("borealis", 1)} <= names


def test_agents_ask_the_router_over_http_and_nobody_reaches_into_another_tenant(
    console: RunningConsole, files: list[str], kafka_bootstrap: str
) -> None:
    assert console.command("apply", *files).returncode == 0
    console.start()
    with answering_router(kafka_bootstrap) as seen:
        address = "/v1/tenants/acme/agents/{}/status"
        ready = b'{"status": "ready"}'
        status, body = console.answered("PUT", address.format("olena"), ready, "acme-olena", key="k1")
        assert (status, body["accepted"]) == (200, True)
        again = console.ask("PUT", address.format("olena"), ready, "acme-olena", Idempotency_Key="k1")
        assert again[1]["request_id"] == body["request_id"]
        assert seen[-1].set_agent_status.status == AgentStatus.AGENT_STATUS_READY
        assert (seen[-1].actor, seen[-1].role) == ("olena", "agent")
        refused = console.answered("PUT", address.format("nobody"), ready, "acme-supervisor", key="k2")
        assert (refused[0], refused[1]["type"]) == (404, "urn:ringmaster:problem:agent-not-found")
        count = len(seen)
        assert console.ask("PUT", address.format("taras"), ready, "acme-olena")[0] == 403
        assert console.ask("PUT", address.format("olena"), ready, "borealis-supervisor")[0] == 403
        assert console.ask("PUT", address.format("olena"), ready, "wrong")[0] == 401
        assert console.ask("PUT", address.format("olena"), b'{"status": "reaady"}', "acme-olena")[0] == 422
        assert len(seen) == count
    agents = console.ask("GET", "/v1/tenants/acme/agents", token="acme-supervisor")[1]["agents"]
    assert [agent["agent_id"] for agent in agents][:2] == ["andriy", "bohdan"]


def test_a_request_without_a_reply_is_accepted_for_later(console: RunningConsole, files: list[str]) -> None:
    assert console.command("apply", *files).returncode == 0
    console.start()
    status, body = console.logged("POST", "/v1/tenants/acme/calls/call-1/hangup", b"", "acme-supervisor", key="k")
    assert (status, body["accepted"]) == (202, None)


def test_a_document_is_previewed_applied_and_rolled_back_over_http(console: RunningConsole, files: list[str]) -> None:
    assert console.command("apply", *files).returncode == 0
    console.start()
    changed = demo_tenant("acme").replace("name: Acme Goods", "name: Acme and Daughters").encode()
    status, body = console.ask("POST", "/v1/tenants/acme/diff", changed, "admin")
    assert (status, body["changes"]) == (
        200,
        [{"path": "name", "before": "Acme Goods", "after": "Acme and Daughters"}],
    )
    assert console.ask("PUT", "/v1/tenants/acme", changed, "acme-supervisor")[0] == 403
    assert console.ask("PUT", "/v1/tenants/acme", changed, "admin")[1]["version"] == 2
    assert console.ask("POST", "/v1/tenants/acme/rollback?version=1", b"", "admin")[1]["version"] == 3
    newest = console.ask("GET", "/v1/tenants/acme", token="acme-supervisor")[1]
    assert (newest["version"], newest["document"]["name"]) == (3, "Acme Goods")
    stolen = demo_tenant("borealis").replace("+442071000001", "+380441000001").encode()
    status, body = console.ask("PUT", "/v1/tenants/borealis", stolen, "admin")
    assert (status, [fault["path"] for fault in body["faults"]]) == (422, ["lines[0].number"])
