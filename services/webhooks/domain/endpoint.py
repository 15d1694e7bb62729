import hashlib
import re
from dataclasses import dataclass
from typing import NewType

from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.webhooks.domain.payload import EVERYTHING, PayloadForm

EndpointKey = NewType("EndpointKey", str)
DeliveryId = NewType("DeliveryId", str)

# Standard Webhooks signs "<id>.<timestamp>.<body>": a last part of digits alone could be read as the timestamp.
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,120}\Z", re.ASCII)
_ENDS_LIKE_A_TIMESTAMP = re.compile(r"\.[0-9]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one tenant's events go. `events` are types, families ("call.*") or nothing for all.

    Of what follows 0 and nothing mean what the platform does for everybody.
    """

    tenant_id: str
    endpoint_id: str
    url: str
    events: tuple[str, ...]
    secret_ref: str
    is_disabled: bool
    retry_wait_seconds: tuple[int, ...] = ()
    concurrency: int = 0
    timeout_seconds: float = 0.0
    keeps_call_order: bool = False
    form: PayloadForm = EVERYTHING
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> EndpointKey:
        """The key of its deliveries."""
        return key_of(self.tenant_id, self.endpoint_id)

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type is delivered here."""
        if self.is_disabled:
            return False
        return not self.events or any(_matches(pattern, event_type) for pattern in self.events)


def key_of(tenant_id: str, endpoint_id: str) -> EndpointKey:
    """Return `<tenant>.<endpoint>`; unique because a tenant's id has no dot."""
    return EndpointKey(f"{tenant_id}.{endpoint_id}")


def endpoints_of(document: TenantDocument) -> tuple[Endpoint, ...]:
    """Return the endpoints of a tenant's document, the ones switched off by hand among them."""
    return tuple(_endpoint(document.tenant_id, hook) for hook in document.webhooks)


def _endpoint(tenant_id: str, hook: WebhookEndpoint) -> Endpoint:
    return Endpoint(
        tenant_id,
        hook.endpoint_id,
        hook.url,
        tuple(hook.events),
        hook.secret_ref,
        hook.disabled,
        tuple(hook.retry_wait_seconds),
        hook.concurrency,
        hook.timeout_ms / 1000,
        hook.keep_call_order,
        PayloadForm(hook.thin, hook.template),
        tuple(sorted(hook.headers.items())),
    )


def delivery_id_of(event_id: str, endpoint_id: str) -> DeliveryId:
    """Return `<event>.<endpoint>`, the webhook-id of every try; a digest of it where that can't be a header."""
    plain = f"{event_id}.{endpoint_id}"
    if _PLAIN_ID.match(plain) and not _ENDS_LIKE_A_TIMESTAMP.search(plain):
        return DeliveryId(plain)
    return DeliveryId("d-" + hashlib.sha256(plain.encode()).hexdigest()[:40])


def _matches(pattern: str, event_type: str) -> bool:
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern in (event_type, "*")
