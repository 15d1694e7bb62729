"""The documents of stored recordings, through pymongo. A document exists exactly when its object was verified."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError

from services.recorder.adapters.gathering import Gathered
from services.recorder.adapters.measure import Waveform
from services.recorder.domain.finding import Search
from services.recorder.domain.location import Location
from services.recorder.errors import DocumentsFailed, Hostile, RecorderError
from services.shared.chassis.documents import open_database, sentence_of

COLLECTION = "recordings"
WAVEFORMS = "recording_waveforms"
BELONGINGS = (WAVEFORMS, "transcripts")
"""Collections whose documents carry a recording's id and go with it."""
LIST_LIMIT = 200
_DUPLICATE_KEY = 11000
NEWEST_FIRST = [("recorded_us", DESCENDING), ("_id", DESCENDING)]


@dataclass(frozen=True, slots=True)
class RecordingDocument:
    """One stored recording. Times are platform time, microseconds since 1970 UTC."""

    recording_id: str
    tenant_id: str
    call_id: str
    node: str
    bucket: str
    key: str
    size_bytes: int
    sha256: str
    duration_ms: int
    channels: int
    sample_rate: int
    media_type: str
    silent: bool
    repaired: bool
    recorded_us: int
    stored_us: int
    queue_id: str = ""
    agent_id: str = ""
    caller: str = ""
    """The customer's number, E.164; empty when withheld, unknown or erased."""
    line: str = ""
    source_sha256: str = ""
    """Of the sound file before it was encoded; equal to sha256 where it is kept as it was written."""
    source_bytes: int = 0
    encryption: str = ""
    """What the store said of its encryption: AES256, aws:kms, or nothing."""
    legal_hold: bool = False
    """Nothing deletes it while this holds."""
    deleted_us: int = 0
    """When the sound was deleted; the document stays, so that a late file is not stored anew."""
    delete_reason: str = ""
    copies: tuple[str, ...] = ()
    """The remotes that have, or shall have, a copy."""


FIRST_TRYS = ("stored_us", "legal_hold", "deleted_us", "delete_reason", "copies")
"""A later try of the same recording changes none of these."""


class RecordingDocuments:
    """The collection `recordings`. Every method raises DocumentsFailed when the database is away or refuses."""

    def __init__(self, uri: str) -> None:
        self.database: Database[dict[str, Any]] = open_database(uri, "recorder")
        self._has_index = False
        # A node stores several recordings at once: a question and two writes each are a third of what storing costs.
        self._find = Gathered(self._find_all)
        self._write = Gathered(self._write_all)
        self._draw = Gathered(self._draw_all)

    def find(self, recording_id: str) -> RecordingDocument | None:
        """Return a recording's document."""
        return self._find.ask(recording_id)

    def find_for(self, tenant_id: str, recording_id: str) -> RecordingDocument | None:
        """Return a recording of this tenant; another tenant's does not exist."""
        with _as_documents_failed():
            found = document_of(self._recordings().find_one({"_id": recording_id, "tenant_id": tenant_id}))
        return None if found is None or found.deleted_us else found

    def search(self, tenant_id: str, search: Search) -> list[RecordingDocument]:
        """Return this tenant's recordings that are looked for, newest first."""
        with _as_documents_failed():
            rows = self._recordings().find(search.query(tenant_id)).sort(NEWEST_FIRST).limit(search.limit)
            return [document for document in map(document_of, rows) if document is not None]

    def companies(self) -> list[str]:
        """Return the companies that have recordings, by name."""
        with _as_documents_failed():
            return sorted(self._recordings().distinct("tenant_id"))

    def hold(self, tenant_id: str, recording_id: str, *, held: bool) -> bool:
        """Put a recording under a legal hold or end that; False where there is no such recording."""
        place = {"_id": recording_id, "tenant_id": tenant_id, "deleted_us": {"$in": [0, None]}}
        with _as_documents_failed():
            return self._recordings().update_one(place, {"$set": {"legal_hold": held}}).matched_count == 1

    def transcript(self, tenant_id: str, recording_id: str) -> dict[str, Any] | None:
        """Return what was said, as it is kept."""
        with _as_documents_failed():
            return self.database["transcripts"].find_one({"_id": recording_id, "tenant_id": tenant_id})

    def of_call(self, tenant_id: str, call_id: str) -> list[RecordingDocument]:
        """Return this tenant's recordings of a call, oldest first, at most LIST_LIMIT."""
        with _as_documents_failed():
            wanted = {"tenant_id": tenant_id, "call_id": call_id, "deleted_us": {"$in": [0, None]}}
            rows = self._recordings().find(wanted).limit(LIST_LIMIT)
            found = [document for document in map(document_of, rows) if document is not None]
        return sorted(found, key=lambda document: (document.recorded_us, document.recording_id))

    def write(self, document: RecordingDocument) -> RecordingDocument:
        """Write a document and return it as it is kept: the moment of storing is the first try's.

        Raises Hostile when the id belongs to a recording of another call.
        """
        return self._write.ask(document)

    def draw(self, location: Location, waveform: Waveform) -> None:
        """Keep a recording's picture."""
        self._draw.ask((location, waveform))

    def begin_removal(self, document: RecordingDocument, reason: str, at_us: int) -> RecordingDocument | None:
        """Mark a recording as one that goes; the first mark stays. None while a legal hold keeps it."""
        with _as_documents_failed():
            self._recordings().update_one(
                {"_id": document.recording_id, "legal_hold": {"$ne": True}, "deleted_us": {"$in": [0, None]}},
                {"$set": {"deleted_us": at_us, "delete_reason": reason, "removal_open": True}},
            )
            row = self._recordings().find_one({"_id": document.recording_id, "deleted_us": {"$gt": 0}})
        return document_of(row)

    def strip(self, document: RecordingDocument) -> None:
        """Delete what tells who is heard, and what was said; that a recording was here and went stays."""
        with _as_documents_failed():
            for collection in BELONGINGS:
                self.database[collection].delete_many({"_id": document.recording_id})
            self._recordings().update_one(
                {"_id": document.recording_id},
                {"$set": {"caller": "", "key": ""}, "$unset": {"removal_open": ""}},
            )

    def waveform(self, recording_id: str) -> Waveform | None:
        """Return a recording's picture."""
        with _as_documents_failed():
            row = self.database[WAVEFORMS].find_one({"_id": recording_id})
        return None if row is None else Waveform(row["column_ms"], row["channels"], bytes(row["peaks"]))

    def _find_all(self, ids: list[str]) -> list[RecordingDocument | RecorderError | None]:
        with _as_documents_failed():
            rows = {row["_id"]: row for row in self._recordings().find({"_id": {"$in": ids}})}
        return [document_of(rows.get(recording_id)) for recording_id in ids]

    def _draw_all(self, drawn: list[tuple[Location, Waveform]]) -> list[RecorderError | None]:
        with _as_documents_failed():
            self.database[WAVEFORMS].bulk_write([_drawing(*each) for each in drawn], ordered=False)
        return [None] * len(drawn)

    def _write_all(self, documents: list[RecordingDocument]) -> list[RecordingDocument | RecorderError]:
        with _as_documents_failed():
            try:
                told = self._recordings().bulk_write([_writing(each) for each in documents], ordered=False)
                made, failed = set(told.upserted_ids or ()), {}
            except BulkWriteError as error:
                made = {each["index"] for each in error.details.get("upserted", ())}
                failed = {each["index"]: each.get("code") for each in error.details.get("writeErrors", ())}
                if not failed:
                    raise  # it was written, but not as safely as was asked for
        former = [each.recording_id for at, each in enumerate(documents) if at not in made and at not in failed]
        found_again = self._find_all(former) if former else []
        kept = {each.recording_id: each for each in found_again if isinstance(each, RecordingDocument)}
        found: list[RecordingDocument | RecorderError] = []
        for at, document in enumerate(documents):
            if at in failed:
                found.append(_not_written(failed[at]))
            elif at in made:
                found.append(document)
            else:
                found.append(kept.get(document.recording_id) or DocumentsFailed("what was written can't be found"))
        return found

    def _recordings(self) -> "Collection[dict[str, Any]]":
        recordings = self.database[COLLECTION]
        if not self._has_index:
            for fields in (["call_id"], ["recorded_us", "_id"], ["caller", "recorded_us"]):
                recordings.create_index([("tenant_id", ASCENDING), *((name, ASCENDING) for name in fields)])
            self._has_index = True
        return recordings


def _writing(document: RecordingDocument) -> UpdateOne:
    fields = asdict(document)
    fields["recorded_at"] = _moment(document.recorded_us)
    first = {name: fields.pop(name) for name in FIRST_TRYS} | {"stored_at": _moment(document.stored_us)}
    first["copies_left"] = list(document.copies)
    place = {"_id": document.recording_id, "tenant_id": document.tenant_id, "call_id": document.call_id}
    for key in ("tenant_id", "call_id"):
        del fields[key]  # the upsert takes them from the filter
    return UpdateOne(place, {"$set": fields, "$setOnInsert": first}, upsert=True)


def _drawing(location: Location, waveform: Waveform) -> UpdateOne:
    fields = {
        "tenant_id": location.tenant_id,
        "column_ms": waveform.column_ms,
        "channels": waveform.channels,
        "peaks": waveform.peaks,
    }
    return UpdateOne({"_id": location.recording_id}, {"$set": fields}, upsert=True)


def _not_written(code: int | None) -> RecorderError:
    if code == _DUPLICATE_KEY:
        return Hostile("the recording's id belongs to another call")
    return DocumentsFailed(f"the document store refused a write with code {code}")


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def document_of(row: dict[str, Any] | None) -> RecordingDocument | None:
    """Return a row as a document."""
    if row is None:
        return None
    known = {name: row[name] for name in RecordingDocument.__dataclass_fields__ if name in row}
    return RecordingDocument(**{**known, "copies": tuple(known.get("copies", ()))})


@contextmanager
def _as_documents_failed() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise DocumentsFailed(sentence_of(error)) from error
