from enum import Enum

import orjson

from services.shared.bus.topics import DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.domain.moments import moment_of
from services.webhooks.handing_over import HandOver


class NoticeKind(Enum):
    """What a notice says of an endpoint; its event type."""

    FAILING = "endpoint.failing"
    RECOVERED = "endpoint.recovered"
    DISABLED = "endpoint.disabled"
    GONE = "endpoint.gone"


class Notices:
    """Tells a tenant's other endpoints how one of them is: they take `endpoint.*` like any other event."""

    def __init__(self, directory: Directory, hand_over: HandOver, clock: Clock) -> None:
        self._directory = directory
        self._hand_over = hand_over
        self._clock = clock

    def tell(self, about: Endpoint, kind: NoticeKind, since_ms: int) -> None:
        """Make the deliveries of a notice; told twice of the same trouble they have the same ids."""
        now_ms = self._clock.now_ms()
        event_id = f"{kind.value}-{about.endpoint_id}-{since_ms}"
        data = {"event_id": event_id, "tenant_id": about.tenant_id, "endpoint_id": about.endpoint_id}
        moments = {"timestamp": moment_of(now_ms), "data": data | {"since": moment_of(since_ms)}}
        payload = orjson.dumps({"type": kind.value} | moments)
        for endpoint in self._directory.endpoints(about.tenant_id):
            if endpoint.endpoint_id == about.endpoint_id or not endpoint.wants(kind.value):
                continue
            delivery = Delivery(
                delivery_id=delivery_id_of(event_id, endpoint.endpoint_id),
                tenant_id=about.tenant_id,
                endpoint_id=endpoint.endpoint_id,
                event_type=kind.value,
                payload=payload,
                created_ms=now_ms,
            )
            self._hand_over.to(DELIVERIES, delivery)
