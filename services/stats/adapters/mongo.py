from typing import Any

from pymongo import UpdateOne

from services.shared.chassis.documents import open_database

CALLS = "calls"


class CallLog:
    """The call log in MongoDB: a document a call, keyed by tenant and call; a repeated event changes nothing."""

    def __init__(self, uri: str) -> None:
        self._calls = open_database(uri, "stats")[CALLS]
        self._calls.create_index([("tenant_id", 1), ("started_ms", -1)])

    def write(self, updates: list[tuple[str, str, dict[str, Any]]]) -> None:
        """Set fields of calls: (tenant, call, fields)."""
        if updates:
            self._calls.bulk_write(
                [
                    UpdateOne(
                        {"_id": f"{tenant_id}/{call_id}"},
                        {"$set": {**fields, "tenant_id": tenant_id, "call_id": call_id}},
                        upsert=True,
                    )
                    for tenant_id, call_id, fields in updates
                ],
                ordered=True,
            )

    def summary(self, tenant_id: str | None) -> dict[str, Any]:
        """Return totals of a tenant, or of all."""
        own = {} if tenant_id is None else {"tenant_id": tenant_id}
        exits = self._calls.aggregate(
            [{"$match": {**own, "ended": True}}, {"$group": {"_id": "$exit", "n": {"$sum": 1}}}]
        )
        stored = self._calls.find({**own, "recordings": {"$exists": True}}, {"recordings": 1})
        return {
            "calls_in": self._calls.count_documents({**own, "started": True}),
            "calls_ended": self._calls.count_documents({**own, "ended": True}),
            "answered": self._calls.count_documents({**own, "answered": True}),
            "by_exit": {row["_id"]: row["n"] for row in exits},
            "recordings_stored": sum(len(call["recordings"]) for call in stored),
        }

    def newest(self, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest calls of a tenant, or of all."""
        own = {} if tenant_id is None else {"tenant_id": tenant_id}
        return list(self._calls.find(own, {"_id": 0}).sort("started_ms", -1).limit(limit))
