from dataclasses import asdict
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument

from services.webhooks.adapters.mongo import Document, guarded
from services.webhooks.replays import OPEN, Replay


class MongoReplays:
    """`webhook_replays`: one document a replay; `lease_ms` is the lease of whoever runs it."""

    def __init__(self, database: Any) -> None:
        self._replays = database["webhook_replays"]

    @guarded
    def prepare(self) -> None:
        """Make the indexes."""
        self._replays.create_index([("state", ASCENDING), ("lease_ms", ASCENDING)], name="open")
        self._replays.create_index([("tenant_id", ASCENDING), ("asked_ms", DESCENDING)], name="tenant_time")

    @guarded
    def add(self, replay: Replay) -> None:
        """Keep a new one; one that is there already stays as it is."""
        kept = {**_document(replay), "lease_ms": 0}
        self._replays.update_one({"_id": _name(replay)}, {"$setOnInsert": kept}, upsert=True)

    @guarded
    def take(self, now_ms: int, until_ms: int) -> Replay | None:
        """Take the oldest that nobody runs."""
        found = self._replays.find_one_and_update(
            {"state": {"$in": list(OPEN)}, "lease_ms": {"$lte": now_ms}},
            {"$set": {"lease_ms": until_ms, "state": "running"}},
            sort=[("asked_ms", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else _replay(found)

    @guarded
    def save(self, replay: Replay, until_ms: int) -> None:
        """Keep how far one is."""
        self._replays.update_one({"_id": _name(replay)}, {"$set": {**_document(replay), "lease_ms": until_ms}})

    @guarded
    def newest(self, tenant_id: str, limit: int) -> list[Replay]:
        """Return a tenant's newest."""
        found = self._replays.find({"tenant_id": tenant_id}).sort("asked_ms", DESCENDING).limit(limit)
        return [_replay(one) for one in found]


def _name(replay: Replay) -> str:
    return f"{replay.tenant_id}/{replay.replay_id}"


def _document(replay: Replay) -> Document:
    return {**asdict(replay), "event_types": list(replay.event_types)}


def _replay(document: Document) -> Replay:
    fields = {name: value for name, value in document.items() if name not in ("_id", "lease_ms")}
    return Replay(**{**fields, "event_types": tuple(document["event_types"])})
