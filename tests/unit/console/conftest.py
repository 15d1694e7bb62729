import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.console import changing
from services.console.adapters.memory import MemoryTenantStore
from services.console.api.freeswitch import SwitchAccess
from services.console.bootstrap import Console, Outside
from services.console.domain.validation import sound_document
from services.shared.access import tokens_of
from services.shared.bus import asking, follower
from services.shared.bus.topics import CALLS, DOCUMENT_REQUESTS, INPUTS, REPLIES, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.event_stream import EVENT_STREAM
from services.shared.chassis.supervisor import Supervisor
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.request_pb2 import Reply, Request
from services.shared.person import PersonSeal
from services.shared.testing.memory_bus import MemoryBus

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0
SILENCE_SECONDS = 0.3
"""So long is waited for a router that is not there."""
ENTRIES = {
    "root": {"tenant": "*", "role": "admin", "actor": "root"},
    "acme-admin": {"tenant": "acme", "role": "admin", "actor": "anna"},
    "acme-supervisor": {"tenant": "acme", "role": "supervisor", "actor": "sofia"},
    "acme-analyst": {"tenant": "acme", "role": "analyst", "actor": "ada"},
    "acme-crm": {"tenant": "acme", "role": "integration", "actor": "crm"},
    "acme-olena": {"tenant": "acme", "role": "agent", "actor": "olena"},
    "borealis-admin": {"tenant": "borealis", "role": "admin", "actor": "bella"},
}


def demo_text(name: str) -> str:
    path = ROOT / "local" / "demo" / "tenants" / f"{name}.yaml"
    return path.read_text(encoding="utf-8").replace("${RECEIVER_PORT}", "18109")


@pytest.fixture
def acme() -> dict[str, Any]:
    return sound_document(demo_text("acme").encode())


@pytest.fixture
def borealis() -> dict[str, Any]:
    return sound_document(demo_text("borealis").encode())


@dataclass
class Office:
    """A console in memory, with everything around it in the test's hands."""

    bus: MemoryBus = field(default_factory=MemoryBus)
    store: MemoryTenantStore = field(default_factory=MemoryTenantStore)
    supervisor: Supervisor = field(default_factory=Supervisor)

    def __post_init__(self) -> None:
        outside = Outside(
            store=self.store,
            sender=self.bus.producer(),
            replies=self.bus.consumer(None, [REPLIES]),
            calls=self.bus.consumer(None, [CALLS]),
            tenants=self.bus.consumer(None, [TENANTS]),
            document_requests=self.bus.consumer(None, [DOCUMENT_REQUESTS]),
            tokens=tokens_of({sha256(token.encode()).hexdigest(): entry for token, entry in ENTRIES.items()}),
            clock=Clock(),
            switch=SwitchAccess("freeswitch", "directory-password", "a secret of sixteen"),
            seal=PersonSeal("an erasure secret that is long enough"),
        )
        self.console = Console(outside)
        self.console.desk._reply_seconds = SILENCE_SECONDS
        self.client: FlaskClient = self.console.application().test_client()

    def start(self) -> None:
        self.console.start(self.supervisor)
        self.wait_for(lambda: self.console.ready()[0], "the console is ready")

    def ask(self, method: str, path: str, token: str = "", body: Any = None, **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes | str) else b"" if body is None else json.dumps(body)
        answer = self.client.open(path, method=method, data=data, headers=sent)
        if answer.mimetype == EVENT_STREAM:
            answer.close()  # as a server does; who is asked for here is the answer's head
        return answer

    def requests(self) -> list[Request]:
        inputs = [Input.FromString(record.value) for record in self.bus.records(INPUTS)]
        return [entry.request for entry in inputs if entry.HasField("request")]

    def answer_all(
        self, *, accepted: bool = True, problem: str = "", refused: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Let a router in memory answer each request with the same words; it is waited for on a busy machine too.

        `refused` are kinds of requests and the problem of each.
        """
        self.console.desk._reply_seconds = PATIENCE_SECONDS
        reader, sender = self.bus.consumer("router", [INPUTS]), self.bus.producer()

        def run() -> None:
            while not self.supervisor.stopping.is_set():
                for record in reader.poll(0.05):
                    request = Input.FromString(record.value).request
                    why = refused.get(request.WhichOneof("request") or "", problem)
                    is_taken = accepted and not why
                    reply = Reply(request_id=request.request_id, accepted=is_taken, problem=why, detail="Because.")
                    sender.send(REPLIES, record.key, reply.SerializeToString(), timestamp_ms=0)

        self.supervisor.spawn("router", run)

    def wait_for(self, condition: Any, what: str) -> None:
        with gevent.Timeout(PATIENCE_SECONDS, AssertionError(f"never: {what}")):
            while not condition():
                gevent.sleep(0.005)


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for module in (asking, changing, follower):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    office = Office()
    yield office
    office.supervisor.stop()
    gevent.joinall(list(office.supervisor._greenlets), timeout=PATIENCE_SECONDS)
