"""The whole webhooks service on a bus in memory, sending over real sockets to receivers of our own."""

import base64
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gevent
from gevent import pywsgi

from local.receiver.application import Behaviour, Receiver
from local.receiver.ledger import Ledger
from services.shared.bus.events import publish_event
from services.shared.bus.topics import TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.supervisor import Supervisor
from services.shared.contracts.ringmaster.v1.event_pb2 import CallEnded, CallStarted, Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.shared.person import PersonSeal
from services.shared.testing import waiting
from services.shared.testing.memory_bus import MemoryBus
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.connectors.engine import MemorySteps
from services.webhooks.adapters.connectors.sign_in import MemoryTokenStore
from services.webhooks.adapters.secrets_file import SecretsFile
from services.webhooks.delivery_log import LogEntry, Minute
from services.webhooks.domain.breaker import BreakerRules
from services.webhooks.domain.connectors.description import Connector
from services.webhooks.domain.journal import Figures, Search
from services.webhooks.domain.ladder import Ladder
from services.webhooks.erasing import MemoryErasureRows
from services.webhooks.health import MemoryFailingEndpoints
from services.webhooks.notices import MemoryNoticeStore
from services.webhooks.parts import Parts, Stores
from services.webhooks.replays import MemoryReplays
from services.webhooks.secret_book import SecretBook
from services.webhooks.service import Webhooks
from services.webhooks.waiting import MemoryGoneEndpoints, MemoryWaitingRoom

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"fedcba9876543210fedcba9876543210").decode()
LEASE_SECONDS = 2.0


def wait_until(condition: Callable[[], bool], seconds: float = waiting.START_SECONDS) -> None:
    """Wait for a condition; fail when it does not come true."""
    waiting.wait_until(condition, "the condition comes true", seconds)


class MemoryLogStore:
    """Keeps the delivery log in a list."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.minutes: defaultdict[Minute, Figures] = defaultdict(Figures)
        self._counted: set[tuple[Minute, str]] = set()

    def append(self, entries: list[LogEntry], *, again: bool = False) -> None:
        self.entries += [entry for entry in entries if not again or entry not in self.entries]

    def count(self, figures: Mapping[Minute, Figures], write: str) -> None:
        for minute, counted in figures.items():
            if (minute, write) not in self._counted:
                self._counted.add((minute, write))
                self.minutes[minute].merge(counted)

    def find(self, tenant_id: str, search: Search, limit: int, before: tuple[int, str] | None) -> list[dict[str, Any]]:
        raise NotImplementedError

    def one(self, tenant_id: str, delivery_id: str) -> dict[str, Any] | None:
        raise NotImplementedError

    def states(self, tenant_id: str, delivery_ids: Sequence[str]) -> dict[str, str]:
        raise NotImplementedError

    def figures(self, tenant_id: str, since_ms: int) -> dict[tuple[str, int], Figures]:
        raise NotImplementedError

    def forget(self, tenant_id: str, names: Callable[[str], bool], like: str) -> int:
        del like
        return sum(one.tenant_id == tenant_id and names(one.error) for one in self.entries)

    def last_states(self) -> dict[str, str]:
        return {entry.delivery_id: entry.state for entry in self.entries}


class LocalReceiver:
    """A receiver that verifies, on a port of its own."""

    def __init__(self, folder: Path, name: str, secrets: tuple[str, ...] = (SECRET,)) -> None:
        self.ledger = Ledger(folder / f"{name}.jsonl")
        self.path = folder / f"{name}.jsonl"
        self.application = Receiver(list(secrets), self.ledger)
        self._server = pywsgi.WSGIServer(("127.0.0.1", 0), self._record, log=None, error_log=None)
        self.requests: list[dict[str, str]] = []
        self._server.start()

    def _record(self, environ: dict[str, Any], start_response: Any) -> Any:
        seen = {
            name: str(value)
            for name, value in environ.items()
            if name.startswith(("HTTP_", "PATH", "REQUEST_", "CONTENT_"))
        }
        self.requests.append(seen | {"at": str(time.monotonic())})
        return self.application(environ, start_response)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def behave(self, **behaviour: Any) -> None:
        self.application.behaviour = Behaviour(**behaviour)

    def ids(self) -> list[str]:
        """Return the webhook-ids taken, in order, as the file says."""
        return [json.loads(line)["id"] for line in self.path.read_text().splitlines()]

    def stop(self) -> None:
        self._server.stop(timeout=1)
        self.ledger.close()


class Service:
    """Everything that outlives a process, and the processes started on it one after another."""

    def __init__(self, folder: Path, ladder: str = "0,0.05,0.1,0.2", allow: str = "127.0.0.1/32") -> None:
        self.bus = MemoryBus()
        self.room = MemoryWaitingRoom()
        self.gone = MemoryGoneEndpoints()
        self.failing = MemoryFailingEndpoints()
        self.rules = BreakerRules(5, 50, 200)
        self.disable_after_ms = 3_600_000
        self.queue_limit = 512
        self.lease_seconds = LEASE_SECONDS
        self.log: Any = MemoryLogStore()
        self.replays: Any = MemoryReplays()
        self.made_secrets: Any = None
        self.ca_file: Path | None = None
        self.secrets_path = folder / "secrets.json"
        self.write_secrets({"acme/main": [SECRET], "beta/main": [SECRET]})
        self.channel_secrets: dict[str, dict[str, str]] = {}
        self.telegram_api = "http://127.0.0.1:1"
        self.library: dict[str, Connector] = {}
        self.steps, self.tokens, self.erasures = MemorySteps(), MemoryTokenStore(), MemoryErasureRows()
        self.notices = MemoryNoticeStore()
        self.folder = folder
        self.ladder = ladder
        self.allow = allow
        self.supervisor = Supervisor()
        self.webhooks: Webhooks | None = None

    def write_secrets(self, secrets: dict[str, Any]) -> None:
        self.secrets_path.write_text(json.dumps(secrets))

    def start(self, **limits: float) -> None:
        """Start a new process on what the former one left."""
        self.supervisor = Supervisor()
        self.webhooks = self._made("webhooks", **limits)
        self.webhooks.start()

    def start_beside(self) -> None:
        """Start what takes retries in a process beside this one, to which no partition of first tries was given."""
        beside, stopping = self._made("beside"), self.supervisor.stopping
        self.supervisor.spawn_task("closed endpoints beside", beside.directory.remember_closed, stopping)
        self.supervisor.spawn("tenants beside", beside.directory.run, stopping)
        self.supervisor.spawn("retry scheduler beside", beside._scheduler.run, stopping)
        self.supervisor.spawn_last("retries' ends beside", beside._settling.run)

    def _made(self, name: str, **limits: float) -> Webhooks:
        self.secrets = SecretBook(SecretsFile(self.secrets_path), self.made_secrets)
        outside = Outside.with_certificates(AddressGuard.parse(self.allow), Limits(**limits), self.ca_file)
        stores = Stores(
            self.room,
            self.gone,
            self.log,
            self.failing,
            self.replays,
            self.steps,
            self.tokens,
            self.erasures,
            self.notices,
        )
        ladder = Ladder.parse(self.ladder)
        parts = Parts(
            self.bus,
            stores,
            self.secrets,
            outside,
            ladder,
            Clock(),
            name,
            queue_limit=self.queue_limit,
            lease_seconds=self.lease_seconds,
            breaker=self.rules,
            disable_after_ms=self.disable_after_ms,
            channel_secrets=self._channel_secrets(),
            telegram_api=self.telegram_api,
            library=self.library,
            recording_link="https://calls.example/recordings/{recording_id}",
            kept_answer_bytes=512,
            ca_file=str(self.ca_file) if self.ca_file else None,
            seal=PersonSeal("an erasure secret for the webhooks' tests"),
        )
        return Webhooks(parts, self.supervisor)

    def _channel_secrets(self) -> ChannelSecrets:
        path = self.folder / "channels.json"
        path.write_text(json.dumps(self.channel_secrets))
        return ChannelSecrets(path)

    def kill(self) -> None:
        """End the process at once, wherever it is: nothing gets a chance to tidy up."""
        gevent.killall(list(self.supervisor._greenlets), timeout=5)

    def stop(self) -> None:
        """End the process politely."""
        self.supervisor.stop()
        self.bus.changed.set()  # a poll that waits for records ends with it
        self.supervisor.end()

    def tenant(self, tenant_id: str, *endpoints: WebhookEndpoint) -> None:
        """Publish a tenant's document."""
        self.apply(TenantDocument(tenant_id=tenant_id, webhooks=endpoints))

    def apply(self, document: TenantDocument) -> None:
        tenant_id = document.tenant_id
        self.bus.producer().send(TENANTS, tenant_id, document.SerializeToString(), timestamp_ms=0)

    def publish(self, *events: Event) -> None:
        for event in events:
            publish_event(self.bus.producer(), event)


def endpoint(url: str, endpoint_id: str = "crm", events: tuple[str, ...] = (), **wishes: Any) -> WebhookEndpoint:
    return WebhookEndpoint(endpoint_id=endpoint_id, url=url, events=events, secret_ref="main", **wishes)


def call_started(number: int, tenant_id: str = "acme") -> Event:
    event = Event(event_id=f"evt-{tenant_id}-{number}", tenant_id=tenant_id, call_id=f"call-{number}", sequence=1)
    event.time.GetCurrentTime()
    event.call_started.CopyFrom(CallStarted(line="+380441000001", flow_id="main"))
    return event


def call_ended(number: int, tenant_id: str = "acme") -> Event:
    event = Event(event_id=f"end-{tenant_id}-{number}", tenant_id=tenant_id, call_id=f"call-{number}", sequence=2)
    event.time.GetCurrentTime()
    event.call_ended.CopyFrom(CallEnded(line="+380441000001", wait_ms=9100))
    return event
