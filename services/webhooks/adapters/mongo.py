from collections.abc import Callable, Collection
from functools import wraps
from itertools import takewhile
from typing import Any, ParamSpec, TypeVar

from pymongo import ASCENDING, DeleteOne, UpdateOne
from pymongo.errors import PyMongoError

from services.shared.chassis.documents import sentence_of
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.waiting import (
    SAID_GONE,
    Due,
    End,
    Gone,
    Lease,
    Settlement,
    StoreUnavailable,
    chain_of,
    endpoint_of,
    name_of,
)

Document = dict[str, Any]

_BY_DUE = [("due_ms", ASCENDING), ("position", ASCENDING)]

P = ParamSpec("P")
R = TypeVar("R")


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the driver's errors into ours."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PyMongoError as error:
            raise StoreUnavailable(sentence_of(error)) from error

    return call


class MongoWaitingRoom:
    """`webhook_retries`: one document a waiting delivery, `due_ms` moved forward while somebody tries it."""

    def __init__(self, database: Any) -> None:
        self._waiting = database["webhook_retries"]

    @guarded
    def prepare(self) -> None:
        """Make the index."""
        self._waiting.create_index(_BY_DUE, name="due_position")
        self._waiting.create_index([("endpoint", ASCENDING), ("due_ms", ASCENDING)], name="endpoint_due")
        self._waiting.create_index([("chain", ASCENDING), ("position", ASCENDING)], name="chain")

    @guarded
    def put(self, deliveries: Collection[Delivery]) -> None:
        """Keep deliveries; what is there already stays."""
        if deliveries:
            puts = [
                UpdateOne({"_id": name_of(one)}, {"$setOnInsert": _document(one)}, upsert=True) for one in deliveries
            ]
            self._waiting.bulk_write(puts, ordered=False)

    @guarded
    def due(self, now_ms: int, limit: int, without: Collection[EndpointKey]) -> list[Due]:
        """Return what is due."""
        wanted: Document = {"due_ms": {"$lte": now_ms}}
        if without:
            wanted["endpoint"] = {"$nin": list(without)}
        found = self._waiting.find(wanted, {"endpoint": 1, "position": 1}).sort(_BY_DUE).limit(limit)
        return [Due(one["_id"], EndpointKey(one["endpoint"]), int(one["position"])) for one in found]

    @guarded
    def claim(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        """Take what is still due: all in one write, which leaves on each the mark of who took it and when it was due.

        One at a time a hundred took a tenth of a second, in which nobody else's retry began.
        """
        of_these = {"_id": {"$in": [one.name for one in chosen]}}
        still_due = of_these | {"due_ms": {"$lte": lease.now_ms}}
        taken = {"claim": lease.mark, "holder": lease.holder, "claimed_ms": "$due_ms", "due_ms": lease.until_ms}
        if not self._waiting.update_many(still_due, [{"$set": taken}]).modified_count:
            return []
        return self._under_mark(of_these, lease)

    @guarded
    def claimed(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        """Return what a claim has taken: whoever has taken some of it since has left another mark."""
        of_these = {"_id": {"$in": [one.name for one in chosen]}}
        self._waiting.update_many(of_these | {"claim": lease.mark}, {"$set": {"due_ms": lease.until_ms}})
        return self._under_mark(of_these, lease)

    def _under_mark(self, of_these: Document, lease: Lease) -> list[Delivery]:
        wanted = {"delivery": 1, "claimed_ms": 1, "position": 1}
        found = self._waiting.find(of_these | {"claim": lease.mark}, wanted)
        in_order = sorted(found, key=lambda one: (int(one["claimed_ms"]), int(one["position"])))
        return [Delivery.FromString(one["delivery"]) for one in in_order]

    @guarded
    def let_go(self, lease: Lease) -> int:
        """Let come due what was never settled: a look at what is due within a lease, and one write."""
        nobodys = [{"behind": True, "claim": ""}, {"attempts": 0, "claim": ""}]
        own: Document = {"$or": [{"holder": lease.holder}, *nobodys]}
        within = {"due_ms": {"$gt": lease.now_ms, "$lte": lease.until_ms}}
        was_due = {"$cond": [{"$ne": ["$claim", ""]}, "$claimed_ms", lease.now_ms]}
        freed = [{"$set": {"due_ms": was_due, "claim": "", "holder": ""}}]
        return int(self._waiting.update_many(within | own, freed).modified_count)

    @guarded
    def put_off(self, delivery: Delivery) -> None:
        """Keep the new state."""
        self._waiting.update_one({"_id": name_of(delivery)}, {"$set": _document(delivery)}, upsert=True)

    @guarded
    def put_behind(self, delivery: Delivery) -> None:
        """Keep the new state."""
        kept = _document(delivery) | {"behind": True}
        self._waiting.update_one({"_id": name_of(delivery)}, {"$set": kept}, upsert=True)

    @guarded
    def remove(self, delivery: Delivery) -> None:
        """Forget it."""
        self._waiting.delete_one({"_id": name_of(delivery)})

    @guarded
    def settle(self, settlements: Collection[Settlement]) -> None:
        """Do what each says: one write for all."""
        if settlements:
            self._waiting.bulk_write([_written(one) for one in settlements], ordered=False)

    @guarded
    def hold(self, key: EndpointKey, until_ms: int) -> None:
        """Let nothing come due before."""
        self._waiting.update_many({"endpoint": key, "due_ms": {"$lt": until_ms}}, {"$set": {"due_ms": until_ms}})

    @guarded
    def ahead(self, delivery: Delivery) -> Delivery | None:
        """Return the first that waits of a call."""
        found = self._up_to(delivery, 1)
        return found[0] if found else None

    @guarded
    def waiting_up_to(self, delivery: Delivery, limit: int) -> list[Delivery]:
        """Return the first of a call."""
        return self._up_to(delivery, limit)

    def _up_to(self, delivery: Delivery, limit: int) -> list[Delivery]:
        before = {"chain": chain_of(delivery), "position": {"$lte": delivery.position}}
        waiting = []
        for found in self._waiting.find(before).sort("position", ASCENDING).limit(limit):
            waiting.append(Delivery.FromString(found["delivery"]))
            waiting[-1].due_ms = found["due_ms"]
        return waiting

    @guarded
    def call_next(self, delivery: Delivery, now_ms: int, limit: int = 1) -> None:
        """Let the first of a call come due."""
        chain = self._waiting.find({"chain": chain_of(delivery)}, {"delivery": 0})
        first = takewhile(_has_no_time_of_its_own, chain.sort("position", ASCENDING).limit(limit))
        calls = [
            UpdateOne({"_id": one["_id"], "due_ms": one["due_ms"]}, {"$set": {"due_ms": now_ms}})
            for one in first
            if one["due_ms"] > now_ms and not one.get("claim")
        ]
        if calls:
            self._waiting.bulk_write(calls, ordered=False)

    @guarded
    def of_tenant(self, tenant_id: str) -> list[Delivery]:
        """Return everything of a tenant."""
        # Asked once an erasure: an index for it would cost each delivery that waits.
        return [Delivery.FromString(one["delivery"]) for one in self._waiting.find({"tenant_id": tenant_id})]

    @guarded
    def size(self) -> int:
        """How many wait, by the collection's own estimate."""
        return int(self._waiting.estimated_document_count())


class MongoGoneEndpoints:
    """`webhook_gone`: one document an endpoint that said 410."""

    def __init__(self, database: Any) -> None:
        self._gone = database["webhook_gone"]

    @guarded
    def mark(self, gone: Gone) -> None:
        """Remember one."""
        closed = {"url": gone.url, "at_ms": gone.at_ms, "reason": gone.reason}
        self._gone.update_one({"_id": gone.key}, {"$set": closed}, upsert=True)

    @guarded
    def forget(self, key: EndpointKey) -> None:
        """Let one take deliveries again."""
        self._gone.delete_one({"_id": key})

    @guarded
    def all(self) -> list[Gone]:
        """Return all."""
        return [
            Gone(EndpointKey(one["_id"]), one["url"], one["at_ms"], one.get("reason", SAID_GONE))
            for one in self._gone.find()
        ]


class MongoFailingEndpoints:
    """`webhook_failing`: one document an endpoint that fails, with the moment it began."""

    def __init__(self, database: Any) -> None:
        self._failing = database["webhook_failing"]

    @guarded
    def begin(self, key: EndpointKey, since_ms: int) -> None:
        """Remember a beginning."""
        self._failing.update_one({"_id": key}, {"$setOnInsert": {"since_ms": since_ms}}, upsert=True)

    @guarded
    def end(self, key: EndpointKey) -> None:
        """Forget it."""
        self._failing.delete_one({"_id": key})

    @guarded
    def all(self) -> dict[EndpointKey, int]:
        """Return all."""
        return {EndpointKey(one["_id"]): one["since_ms"] for one in self._failing.find()}


def _has_no_time_of_its_own(waiting: Document) -> bool:
    return not waiting["attempts"] or bool(waiting.get("behind"))


def _written(settlement: Settlement) -> "DeleteOne | UpdateOne":
    name = {"_id": name_of(settlement.delivery)}
    if settlement.end is End.REMOVED:
        return DeleteOne(name)
    kept = _document(settlement.delivery) | {"behind": settlement.end is End.PUT_BEHIND}
    return UpdateOne(name, {"$set": kept}, upsert=True)


def _document(delivery: Delivery) -> Document:
    return {
        "tenant_id": delivery.tenant_id,
        "endpoint": endpoint_of(delivery),
        "due_ms": delivery.due_ms,
        "attempts": delivery.attempts,
        "chain": chain_of(delivery),
        "position": delivery.position,
        "behind": False,
        "claim": "",
        "holder": "",
        "delivery": delivery.SerializeToString(),
    }
