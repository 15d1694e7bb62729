from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from services.shared.chassis.documents import DUPLICATE_KEY, refused_writes
from services.webhooks.adapters.mongo import Document, guarded
from services.webhooks.delivery_log import LogEntry, Minute
from services.webhooks.domain.journal import Figures, Search

# A delivery's log keeps its last tries only.
LOGGED_ATTEMPTS = 20
DAY_SECONDS = 86_400
T = TypeVar("T")
# A minute keeps the names of so many of its last writes: one that is given again comes within seconds.
KEPT_WRITES = 20
# What is told of a delivery among others; its tries are told of one alone.
LISTED = (
    "delivery_id",
    "endpoint_id",
    "event_type",
    "call_id",
    "state",
    "tries",
    "error",
    "updated_ms",
    "created_ms",
    "message_id",
)
_SEARCHED = ("endpoint_id", "event_type", "state", "call_id")


class MongoLogStore:
    """`deliveries`: one document a delivery with its last tries; `webhook_minutes`: an endpoint's figures of a minute.

    Both delete themselves after `days`.
    """

    def __init__(self, database: Any, days: int) -> None:
        self._deliveries = database["deliveries"]
        self._minutes = database["webhook_minutes"]
        self._days = days

    @guarded
    def prepare(self) -> None:
        """Make the indexes."""
        for collection in (self._deliveries, self._minutes):
            collection.create_index(
                [("written_at", ASCENDING)], name="expiry", expireAfterSeconds=self._days * DAY_SECONDS
            )
        of_tenant = [("tenant_id", ASCENDING), ("updated_ms", DESCENDING)]
        self._deliveries.create_index(of_tenant, name="tenant_time")
        self._deliveries.create_index([("tenant_id", ASCENDING), ("call_id", ASCENDING)], name="tenant_call")
        of_endpoint = [("tenant_id", ASCENDING), ("endpoint_id", ASCENDING), ("updated_ms", DESCENDING)]
        self._deliveries.create_index(of_endpoint, name="endpoint_time")
        self._minutes.create_index([("tenant_id", ASCENDING), ("minute", ASCENDING)], name="tenant_minute")

    @guarded
    def append(self, entries: list[LogEntry], *, again: bool = False) -> None:
        """Add tries to their deliveries' documents; `again` where some of them may be there already."""
        now = datetime.now(UTC)
        begun = self._begin(entries, now)
        changes: list[UpdateOne] = []
        for number, entry in enumerate(entries):
            if number not in begun:
                changes += [_taken_back(entry), _update(entry, now)] if again else [_update(entry, now)]
        if changes:
            self._deliveries.bulk_write(changes, ordered=True)

    @guarded
    def count(self, figures: Mapping[Minute, Figures], write: str) -> None:
        """Add to minutes' figures what a write of this name has not added yet."""
        now = datetime.now(UTC)
        changes = [_minute(*place, each, now, write) for place, each in figures.items()]
        try:
            self._minutes.bulk_write(changes, ordered=False)
        except BulkWriteError as error:
            # The minute is there: this write was in time after all, or another process began the minute just now.
            again = [_minute(*place, figures[place], now, write, begins=False) for place in _met(error, list(figures))]
            self._minutes.bulk_write(again, ordered=False)

    def _begin(self, entries: list[LogEntry], now: datetime) -> set[int]:
        """Insert the documents of first tries; return the numbers of those that were not there yet.

        Nearly all entries are such, and a plain insert costs a store a third of an update that may insert.
        """
        firsts: dict[str, int] = {}
        for number, entry in enumerate(entries):
            if entry.attempts <= 1:
                firsts.setdefault(_name(entry), number)
        numbers = list(firsts.values())
        if not numbers:
            return set()
        try:
            self._deliveries.insert_many([_document(entries[number], now) for number in numbers], ordered=False)
        except BulkWriteError as error:
            return set(numbers).difference(_met(error, numbers))
        return set(numbers)

    @guarded
    def find(self, tenant_id: str, search: Search, limit: int, before: tuple[int, str] | None) -> list[Document]:
        """Return a tenant's deliveries, newest first, from behind `before` (moment and delivery id) on."""
        wanted: Document = {"tenant_id": tenant_id}
        wanted |= {name: value for name in _SEARCHED if (value := getattr(search, name))}
        if search.event_type.endswith(".*"):
            family = search.event_type[:-1]
            wanted["event_type"] = {"$gte": family, "$lt": family + "~"}
        times: Document = {"$gte": search.since_ms} if search.since_ms else {}
        times |= {"$lt": search.until_ms} if search.until_ms else {}
        if times:
            wanted["updated_ms"] = times
        if before is not None:
            moment, last = before
            later = {"updated_ms": moment, "delivery_id": {"$lt": last}}
            wanted = {"$and": [wanted, {"$or": [{"updated_ms": {"$lt": moment}}, later]}]}
        order = [("updated_ms", DESCENDING), ("delivery_id", DESCENDING)]
        found = self._deliveries.find(wanted, {"_id": 0, **dict.fromkeys(LISTED, 1)}).sort(order).limit(limit)
        return list(found)

    @guarded
    def one(self, tenant_id: str, delivery_id: str) -> Document | None:
        """Return one delivery with its tries."""
        found: Document | None = self._deliveries.find_one(
            {"_id": f"{tenant_id}/{delivery_id}", "tenant_id": tenant_id}, {"_id": 0, "written_at": 0}
        )
        return found

    @guarded
    def forget(self, tenant_id: str, names: Callable[[str], bool], like: str) -> int:
        """Blank what receivers answered where it names somebody; return in how many deliveries that was."""
        texts = ("error", "attempts.error", "attempts.answer")
        wanted = {"tenant_id": tenant_id, "$or": [{text: {"$regex": like}} for text in texts]}
        count = 0
        for found in self._deliveries.find(wanted, {"error": 1, "attempts": 1}):
            error, attempts = _without(found, names), [_without(one, names) for one in found.get("attempts", ())]
            news = {"error": error["error"]} | ({"attempts": attempts} if attempts else {})
            if error["error"] != found["error"] or attempts != found.get("attempts", []):
                count += self._deliveries.update_one({"_id": found["_id"]}, {"$set": news}).modified_count
        return count

    @guarded
    def states(self, tenant_id: str, delivery_ids: Sequence[str]) -> dict[str, str]:
        """Return what became of deliveries."""
        names = [f"{tenant_id}/{one}" for one in delivery_ids]
        found = self._deliveries.find({"_id": {"$in": names}}, {"_id": 0, "delivery_id": 1, "state": 1})
        return {one["delivery_id"]: one["state"] for one in found}

    @guarded
    def figures(self, tenant_id: str, since_ms: int) -> dict[tuple[str, int], Figures]:
        """Return a tenant's figures by endpoint and minute (its beginning, platform time in milliseconds)."""
        found = self._minutes.find({"tenant_id": tenant_id, "minute": {"$gte": since_ms}})
        return {(one["endpoint_id"], one["minute"]): _figures(one) for one in found}


def _without(texts: Document, names: Callable[[str], bool]) -> Document:
    return {name: "" if name in ("error", "answer") and names(value) else value for name, value in texts.items()}


def _met(error: BulkWriteError, written: Sequence[T]) -> list[T]:
    """Return which were there already; raise the error where it is of anything else."""
    refused = refused_writes(error)
    if any(code != DUPLICATE_KEY for code in refused.values()):
        raise error
    return [written[number] for number in refused]


def _minute(
    tenant_id: str, endpoint_id: str, minute: int, figures: Figures, now: datetime, write: str, *, begins: bool = True
) -> UpdateOne:
    counts = {"delivered": figures.delivered, "failed": figures.failed, "dead": figures.dead}
    counts |= {f"classes.{number}": count for number, count in figures.classes.items()}
    place = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "minute": minute, "written_at": now}
    change = {
        "$inc": {name: count for name, count in counts.items() if count or name == "failed"},
        "$set": place,
        "$push": {"writes": {"$each": [write], "$slice": -KEPT_WRITES}},
    }
    unwritten = {"_id": f"{tenant_id}/{endpoint_id}/{minute}", "writes": {"$ne": write}}
    return UpdateOne(unwritten, change, upsert=begins)


def _figures(document: Document) -> Figures:
    figures = Figures(document.get("delivered", 0), document.get("failed", 0), document.get("dead", 0))
    figures.classes.update({int(number): count for number, count in document.get("classes", {}).items()})
    return figures


def _name(entry: LogEntry) -> str:
    return f"{entry.tenant_id}/{entry.delivery_id}"


def _document(entry: LogEntry, now: datetime) -> Document:
    """Return the document of a delivery that was never written of."""
    tries = {} if entry.attempt is None else {"attempts": [_tried(entry)]}
    return {"_id": _name(entry), "created_ms": entry.at_ms} | _state(entry, now) | tries


def _update(entry: LogEntry, now: datetime) -> UpdateOne:
    change: Document = {"$set": _state(entry, now), "$setOnInsert": {"created_ms": entry.at_ms}}
    if entry.attempt is not None:
        change["$push"] = {"attempts": {"$each": [_tried(entry)], "$slice": -LOGGED_ATTEMPTS}}
    return UpdateOne({"_id": _name(entry)}, change, upsert=True)


def _taken_back(entry: LogEntry) -> UpdateOne:
    """Return the change before which a try is written anew."""
    return UpdateOne({"_id": _name(entry)}, {"$pull": {"attempts": {"number": entry.attempts, "at_ms": entry.at_ms}}})


def _state(entry: LogEntry, now: datetime) -> Document:
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
        "position": entry.position,
        "payload_bytes": entry.payload_bytes,
    }
    return state | ({"message_id": entry.message_id} if entry.message_id else {})


def _tried(entry: LogEntry) -> Document:
    attempt = entry.attempt
    assert attempt is not None  # noqa: S101 - who calls has looked
    tried = {
        "number": entry.attempts,
        "at_ms": entry.at_ms,
        "status": attempt.status,
        "ms": attempt.milliseconds,
        "error": attempt.error,
    }
    return tried | ({"answer": attempt.answer} if attempt.answer else {})
