import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of, endpoints_of


def endpoint(*events: str, is_disabled: bool = False) -> Endpoint:
    return Endpoint("acme", "crm", "https://crm.example/hook", events, "main", is_disabled)


@pytest.mark.parametrize(
    ("events", "kind", "wanted"),
    [
        ((), "call.ended", True),
        (("call.ended",), "call.ended", True),
        (("call.ended",), "call.started", False),
        (("call.*",), "call.started", True),
        (("call.*",), "callback.requested", False),
        (("queue.*", "call.ended"), "call.ended", True),
        (("queue.*", "call.ended"), "offer.created", False),
        (("*",), "offer.created", True),
        (("call",), "call.started", False),
    ],
)
def test_an_endpoint_takes_types_families_or_everything(events: tuple[str, ...], kind: str, *, wanted: bool) -> None:
    assert endpoint(*events).wants(kind) is wanted


def test_an_endpoint_that_is_switched_off_takes_nothing() -> None:
    assert not endpoint(is_disabled=True).wants("call.ended")


def test_the_endpoints_of_a_document_keep_its_tenant() -> None:
    hook = WebhookEndpoint(endpoint_id="crm", url="https://crm.example/hook", events=["call.*"], secret_ref="main")
    (found,) = endpoints_of(TenantDocument(tenant_id="acme", webhooks=[hook]))
    assert found == endpoint("call.*")
    assert found.key == "acme.crm"


def test_a_delivery_id_names_event_and_endpoint() -> None:
    assert delivery_id_of("evt-3-1099-2", "crm") == "evt-3-1099-2.crm"


@given(st.text(), st.text())
def test_a_delivery_id_is_always_a_short_harmless_header_that_ends_in_no_timestamp(
    event: str, endpoint_id: str
) -> None:
    found = delivery_id_of(event, endpoint_id)
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,120}", found)
    assert not re.search(r"\.[0-9]+$", found)
    assert found == delivery_id_of(event, endpoint_id)


@given(st.text(), st.text(), st.text())
def test_two_events_never_share_a_delivery_id_at_one_endpoint(first: str, second: str, endpoint_id: str) -> None:
    same = delivery_id_of(first, endpoint_id) == delivery_id_of(second, endpoint_id)
    assert same == (first == second)
