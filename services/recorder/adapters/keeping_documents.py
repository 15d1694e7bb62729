"""What the housekeeper looks up and keeps, in the document store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from services.recorder.adapters.database import as_documents_failed
from services.recorder.adapters.mongo import COLLECTION, RecordingDocument, document_of

ERASURES: Final = "recording_erasures"
REPORTS: Final = "recording_reports"
LEASES: Final = "recorder_leases"
_STAYS: Final = {"$in": [0, None]}
_LIST_LIMIT: Final = 100


class KeepingDocuments:
    """Every method raises DocumentsFailed when the document store is away or refuses."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database

    def older_than(self, tenant_id: str, before_us: int) -> Iterator[RecordingDocument]:
        """Return a company's recordings made before a moment, oldest first."""
        yield from self._found({"tenant_id": tenant_id, "deleted_us": _STAYS, "recorded_us": {"$lt": before_us}})

    def open_removals(self) -> Iterator[RecordingDocument]:
        """Return recordings whose removal was begun and not ended."""
        yield from self._found({"removal_open": True})

    def of_number(self, tenant_id: str, number: str) -> Iterator[RecordingDocument]:
        """Return a company's recordings of a customer."""
        yield from self._found({"tenant_id": tenant_id, "caller": number, "deleted_us": _STAYS})

    def ask_erasure(self, erasure_id: str, tenant_id: str, number: str, actor: str, at_us: int) -> None:
        """Keep that somebody asked for a person's erasure."""
        row = {"_id": erasure_id, "tenant_id": tenant_id, "number": number, "actor": actor, "asked_us": at_us}
        with as_documents_failed():
            self._database[ERASURES].insert_one(row)

    def open_erasures(self) -> list[dict[str, Any]]:
        """Return the erasures that were asked for and not done."""
        with as_documents_failed():
            return list(self._database[ERASURES].find({"ended_us": {"$exists": False}}).sort("asked_us", ASCENDING))

    def end_erasure(self, erasure_id: str, report: dict[str, Any]) -> None:
        """Keep what became of an erasure; the number itself is forgotten."""
        with as_documents_failed():
            self._database[ERASURES].update_one({"_id": erasure_id}, {"$set": report, "$unset": {"number": ""}})

    def erasure(self, tenant_id: str, erasure_id: str) -> dict[str, Any] | None:
        """Return how far an erasure is, without the number."""
        with as_documents_failed():
            return self._database[ERASURES].find_one({"_id": erasure_id, "tenant_id": tenant_id}, {"number": 0})

    def keep_report(self, report: dict[str, Any]) -> None:
        """Keep what a pass did."""
        with as_documents_failed():
            self._database[REPORTS].insert_one(report)

    def reports(self, tenant_id: str) -> list[dict[str, Any]]:
        """Return what the last passes did, newest first."""
        with as_documents_failed():
            found = self._database[REPORTS].find({"tenant_id": tenant_id})
            return list(found.sort("started_us", DESCENDING).limit(_LIST_LIMIT))

    def copies_left(self) -> Iterator[tuple[RecordingDocument, str]]:
        """Return recordings and the remotes on which they are not yet, oldest first."""
        wanted = {"copies_left.0": {"$exists": True}, "deleted_us": _STAYS}
        with as_documents_failed():
            rows = list(self._database[COLLECTION].find(wanted).sort("recorded_us", ASCENDING).limit(_LIST_LIMIT))
        for row in rows:
            document = document_of(row)
            if document is not None:
                yield from ((document, remote) for remote in row["copies_left"])

    def copied(self, recording_id: str, remote: str) -> None:
        """Keep that a copy is there."""
        with as_documents_failed():
            self._database[COLLECTION].update_one({"_id": recording_id}, {"$pull": {"copies_left": remote}})

    def lease(self, holder: str, now_us: int, seconds: int) -> bool:
        """Take, or renew, the right to be the one that keeps house. By our clock: it only spares double work."""
        now = datetime.fromtimestamp(now_us / 1_000_000, UTC)
        mine_or_over = {"_id": "keeping", "$or": [{"holder": holder}, {"until": {"$lt": now}}]}
        change = {"$set": {"holder": holder, "until": now + timedelta(seconds=seconds)}}
        with as_documents_failed():
            try:
                self._database[LEASES].update_one(mine_or_over, change, upsert=True)
            except DuplicateKeyError:
                return False  # another holds it
        return True

    def _found(self, wanted: dict[str, Any]) -> Iterator[RecordingDocument]:
        with as_documents_failed():
            for row in self._database[COLLECTION].find(wanted).sort("recorded_us", ASCENDING):
                document = document_of(row)
                if document is not None:
                    yield document
