"""A CRM behind the whole service, whose process is killed again and again: each call is there once."""

from collections.abc import Iterator
from dataclasses import replace

import gevent
import pytest

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import CALL_EXIT_ABANDONED, CALL_EXIT_ANSWERED, Event
from services.webhooks.adapters.connectors.library import CONNECTORS, read_connector
from tests.contract.connectors.fake_hubspot import HubSpot
from tests.integration.webhooks.harness import Service, wait_until

CALLS, CUSTOMERS, KILLS = 24, 8, 8


@pytest.fixture
def crm() -> Iterator[HubSpot]:
    crm = HubSpot()
    yield crm
    crm.stop()


def ended(number: int) -> Event:
    event = Event(event_id=f"e{number}", tenant_id="acme", call_id=f"call-{number}")
    event.time.GetCurrentTime()
    event.call_ended.exit = CALL_EXIT_ABANDONED if number % 3 == 0 else CALL_EXIT_ANSWERED
    event.call_ended.caller.number = f"+38067000000{number % CUSTOMERS}"
    event.call_ended.started_at.GetCurrentTime()
    event.call_ended.talk_ms = number * 1000
    return event


def test_kills_at_any_moment_leave_each_call_in_the_crm_once(crm: HubSpot, service: Service) -> None:
    connector = read_connector(CONNECTORS / "hubspot.yaml")
    sign_in = replace(connector.sign_in, token_url=crm.url + crm.TOKEN_PATH)
    service.library = {"hubspot": replace(connector, base=crm.url, sign_in=sign_in, requests=1000)}
    service.channel_secrets = {
        "acme/crm": {"client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0"}
    }
    channel = tn.Channel(channel_id="crm", secret_ref="crm", crm=tn.CrmChannel(connector="hubspot"))
    service.apply(tn.TenantDocument(tenant_id="acme", channels=[channel]))
    service.publish(*(ended(number) for number in range(CALLS)))
    for kill in range(KILLS):
        service.start()
        before = len(crm.requests)
        wait_until(lambda before=before, kill=kill: len(crm.requests) > before + 3 * kill)  # type: ignore[misc]  # bound now
        service.kill()
        gevent.sleep(0)
    service.start()
    wait_until(lambda: len(crm.calls()) == CALLS and service.room.size() == 0, 30)
    wait_until(lambda: len(service.log.entries) > 0 and len(crm.tasks()) == CALLS // 3, 30)
    assert sorted(seconds for _, _, seconds in crm.calls()) == list(range(CALLS))
    assert sorted(crm.contacts()) == [f"+38067000000{number}" for number in range(CUSTOMERS)]
