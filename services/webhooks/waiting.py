from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol
from uuid import uuid4

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import EndpointKey, key_of


class StoreUnavailable(Exception):
    """The document store does not answer. Nothing was lost: what was not kept is still in Kafka, or comes due again."""


SAID_GONE = "the endpoint has answered 410 before"
FAILED_FOR_DAYS = "the endpoint was switched off: it had failed for days"


@dataclass(frozen=True, slots=True)
class Gone:
    """An endpoint that answered 410 under this URL, or failed for days. Another URL in its document revives it."""

    key: EndpointKey
    url: str
    at_ms: int
    reason: str = SAID_GONE


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose time has come, without what it holds: looking at many costs little."""

    name: str
    endpoint: EndpointKey
    position: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who takes deliveries, when, and until when they are its own."""

    holder: str
    """The process' name, the same after a restart."""
    now_ms: int
    until_ms: int
    mark: str = field(default_factory=lambda: uuid4().hex)
    """Of one claim: `claimed` gives what was taken under it."""


class End(Enum):
    """What comes after a try of what waited in the room."""

    REMOVED = "removed"
    PUT_OFF = "put_off"
    PUT_BEHIND = "put_behind"


@dataclass(frozen=True, slots=True)
class Settlement:
    """A delivery with its new state, and what comes after its try."""

    delivery: Delivery
    end: End


class WaitingRoom(Protocol):
    """Where deliveries wait for their next try; outlives the process. All times are platform time, milliseconds."""

    def put(self, deliveries: Collection[Delivery]) -> None:
        """Keep deliveries until `due_ms`. One that is kept already stays as it is. Raises StoreUnavailable."""

    def due(self, now_ms: int, limit: int, without: Collection[EndpointKey]) -> list[Due]:
        """Return what is due, oldest first, of one moment by position, but for some endpoints.

        Raises StoreUnavailable.
        """

    def claim(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        """Take what of these is still due, in the order of `due`; nobody else gets it before the lease's end.

        What is neither removed nor put off until then comes due again. Raises StoreUnavailable: then it may have taken
        some all the same, which `claimed` returns.
        """

    def claimed(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        """Return what of these a claim with the lease's mark has taken and nobody else has by now; it begins anew.

        In the order of `due`. Raises StoreUnavailable.
        """

    def let_go(self, lease: Lease) -> int:
        """Let come due what a holder took before and never settled, and what waits behind such; return how much.

        It is for a process that begins: what it held when it was killed would rest until the lease's end else. What was
        never tried waits behind another as a rule, and nobody may have called it: a kill falls between any two writes.
        `lease` is one as of now. Raises StoreUnavailable.
        """

    def put_off(self, delivery: Delivery) -> None:
        """Keep the new state of a delivery that was claimed. Raises StoreUnavailable."""

    def put_behind(self, delivery: Delivery) -> None:
        """Do as `put_off` for one that waits for an earlier one of its call: `call_next` calls it, tried or not.

        Raises StoreUnavailable.
        """

    def remove(self, delivery: Delivery) -> None:
        """Forget a delivery that has ended. Raises StoreUnavailable."""

    def settle(self, settlements: Collection[Settlement]) -> None:
        """Do `remove`, `put_off` and `put_behind` for several deliveries, in one write. Raises StoreUnavailable.

        When it raises, some may be done: doing all of them again changes nothing more.
        """

    def hold(self, key: EndpointKey, until_ms: int) -> None:
        """Let nothing of an endpoint come due before a moment. Raises StoreUnavailable."""

    def ahead(self, delivery: Delivery) -> Delivery | None:
        """Return the first that waits of a delivery's call and endpoint, by position, up to itself.

        Its `due_ms` is the room's. Raises StoreUnavailable.
        """

    def waiting_up_to(self, delivery: Delivery, limit: int) -> list[Delivery]:
        """Return the first `limit` that `ahead` chooses from, by position. Raises StoreUnavailable."""

    def call_next(self, delivery: Delivery, now_ms: int, limit: int = 1) -> None:
        """Let the first (or several) that wait of this call and endpoint come due, up to one that has its own time.

        What somebody has claimed stays as it is: called, it would come due beside the try that is under way, and be
        sent twice. Raises StoreUnavailable.
        """

    def of_tenant(self, tenant_id: str) -> list[Delivery]:
        """Return everything of a tenant that waits. Raises StoreUnavailable."""

    def size(self) -> int:
        """How many wait. Raises StoreUnavailable."""


class GoneEndpoints(Protocol):
    """Which endpoints are closed: they said 410, or failed for too long."""

    def mark(self, gone: Gone) -> None:
        """Remember one. Raises StoreUnavailable."""

    def forget(self, key: EndpointKey) -> None:
        """Let one take deliveries again. Raises StoreUnavailable."""

    def all(self) -> list[Gone]:
        """Return what is remembered. Raises StoreUnavailable."""


def name_of(delivery: Delivery) -> str:
    """Return what tells a delivery from all others, of all tenants."""
    return f"{endpoint_of(delivery)}/{delivery.delivery_id}"


def endpoint_of(delivery: Delivery) -> EndpointKey:
    """Return the key of a delivery's endpoint."""
    return key_of(delivery.tenant_id, delivery.endpoint_id)


def chain_of(delivery: Delivery) -> str:
    """Return what tells the deliveries that keep one order, of a call as a rule, to one endpoint from all others."""
    return f"{endpoint_of(delivery)}/{delivery.chain or delivery.call_id}"


class MemoryWaitingRoom:
    """The same contract in memory, for tests: it outlives the dispatchers that use it, not the process."""

    def __init__(self) -> None:
        self._waiting: dict[str, Delivery] = {}
        self._behind: set[str] = set()
        self._claimed: dict[str, tuple[str, int, str]] = {}
        """Who has taken a delivery, when it was due, and the mark of that claim."""

    def put(self, deliveries: Collection[Delivery]) -> None:
        """Keep deliveries."""
        for delivery in deliveries:
            self._waiting.setdefault(name_of(delivery), _copy(delivery))

    def due(self, now_ms: int, limit: int, without: Collection[EndpointKey]) -> list[Due]:
        """Return what is due."""
        found = sorted(
            (one.due_ms, one.position, name, one) for name, one in self._waiting.items() if one.due_ms <= now_ms
        )
        due = [Due(name, endpoint_of(one), one.position) for _, _, name, one in found]
        return [one for one in due if one.endpoint not in without][:limit]

    def claim(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        """Take what is still due."""
        due = [
            (one.due_ms, one.position, name_of(one), one) for each in chosen if (one := self._waiting.get(each.name))
        ]
        taken = [(_copy(one), one) for due_ms, _, _, one in sorted(due) if due_ms <= lease.now_ms]
        for copy, one in taken:
            one.due_ms = lease.until_ms
            self._claimed[name_of(one)] = lease.holder, copy.due_ms, lease.mark
        return [copy for copy, _ in taken]

    def claimed(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        """Return what a claim has taken."""
        ours = [one for one in chosen if self._claimed.get(one.name, ("", 0, ""))[2] == lease.mark]
        for one in ours:
            self._waiting[one.name].due_ms = self._claimed[one.name][1]
        return self.claim(ours, lease)

    def let_go(self, lease: Lease) -> int:
        """Let come due what was never settled."""
        freed = [
            one
            for name, one in self._waiting.items()
            if lease.now_ms < one.due_ms <= lease.until_ms
            and self._claimed.get(name, (lease.holder,))[0] == lease.holder
            and (name in self._claimed or name in self._behind or not one.attempts)
        ]
        for one in freed:
            one.due_ms = self._claimed.pop(name_of(one), ("", lease.now_ms, ""))[1]
        return len(freed)

    def put_off(self, delivery: Delivery) -> None:
        """Keep the new state."""
        self._waiting[name_of(delivery)] = _copy(delivery)
        self._behind.discard(name_of(delivery))
        self._claimed.pop(name_of(delivery), None)

    def put_behind(self, delivery: Delivery) -> None:
        """Keep the new state."""
        self._waiting[name_of(delivery)] = _copy(delivery)
        self._behind.add(name_of(delivery))
        self._claimed.pop(name_of(delivery), None)

    def remove(self, delivery: Delivery) -> None:
        """Forget it."""
        self._waiting.pop(name_of(delivery), None)
        self._claimed.pop(name_of(delivery), None)

    def settle(self, settlements: Collection[Settlement]) -> None:
        """Do what each says."""
        acts = {End.REMOVED: self.remove, End.PUT_OFF: self.put_off, End.PUT_BEHIND: self.put_behind}
        for one in settlements:
            acts[one.end](one.delivery)

    def hold(self, key: EndpointKey, until_ms: int) -> None:
        """Let nothing come due before."""
        for one in self._waiting.values():
            if endpoint_of(one) == key:
                one.due_ms = max(one.due_ms, until_ms)

    def ahead(self, delivery: Delivery) -> Delivery | None:
        """Return the first that waits of a call."""
        return next(iter(self.waiting_up_to(delivery, 1)), None)

    def waiting_up_to(self, delivery: Delivery, limit: int) -> list[Delivery]:
        """Return the first of a call."""
        found = [one for one in self._chain(delivery) if one.position <= delivery.position]
        return [_copy(one) for one in found[:limit]]

    def call_next(self, delivery: Delivery, now_ms: int, limit: int = 1) -> None:
        """Let the first of a call come due."""
        for one in self._chain(delivery)[:limit]:
            if one.attempts and name_of(one) not in self._behind:
                return
            if name_of(one) not in self._claimed:
                one.due_ms = min(one.due_ms, now_ms)

    def of_tenant(self, tenant_id: str) -> list[Delivery]:
        """Return everything of a tenant."""
        return [_copy(one) for one in self._waiting.values() if one.tenant_id == tenant_id]

    def _chain(self, delivery: Delivery) -> list[Delivery]:
        found = [one for one in self._waiting.values() if chain_of(one) == chain_of(delivery)]
        return sorted(found, key=lambda one: one.position)

    def size(self) -> int:
        """How many wait."""
        return len(self._waiting)


def _copy(delivery: Delivery) -> Delivery:
    copy = Delivery()
    copy.CopyFrom(delivery)
    return copy


class MemoryGoneEndpoints:
    """The same contract in memory, for tests."""

    def __init__(self) -> None:
        self._gone: dict[EndpointKey, Gone] = {}

    def mark(self, gone: Gone) -> None:
        """Remember one."""
        self._gone[gone.key] = gone

    def forget(self, key: EndpointKey) -> None:
        """Let one take deliveries again."""
        self._gone.pop(key, None)

    def all(self) -> list[Gone]:
        """Return what is remembered."""
        return list(self._gone.values())
