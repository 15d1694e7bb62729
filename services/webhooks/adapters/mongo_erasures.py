from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, ReturnDocument

from services.webhooks.adapters.mongo import Document, guarded

KEPT_DAYS = 100
"""Longer than any topic keeps what may be sent once more."""


class MongoErasureRows:
    """`webhook_erasures`: one document a person who was erased, the numbers sealed; deletes itself after KEPT_DAYS."""

    def __init__(self, database: Any) -> None:
        self._rows = database["webhook_erasures"]

    @guarded
    def prepare(self) -> None:
        """Make the index."""
        self._rows.create_index([("written_at", ASCENDING)], name="expiry", expireAfterSeconds=KEPT_DAYS * 86_400)

    @guarded
    def add(self, row: Document) -> Document:
        """Keep who is erased."""
        first = {**row, "removed": {}, "written_at": datetime.now(UTC)}
        kept: Document = self._rows.find_one_and_update(
            {"_id": row["_id"]}, {"$setOnInsert": first}, upsert=True, return_document=ReturnDocument.AFTER
        )
        return kept

    @guarded
    def counted(self, row: Document, removed: dict[str, int]) -> None:
        """Keep how much was found."""
        self._rows.update_one({"_id": row["_id"]}, {"$set": {"removed": removed}})

    @guarded
    def all(self) -> list[Document]:
        """Return everybody."""
        return list(self._rows.find())
