from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import EndpointKey, key_of


class StoreUnavailable(Exception):
    """The document store does not answer. Nothing was lost: what was not kept is still in Kafka, or comes due again."""


SAID_GONE = "the endpoint has answered 410 before"


@dataclass(frozen=True, slots=True)
class Gone:
    """An endpoint that answered 410 under this URL, or failed for days. Another URL in its document revives it."""

    key: EndpointKey
    url: str
    at_ms: int
    reason: str = SAID_GONE


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

    def hold(self, key: EndpointKey, until_ms: int) -> None:
        """Let nothing of an endpoint come due before a moment. Raises StoreUnavailable."""

    def ahead(self, delivery: Delivery) -> Delivery | None:
        """Return the first that waits of a delivery's call and endpoint, by position, up to itself.

        Its `due_ms` is the room's. Raises StoreUnavailable.
        """

    def call_next(self, delivery: Delivery, now_ms: int) -> None:
        """Let the first that waits of this call and endpoint come due, if it was never tried.

        Raises StoreUnavailable.
        """

    def size(self) -> int:
        """How many wait. Raises StoreUnavailable."""


class GoneEndpoints(Protocol):
    """Which endpoints are closed: they said 410, or failed for too long."""

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


def chain_of(delivery: Delivery) -> str:
    """Return what tells the deliveries of one call to one endpoint from all others."""
    return f"{endpoint_of(delivery)}/{delivery.call_id}"


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

    def hold(self, key: EndpointKey, until_ms: int) -> None:
        """Let nothing come due before."""
        for name, (due_ms, kept) in self._waiting.items():
            if endpoint_of(Delivery.FromString(kept)) == key:
                self._waiting[name] = (max(due_ms, until_ms), kept)

    def ahead(self, delivery: Delivery) -> Delivery | None:
        """Return the first that waits of a call."""
        first = self._first_of(delivery)
        return first if first is not None and first.position <= delivery.position else None

    def call_next(self, delivery: Delivery, now_ms: int) -> None:
        """Let the first of a call come due."""
        first = self._first_of(delivery)
        if first is not None and not first.attempts:
            self._waiting[name_of(first)] = (min(first.due_ms, now_ms), first.SerializeToString())

    def _first_of(self, delivery: Delivery) -> Delivery | None:
        found = []
        for due_ms, kept in self._waiting.values():
            one = Delivery.FromString(kept)
            one.due_ms = due_ms
            if chain_of(one) == chain_of(delivery):
                found.append(one)
        return min(found, key=lambda one: one.position, default=None)

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
