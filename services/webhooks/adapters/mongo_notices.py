from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import ASCENDING

from services.webhooks.adapters.mongo import Document, guarded
from services.webhooks.notices import Notice, NoticeKind

KEPT_SECONDS: Final = 86_400
"""A trouble of yesterday is no news: what a process has left that never came back under its name."""


class MongoNotices:
    """`webhook_notices`: one document a notice that waits for its moment in one process, `holder`."""

    def __init__(self, database: Any, holder: str) -> None:
        self._notices = database["webhook_notices"]
        self._holder = holder

    @guarded
    def prepare(self) -> None:
        """Make the indexes."""
        self._notices.create_index([("written_at", ASCENDING)], name="forget", expireAfterSeconds=KEPT_SECONDS)
        self._notices.create_index([("holder", ASCENDING), ("at_ms", ASCENDING)], name="holder_at")

    @guarded
    def put(self, notice: Notice) -> None:
        """Keep one."""
        kept = asdict(notice) | {"kind": notice.kind.value, "holder": self._holder, "written_at": datetime.now(UTC)}
        self._notices.update_one({"_id": _name_of(notice)}, {"$set": kept}, upsert=True)

    @guarded
    def remove(self, notice: Notice) -> None:
        """Forget one."""
        self._notices.delete_one({"_id": _name_of(notice)})

    @guarded
    def all(self) -> list[Notice]:
        """Return what is kept, oldest first."""
        return [_notice(one) for one in self._notices.find({"holder": self._holder}).sort("at_ms", ASCENDING)]


def _name_of(notice: Notice) -> str:
    return f"{notice.tenant_id}/{notice.event_id}"


def _notice(kept: Document) -> Notice:
    kind = NoticeKind(kept["kind"])
    moments = int(kept["since_ms"]), int(kept["at_ms"])
    return Notice(kept["tenant_id"], kept["endpoint_id"], kind, *moments, str(kept.get("why", "")))
