from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from services.webhooks.adapters.mongo import guarded

KEEP_SECONDS = 30 * 86_400


class MongoSteps:
    """`webhook_steps`: one document a delivery under way; forgotten after thirty days."""

    def __init__(self, database: Any) -> None:
        self._steps = database["webhook_steps"]

    @guarded
    def prepare(self) -> None:
        """Make the index that forgets."""
        self._steps.create_index("written_at", name="forget", expireAfterSeconds=KEEP_SECONDS)

    @guarded
    def load(self, key: str) -> dict[str, Any]:
        """Return what is known."""
        found = self._steps.find_one({"_id": key})
        return dict(found["known"]) if found else {}

    @guarded
    def save(self, key: str, known: dict[str, Any]) -> None:
        """Keep it."""
        change = {"$set": {"known": known, "written_at": datetime.now(UTC)}}
        self._steps.update_one({"_id": key}, change, upsert=True)


class MongoTokenStore:
    """`webhook_tokens`: one sealed document a connection."""

    def __init__(self, database: Any) -> None:
        self._tokens = database["webhook_tokens"]

    @guarded
    def load(self, key: str) -> bytes | None:
        """Return what is kept."""
        found = self._tokens.find_one({"_id": key})
        return bytes(found["sealed"]) if found and "sealed" in found else None

    @guarded
    def save(self, key: str, sealed: bytes) -> None:
        """Keep it, and end the claim."""
        self._tokens.update_one(
            {"_id": key}, {"$set": {"sealed": sealed}, "$unset": {"claimed_until": ""}}, upsert=True
        )

    @guarded
    def claim(self, key: str, now: float, until: float) -> bool:
        """Claim it, unless another's claim is in force: then its document is not free, and can't be made anew."""
        free = {"_id": key, "$or": [{"claimed_until": {"$exists": False}}, {"claimed_until": {"$lte": now}}]}
        try:
            self._tokens.update_one(free, {"$set": {"claimed_until": until}}, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    @guarded
    def let_go(self, key: str) -> None:
        """End a claim."""
        self._tokens.update_one({"_id": key}, {"$unset": {"claimed_until": ""}})
