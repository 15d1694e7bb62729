"""Each way out of the service is judged at the socket: what a tenant may name leads nowhere inside the platform."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.shared.bus.topics import DELIVERIES_DEAD
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.adapters.connectors.library import CONNECTORS, read_connector
from services.webhooks.domain.connectors.description import Connector
from tests.integration.webhooks.harness import SECRET, Service, endpoint, wait_until
from tests.integration.webhooks.test_channels import lost

INSIDE = "169.254.169.254"
REFUSALS = ("the host has no address that may be connected to", "the host's name can't be resolved")
_watching: list[list[Any]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for seen in _watching:
            seen.append(arguments[1])


sys.addaudithook(_note)


@pytest.fixture
def connected() -> Iterator[list[Any]]:
    """Give the addresses that this process connects to."""
    seen: list[Any] = []
    _watching.append(seen)
    yield seen
    _watching.remove(seen)


def channel(kind: str, wish: Any) -> tn.Channel:
    made = tn.Channel(channel_id="way", secret_ref="way", retry_wait_seconds=[])
    getattr(made, kind).CopyFrom(wish)
    return made


SMS = tn.SmsChannel(recipients=["+380501112233"], smpp=tn.SmppServer(host=INSIDE))
MAIL = tn.EmailChannel(host=INSIDE, sender="a@acme.example", recipients=["b@acme.example"])
CRM = tn.CrmChannel(connector="bitrix24", settings={"portal": INSIDE})
WAYS: dict[str, tn.TenantDocument] = {
    "webhook": tn.TenantDocument(webhooks=[endpoint(f"http://{INSIDE}/", "way")]),
    "token": tn.TenantDocument(
        webhooks=[
            endpoint(
                "https://crm.example/",
                "way",
                oauth=tn.OauthClient(token_url=f"http://{INSIDE}/", client_id="us", secret_ref="gateway"),
            )
        ]
    ),
    "slack": tn.TenantDocument(channels=[channel("slack", tn.SlackChannel())]),
    "telegram": tn.TenantDocument(channels=[channel("telegram", tn.TelegramChannel(chat_id="1"))]),
    "mail": tn.TenantDocument(channels=[channel("email", MAIL)]),
    "smpp": tn.TenantDocument(channels=[channel("sms", SMS)]),
    "crm": tn.TenantDocument(channels=[channel("crm", CRM)]),
}


def over(number: int) -> Event:
    """Return the end of a call, which a CRM is told."""
    event = Event(event_id=f"ended-{number}", tenant_id="acme", call_id=f"call-{number}")
    event.time.GetCurrentTime()
    event.call_ended.caller.number = f"+38067000{number:04}"
    return event


@pytest.fixture
def crm() -> Connector:
    """Return a CRM whose sign-in is at the host that the tenant names, as its other requests are."""
    connector = read_connector(CONNECTORS / "bitrix24.yaml")
    return replace(connector, sign_in=replace(connector.sign_in, token_url="https://{{settings.portal}}/oauth"))


@pytest.mark.parametrize("way", WAYS)
def test_no_way_out_leads_inside(service: Service, way: str, connected: list[Any], crm: Connector) -> None:
    document = tn.TenantDocument(tenant_id="acme", time_zone="UTC")
    document.MergeFrom(WAYS[way])
    document.rules.append(
        tn.Rule(
            rule_id="r",
            events=["call.ended" if way == "crm" else "call.lost"],
            actions=[tn.RuleAction(to="way", text="lost")],
        )
    )
    service.write_secrets({"acme/main": [SECRET], "acme/gateway": {"client_secret": "p"}})
    secret = {"url": f"http://{INSIDE}/services/x", "token": "12345:abcdefghijklmnop", "user": "u", "password": "p"}
    service.channel_secrets = {"acme/way": secret | {"client_id": "c", "client_secret": "s", "refresh_token": "r"}}
    service.telegram_api = f"http://{INSIDE}"
    service.library = {"bitrix24": crm}
    service.allow, service.ladder = "", "0"
    service.apply(document)
    service.start()
    service.publish(lost(1), over(1))
    wait_until(lambda: bool(service.bus.records(DELIVERIES_DEAD)))
    errors = [Delivery.FromString(record.value).last_error for record in service.bus.records(DELIVERIES_DEAD)]
    assert all(error.endswith(REFUSALS) for error in errors), errors
    assert [place for place in connected if isinstance(place, tuple)] == []
