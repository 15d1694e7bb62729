"""A tenant's connection with a CRM that a fake plays, and the events that go there."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine, MemorySteps
from services.webhooks.adapters.connectors.library import CONNECTORS, read_connector
from services.webhooks.adapters.connectors.sign_in import MemoryTokenStore, Tokens
from services.webhooks.connectors.cli import run
from services.webhooks.domain.connectors.description import Connector
from services.webhooks.domain.endpoint import Endpoint, endpoints_of
from services.webhooks.domain.outcome import Attempt, Verdict
from services.webhooks.domain.payload import payload_of
from tests.contract.connectors.fake_bitrix24 import Bitrix24
from tests.contract.connectors.fake_hubspot import HubSpot
from tests.contract.connectors.fake_kommo import Kommo
from tests.contract.connectors.fake_leadvertex import LeadVertex
from tests.contract.connectors.fake_new import NewCrm
from tests.contract.connectors.fake_salesforce import Salesforce
from tests.contract.connectors.fake_zoho import Zoho

FAKES: dict[str, type[Any]] = {
    "kommo": Kommo,
    "zoho": Zoho,
    "leadvertex": LeadVertex,
    "hubspot": HubSpot,
    "bitrix24": Bitrix24,
    "salesforce": Salesforce,
    "my_crm": NewCrm,
}
SETTINGS = {
    "kommo": {"account": "acme"},
    "leadvertex": {"project": "acme", "lost_status": "7"},
    "bitrix24": {"portal": "acme.bitrix24.eu"},
    "salesforce": {"instance": "acme.my.salesforce.com"},
    "my_crm": {"account": "acme"},
}
PATHS = {
    "kommo": "",
    "zoho": "/crm/v8",
    "leadvertex": "/api/admin",
    "hubspot": "",
    "bitrix24": "/rest",
    "my_crm": "/api",
}
OAUTH = {"client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0"}
NUMBER = "+380671112233"
KNOWN = ("acme", "crm")
OUTSIDE = Outside.with_certificates(AddressGuard.parse("127.0.0.1/32"), Limits(), None)
LINK = "https://calls.example/recordings/{recording_id}"


@cache
def described(name: str) -> Connector:
    """Return a connector: a built-in one, or what `ringmaster connector new` has just written."""
    if name != "my_crm":
        return read_connector(CONNECTORS / f"{name}.yaml")
    with TemporaryDirectory() as folder:
        assert run(["new", name, "--into", folder]) == 0
        return read_connector(Path(folder, f"{name}.yaml"))


class Crm:
    """A tenant's connection with a CRM, over processes that come and go."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fake: Any = FAKES[name]()
        self.store = MemoryTokenStore()
        self.steps = MemorySteps()
        self.secret = {"token": "first"} if name == "leadvertex" else dict(OAUTH)
        channel = tn.Channel(channel_id="crm", secret_ref="crm")
        channel.crm.connector = name
        for key, value in SETTINGS.get(name, {}).items():
            channel.crm.settings[key] = value
        channel.crm.users["olena"] = "42"
        document = tn.TenantDocument(tenant_id="acme", channels=[channel])
        self.endpoint: Endpoint = endpoints_of(document)[0]
        self.connection = EndpointConnection(OUTSIDE)
        self.restart()

    def restart(self, *, forgets: bool = False) -> None:
        """Begin a new process; where it `forgets`, the kill came before anything of the last steps was kept."""
        connector = described(self.name)
        path = "/services/data/v60.0" if self.name == "salesforce" else PATHS[self.name]
        sign_in = connector.sign_in
        if sign_in.token_url:
            sign_in = replace(sign_in, token_url=self.fake.url + self.fake.TOKEN_PATH)
        local = replace(connector, base=self.fake.url + path, sign_in=sign_in, requests=1000)
        secrets = ChannelSecrets(None)
        secrets._secrets = {"acme/crm": self.secret}
        if forgets:
            self.steps = MemorySteps()
        self.engine = Engine({self.name: local}, secrets, Tokens(self.store), self.steps, LINK)

    def carry(self, event: Event, kind: str = "call.ended") -> Attempt:
        return self.send(kind, payload_of(event, kind), f"{event.event_id}.crm")

    def send(self, kind: str, payload: bytes, delivery_id: str) -> Attempt:
        delivery = Delivery(delivery_id=delivery_id, tenant_id="acme", event_type=kind, payload=payload)
        return self.engine.carry(delivery, self.endpoint, self.connection)


def ended(number: int, exit_way: str = "ANSWERED", caller: str = NUMBER, name: str = "Олена") -> Event:
    event = Event(event_id=f"e{number}", tenant_id="acme", call_id=f"0a1b-{number}", sequence=3)
    event.time.FromMilliseconds(1_767_607_300_000)
    body = event.call_ended
    body.exit = ev.CallExit.Value(f"CALL_EXIT_{exit_way}")
    body.caller.number, body.caller.name = caller, name
    body.line, body.queue_id, body.agent_id = "+380441000001", "sales", "olena"
    body.started_at.FromMilliseconds(1_767_607_200_000)
    body.wait_ms, body.talk_ms = 9_000, 75_000 if exit_way == "ANSWERED" else 0
    if exit_way == "ANSWERED":
        body.recording_ids.append(f"r{number}")
    return event


def is_delivered(attempt: Attempt) -> bool:
    return attempt.verdict is Verdict.DELIVERED


def transcript(number: int) -> Event:
    event = Event(event_id=f"t{number}", tenant_id="acme", call_id=f"0a1b-{number}")
    body = event.transcript_completed
    body.recording_id, body.words, body.language = f"r{number}", 320 + number, "uk"
    return event
