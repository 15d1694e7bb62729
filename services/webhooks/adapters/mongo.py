from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import PyMongoError

from services.shared.chassis.documents import sentence_of
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.delivery_log import LogEntry
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.waiting import SAID_GONE, Gone, StoreUnavailable, chain_of, endpoint_of, name_of

Document = dict[str, Any]
# A delivery's log keeps its last tries only.
LOGGED_ATTEMPTS = 20
DAY_SECONDS = 86_400

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
        self._waiting.create_index([("due_ms", ASCENDING)], name="due")
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
    def claim(self, now_ms: int, until_ms: int, limit: int, without: Collection[EndpointKey]) -> list[Delivery]:
        """Take what is due: found by one query, each claimed by its id and the due time that was seen."""
        wanted: Document = {"due_ms": {"$lte": now_ms}}
        if without:
            wanted["endpoint"] = {"$nin": list(without)}
        found = list(self._waiting.find(wanted).sort("due_ms", ASCENDING).limit(limit))
        return [Delivery.FromString(one["delivery"]) for one in found if self._is_claimed(one, until_ms)]

    def _is_claimed(self, document: Document, until_ms: int) -> bool:
        seen = {"_id": document["_id"], "due_ms": document["due_ms"]}
        return bool(self._waiting.update_one(seen, {"$set": {"due_ms": until_ms}}).modified_count)

    @guarded
    def put_off(self, delivery: Delivery) -> None:
        """Keep the new state."""
        self._waiting.update_one({"_id": name_of(delivery)}, {"$set": _document(delivery)}, upsert=True)

    @guarded
    def remove(self, delivery: Delivery) -> None:
        """Forget it."""
        self._waiting.delete_one({"_id": name_of(delivery)})

    @guarded
    def hold(self, key: EndpointKey, until_ms: int) -> None:
        """Let nothing come due before."""
        self._waiting.update_many({"endpoint": key, "due_ms": {"$lt": until_ms}}, {"$set": {"due_ms": until_ms}})

    @guarded
    def ahead(self, delivery: Delivery) -> Delivery | None:
        """Return the first that waits of a call."""
        before = {"chain": chain_of(delivery), "position": {"$lte": delivery.position}}
        found = self._waiting.find_one(before, sort=[("position", ASCENDING)])
        if found is None:
            return None
        first = Delivery.FromString(found["delivery"])
        first.due_ms = found["due_ms"]
        return first

    @guarded
    def call_next(self, delivery: Delivery, now_ms: int) -> None:
        """Let the first of a call come due."""
        first = self._waiting.find_one({"chain": chain_of(delivery)}, sort=[("position", ASCENDING)])
        if first is not None and not first["attempts"] and first["due_ms"] > now_ms:
            seen = {"_id": first["_id"], "due_ms": first["due_ms"]}
            self._waiting.update_one(seen, {"$set": {"due_ms": now_ms}})

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


class MongoLogStore:
    """`deliveries`: one document a delivery with its last tries, for `days`, then it deletes itself."""

    def __init__(self, database: Any, days: int) -> None:
        self._deliveries = database["deliveries"]
        self._days = days

    @guarded
    def prepare(self) -> None:
        """Make the indexes."""
        self._deliveries.create_index(
            [("written_at", ASCENDING)], name="expiry", expireAfterSeconds=self._days * DAY_SECONDS
        )
        self._deliveries.create_index([("tenant_id", ASCENDING), ("updated_ms", ASCENDING)], name="tenant_time")

    @guarded
    def append(self, entries: list[LogEntry]) -> None:
        """Add tries to their deliveries' documents."""
        now = datetime.now(UTC)
        self._deliveries.bulk_write([_update(entry, now) for entry in entries], ordered=True)


def _document(delivery: Delivery) -> Document:
    return {
        "tenant_id": delivery.tenant_id,
        "endpoint": endpoint_of(delivery),
        "due_ms": delivery.due_ms,
        "attempts": delivery.attempts,
        "chain": chain_of(delivery),
        "position": delivery.position,
        "delivery": delivery.SerializeToString(),
    }


def _update(entry: LogEntry, now: datetime) -> UpdateOne:
    state = {
        "tenant_id": entry.tenant_id,
        "delivery_id": entry.delivery_id,
        "endpoint_id": entry.endpoint_id,
        "event_type": entry.event_type,
        "call_id": entry.call_id,
        "state": entry.state,
        "tries": entry.attempts,
        "error": entry.error,
        "updated_ms": entry.at_ms,
        "written_at": now,
    }
    change: Document = {"$set": state}
    if entry.attempt is not None:
        tried = {
            "number": entry.attempts,
            "at_ms": entry.at_ms,
            "status": entry.attempt.status,
            "ms": entry.attempt.milliseconds,
            "error": entry.attempt.error,
        }
        change["$push"] = {"attempts": {"$each": [tried], "$slice": -LOGGED_ATTEMPTS}}
    return UpdateOne({"_id": f"{entry.tenant_id}/{entry.delivery_id}"}, change, upsert=True)
