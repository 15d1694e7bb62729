from typing import Final

from services.console.store import TenantStore, Version
from services.shared.bus.ports import Sender
from services.shared.bus.topics import INPUTS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

ACKNOWLEDGED_SECONDS: Final = 10.0


class Publisher:
    """Brings a tenant's newest document to the bus: to those who keep documents, and into the tenant's log.

    A version stays marked as unpublished until both records are acknowledged, so whoever comes next finishes what a
    killed process began. Readers ignore a version that they know.
    """

    def __init__(self, store: TenantStore, sender: Sender, clock: Clock) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._failed = ""

    def publish(self, tenant_id: str, numbers: list[int]) -> None:
        """Publish the newest version on behalf of these. Raises BusUnavailable, NotDelivered, StoreUnavailable."""
        sent = 0
        # Another process may add and publish a version while this one sends an older one: the newest must come last.
        while (head := self._store.head(tenant_id)) and head.number != sent:
            self._send(head)
            sent = head.number
        self._store.mark_published(tenant_id, numbers)

    def repair(self) -> int:
        """Publish what is not; return how many tenants that were. Raises as `publish` does."""
        waiting: dict[str, list[int]] = {}
        for tenant_id, number in self._store.unpublished():
            waiting.setdefault(tenant_id, []).append(number)
        # After the one that failed the last time: what no broker takes must not hold up the other companies.
        for tenant_id in sorted(waiting, key=lambda each: (each <= self._failed, each)):
            self._failed = tenant_id
            self.publish(tenant_id, waiting[tenant_id])
        self._failed = ""
        return len(waiting)

    def _send(self, version: Version) -> None:
        tenant_id, now_ms = version.tenant_id, self._clock.now_ms()
        entry = Input(tenant_id=tenant_id, document=TenantDocument.FromString(version.contract))
        receipts = (
            self._sender.send(TENANTS, tenant_id, version.contract, timestamp_ms=now_ms),
            self._sender.send(INPUTS, tenant_id, entry.SerializeToString(), timestamp_ms=now_ms),
        )
        for receipt in receipts:
            receipt.wait(ACKNOWLEDGED_SECONDS)
