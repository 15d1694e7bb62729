import hashlib
import re
from dataclasses import dataclass, field
from typing import NewType

from services.shared.contracts.ringmaster.v1.tenant_pb2 import (
    FEED_FORMAT_PROTOBUF,
    Channel,
    TenantDocument,
    WebhookEndpoint,
)
from services.webhooks.domain.batch import BatchWish, batch_wish_of
from services.webhooks.domain.identity import NOTHING, Proof, proof_of
from services.webhooks.domain.payload import EVERYTHING, PayloadForm

EndpointKey = NewType("EndpointKey", str)
DeliveryId = NewType("DeliveryId", str)

# What a CRM takes where its channel does not say: the call with its recording, and what was said in it.
CRM_EVENTS = ("call.ended", "transcript.completed")
SPOKEN = frozenset({"telegram", "slack", "email", "sms"})
"""Channels for people: they get a message, and only by a rule."""

# Standard Webhooks signs "<id>.<timestamp>.<body>": a last part of digits alone could be read as the timestamp.
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,120}\Z", re.ASCII)
_ENDS_LIKE_A_TIMESTAMP = re.compile(r"\.[0-9]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one tenant's events go: a webhook endpoint, or a channel. `events` are types, families or nothing for all.

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
    proof: Proof = NOTHING
    batch: BatchWish | None = None
    rate_per_second: int = 0
    channel: Channel | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """What it is: webhook, or a channel's kind."""
        return "webhook" if self.channel is None else self.channel.WhichOneof("kind") or ""

    @property
    def is_spoken(self) -> bool:
        """Whether it takes messages for people instead of events."""
        return self.kind in SPOKEN

    @property
    def key(self) -> EndpointKey:
        """The key of its deliveries."""
        return key_of(self.tenant_id, self.endpoint_id)

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type is delivered here."""
        if self.is_disabled or self.kind == "feed" or self.is_spoken:
            # A feed is written in the log's own order by the feeder; people get messages by rules.
            return False
        return self.names(event_type)

    def names(self, event_type: str) -> bool:
        """Whether `events` name this type."""
        return not self.events or any(_matches(pattern, event_type) for pattern in self.events)


def key_of(tenant_id: str, endpoint_id: str) -> EndpointKey:
    """Return `<tenant>.<endpoint>`; unique because a tenant's id has no dot."""
    return EndpointKey(f"{tenant_id}.{endpoint_id}")


def endpoints_of(document: TenantDocument) -> tuple[Endpoint, ...]:
    """Return the endpoints of a tenant's document, the ones switched off by hand among them."""
    hooks = (_endpoint(document.tenant_id, hook) for hook in document.webhooks)
    return (*hooks, *(_channel(document.tenant_id, channel) for channel in document.channels))


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
        proof_of(hook),
        batch_wish_of(hook),
        hook.rate_per_second,
    )


def _channel(tenant_id: str, channel: Channel) -> Endpoint:
    kind = channel.WhichOneof("kind") or ""
    return Endpoint(
        tenant_id,
        channel.channel_id,
        # A channel that was closed opens again when anything of it changes, as an endpoint does with another URL.
        f"{kind}:{hashlib.sha256(channel.SerializeToString(deterministic=True)).hexdigest()[:16]}",
        tuple(channel.events) or (CRM_EVENTS if kind == "crm" else ()),
        channel.secret_ref,
        channel.disabled,
        tuple(channel.retry_wait_seconds),
        # Two calls of one new customer at the same time would make two contacts.
        # And a message centre lets an account bind once or twice.
        concurrency=1 if kind == "crm" or channel.sms.HasField("smpp") else 0,
        form=PayloadForm(is_protobuf=kind == "feed" and channel.feed.format == FEED_FORMAT_PROTOBUF),
        channel=channel,
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
