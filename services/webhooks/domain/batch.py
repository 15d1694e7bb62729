"""Several deliveries in one signed message, for who asks for that."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.tenant_pb2 import WebhookEndpoint
from services.webhooks.domain.moments import moment_of

BATCH = "batch"
"""The type of such a message, and what it keeps its order with."""
USUAL_WAIT_MS = 1_000
MOST_IN_MESSAGE = 500
MOST_BYTES = 512 * 1024
"""What a message holds; one event alone may be longer."""


@dataclass(frozen=True, slots=True)
class BatchWish:
    """How many an endpoint takes at once, and how long the first of them waits for others, seconds."""

    events: int
    wait_seconds: float


def batch_wish_of(hook: WebhookEndpoint) -> BatchWish | None:
    """Return what an endpoint wishes, None where each event comes in its own message."""
    if not hook.batch_events:
        return None
    return BatchWish(hook.batch_events, (hook.batch_wait_ms or USUAL_WAIT_MS) / 1000)


def batch_of(deliveries: Sequence[Delivery]) -> Delivery:
    """Return the message of these deliveries of one endpoint, in the order of the log.

    Its id is derived from theirs. Its body is JSON of type `batch` whose `data.events` hold of each the webhook-id that
    it would have alone, `id`, and its body, `event`: who has seen an id before has had its event.
    """
    members = sorted(deliveries, key=lambda one: one.position)
    first, last = members[0], members[-1]
    entries = b",".join(b'{"id":%b,"event":%b}' % (orjson.dumps(one.delivery_id), one.payload) for one in members)
    moment = orjson.dumps(moment_of(max(one.created_ms for one in members)))
    return Delivery(
        delivery_id=_id_of(members),
        tenant_id=first.tenant_id,
        endpoint_id=first.endpoint_id,
        event_type=BATCH,
        payload=b'{"type":"batch","timestamp":%b,"data":{"events":[%b]}}' % (moment, entries),
        created_ms=first.created_ms,
        position=last.position,
        chain=first.chain,
        members=[_without_payload(one) for one in members],
    )


def members_of(delivery: Delivery) -> Sequence[Delivery]:
    """Return what a message holds: itself where it is an event alone."""
    return delivery.members or (delivery,)


def _id_of(members: Sequence[Delivery]) -> str:
    digest = hashlib.sha256("\n".join(one.delivery_id for one in members).encode())
    return f"b-{digest.hexdigest()[:40]}"


def _without_payload(delivery: Delivery) -> Delivery:
    bare = Delivery()
    bare.CopyFrom(delivery)
    bare.payload = b""
    return bare
