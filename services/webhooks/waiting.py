from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import EndpointKey, key_of


class StoreUnavailable(Exception):
    """The document store does not answer. Nothing was lost: what was not kept is still in Kafka, or comes due again."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An endpoint that answered 410 under this URL. Another URL in the tenant's document revives it."""

    key: EndpointKey
    url: str
    at_ms: int


class WaitingRoom(Protocol):
    """Where deliveries wait for their next try; outlives the process. All times are platform time, milliseconds."""

    def put(self, deliveries: Collection[Delivery]) -> None:
        """Keep deliveries until `due_ms`. One that is kept already stays as it is. Raises StoreUnavailable."""

    def claim(self, now_ms: int, until_ms: int, limit: int, without: Collection[EndpointKey]) -> list[Delivery]:
        """Take what is due, oldest first, but for some endpoints; nobody else gets it before `until_ms`.

        What is neither removed nor put off until then comes due again. Raises StoreUnavailable.
        """

    def put_off(self, delivery: Delivery) -> None:
        """Keep the new state of a delivery that was claimed. Raises StoreUnavailable."""

    def remove(self, delivery: Delivery) -> None:
        """Forget a delivery that has ended. Raises StoreUnavailable."""

    def size(self) -> int:
        """How many wait. Raises StoreUnavailable."""


class GoneEndpoints(Protocol):
    """Which endpoints said 410."""

    def mark(self, gone: Gone) -> None:
        """Remember one. Raises StoreUnavailable."""

    def all(self) -> list[Gone]:
        """Return what is remembered. Raises StoreUnavailable."""


def name_of(delivery: Delivery) -> str:
    """Return what tells a delivery from all others, of all tenants."""
    return f"{endpoint_of(delivery)}/{delivery.delivery_id}"


def endpoint_of(delivery: Delivery) -> EndpointKey:
    """Return the key of a delivery's endpoint."""
    return key_of(delivery.tenant_id, delivery.endpoint_id)


class MemoryWaitingRoom:
    """The same contract in memory, for tests: it outlives the dispatchers that use it, not the process."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[int, bytes]] = {}

    def put(self, deliveries: Collection[Delivery]) -> None:
        """Keep deliveries."""
        for delivery in deliveries:
            self._waiting.setdefault(name_of(delivery), (delivery.due_ms, delivery.SerializeToString()))

    def claim(self, now_ms: int, until_ms: int, limit: int, without: Collection[EndpointKey]) -> list[Delivery]:
        """Take what is due."""
        due = sorted((due_ms, name) for name, (due_ms, _) in self._waiting.items() if due_ms <= now_ms)
        found = [Delivery.FromString(self._waiting[name][1]) for _, name in due]
        taken = [delivery for delivery in found if endpoint_of(delivery) not in without][:limit]
        for delivery in taken:
            self._waiting[name_of(delivery)] = (until_ms, delivery.SerializeToString())
        return taken

    def put_off(self, delivery: Delivery) -> None:
        """Keep the new state."""
        self._waiting[name_of(delivery)] = (delivery.due_ms, delivery.SerializeToString())

    def remove(self, delivery: Delivery) -> None:
        """Forget it."""
        self._waiting.pop(name_of(delivery), None)

    def size(self) -> int:
        """How many wait."""
        return len(self._waiting)


class MemoryGoneEndpoints:
    """The same contract in memory, for tests."""

    def __init__(self) -> None:
        self._gone: dict[EndpointKey, Gone] = {}

    def mark(self, gone: Gone) -> None:
        """Remember one."""
        self._gone[gone.key] = gone

    def all(self) -> list[Gone]:
        """Return what is remembered."""
        return list(self._gone.values())
