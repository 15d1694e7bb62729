from collections.abc import Callable
from enum import Enum
from typing import Final

import orjson

from services.shared.bus.topics import DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.domain.moments import moment_of
from services.webhooks.domain.trickle import Trickle
from services.webhooks.handing_over import HandOver

EACH_MS: Final = 10
"""Of many notices a hundred a second go: a sixtieth of what a core sends."""
AT_ONCE_MS: Final = 5_000
"""Five hundred of them go at once."""


class NoticeKind(Enum):
    """What a notice says of an endpoint; its event type."""

    FAILING = "endpoint.failing"
    RECOVERED = "endpoint.recovered"
    DISABLED = "endpoint.disabled"
    GONE = "endpoint.gone"


class Notices:
    """Tells a tenant's other endpoints how one of them is: they take `endpoint.*` like any other event.

    Where a thousand endpoints fail together, each to be told to fifty others, their notices would stand before the
    events of everybody. So a few go at once, and the rest wait in the room, each for its own moment.
    """

    def __init__(self, directory: Directory, hand_over: HandOver, keep: Callable[..., bool], clock: Clock) -> None:
        self._directory = directory
        self._hand_over = hand_over
        self._keep = keep
        self._clock = clock
        self._trickle = Trickle(EACH_MS * clock.speed, int(AT_ONCE_MS * clock.speed))

    def tell(self, about: Endpoint, kind: NoticeKind, since_ms: int) -> None:
        """Make the deliveries of a notice; told twice of the same trouble they have the same ids."""
        now_ms = self._clock.now_ms()
        event_id = f"{kind.value}-{about.endpoint_id}-{since_ms}"
        data = {"event_id": event_id, "tenant_id": about.tenant_id, "endpoint_id": about.endpoint_id}
        moments = {"timestamp": moment_of(now_ms), "data": data | {"since": moment_of(since_ms)}}
        payload = orjson.dumps({"type": kind.value} | moments)
        others = [one for one in self._directory.endpoints(about.tenant_id) if one.endpoint_id != about.endpoint_id]
        deliveries = [
            Delivery(
                delivery_id=delivery_id_of(event_id, endpoint.endpoint_id),
                tenant_id=about.tenant_id,
                endpoint_id=endpoint.endpoint_id,
                event_type=kind.value,
                payload=payload,
                created_ms=now_ms,
            )
            for endpoint in others
            if endpoint.wants(kind.value)
        ]
        if deliveries:
            self._send(deliveries, now_ms)

    def _send(self, deliveries: list[Delivery], now_ms: int) -> None:
        due_ms = self._trickle.moment(len(deliveries), now_ms)
        if due_ms == now_ms:
            self._hand_over.to(DELIVERIES, *deliveries)
            return
        for number, delivery in enumerate(deliveries):
            delivery.due_ms = due_ms + int(number * self._trickle.each_ms)
        self._keep(*deliveries)
