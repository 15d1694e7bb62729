"""What the housekeeper looks up and keeps, in the document store."""

from collections.abc import Iterator, Sequence
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
_PAGE: Final = 200
_SEALED_US: Final = 31 * 86_400 * 1_000_000
"""So long after it was asked for at the least, an erasure that is done keeps the person's sealed numbers."""


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

    def of_person(self, tenant_id: str, numbers: Sequence[str], before_us: int) -> Iterator[RecordingDocument]:
        """Return a company's recordings of a customer that were made before a moment, and are not wholly gone."""
        of_person = {"tenant_id": tenant_id, "caller": {"$in": list(numbers)}, "recorded_us": {"$lt": before_us}}
        is_here = {"$or": [{"deleted_us": _STAYS}, {"removal_open": True}]}
        yield from self._found({**of_person, "$and": [is_here]})

    def ask_erasure(self, erasure: dict[str, Any]) -> None:
        """Keep that a person is to be erased."""
        with as_documents_failed():
            self._database[ERASURES].update_one({"_id": erasure["_id"]}, {"$setOnInsert": erasure}, upsert=True)

    def watched_erasures(self, since_us: int) -> list[dict[str, Any]]:
        """Return the erasures asked for since a moment, not answered well, or that something is held from."""
        is_done = {"told.fault": "", "told.held": 0, "asked_us": {"$lt": since_us}}
        with as_documents_failed():
            rows = self._database[ERASURES]
            rows.update_many({**is_done, "asked_us": {"$lt": since_us - _SEALED_US}}, {"$unset": {"sealed": ""}})
            return list(rows.find({"sealed": {"$exists": True}, "$nor": [is_done]}).sort("asked_us", ASCENDING))

    def note_found(self, erasure_id: str, recording_ids: Sequence[str]) -> dict[str, Any]:
        """Add to what an erasure has found, and return it."""
        with as_documents_failed():
            change = {"$addToSet": {"found": {"$each": list(recording_ids)}}}
            self._database[ERASURES].update_one({"_id": erasure_id}, change)
            return {"found": [], **(self._database[ERASURES].find_one({"_id": erasure_id}) or {})}

    def note_told(self, erasure_id: str, told: dict[str, Any]) -> None:
        """Keep what was answered to an erasure."""
        with as_documents_failed():
            self._database[ERASURES].update_one({"_id": erasure_id}, {"$set": {"told": told}})

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
        for row in self._rows({"copies_left": {"$gt": ""}, "deleted_us": _STAYS}):
            document = document_of(row)
            if document is not None:
                yield from ((document, remote) for remote in row["copies_left"])

    def begin_copy(self, recording_id: str, remote: str, at_us: int) -> bool:
        """Keep that a copy is being made; False where the recording goes, or the copy is there by now."""
        place = {"_id": recording_id, "copies_left": remote, "deleted_us": _STAYS}
        with as_documents_failed():
            return self._database[COLLECTION].update_one(place, {"$set": {"copying_us": at_us}}).matched_count == 1

    def end_copy(self, recording_id: str, remote: str, at_us: int, *, is_there: bool) -> None:
        """Keep that the copy which was begun at a moment is there, or is not."""
        recordings = self._database[COLLECTION]
        with as_documents_failed():
            if is_there:
                recordings.update_one({"_id": recording_id}, {"$pull": {"copies_left": remote}})
            recordings.update_one({"_id": recording_id, "copying_us": at_us}, {"$set": {"copying_us": 0}})

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
        yield from (document for row in self._rows(wanted) if (document := document_of(row)) is not None)

    def _rows(self, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Return rows, oldest first, page by page: what is done with one may take longer than a cursor lives."""
        later: dict[str, Any] = {}
        while True:
            with as_documents_failed():
                found = self._database[COLLECTION].find({**wanted, **later}, {"waveform": 0})
                rows = list(found.sort([("recorded_us", ASCENDING), ("_id", ASCENDING)]).limit(_PAGE))
            yield from rows
            if len(rows) < _PAGE:
                return
            at, last = rows[-1]["recorded_us"], rows[-1]["_id"]
            later = {"$or": [{"recorded_us": {"$gt": at}}, {"recorded_us": at, "_id": {"$gt": last}}]}
