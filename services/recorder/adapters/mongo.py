"""The documents of stored recordings, through pymongo. A document exists exactly when its object was verified."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
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
from services.recorder.domain.naming import CallNote
from services.recorder.errors import DocumentsFailed, Hostile, RecorderError
from services.shared.chassis.documents import DUPLICATE_KEY, open_database, refused_writes, sentence_of

COLLECTION = "recordings"
TRANSCRIPTS = "transcripts"
MOST_SAID = 2_000
STARTED_APART_US = 3_600 * 1_000_000
"""A transcript's moment is the recording's start, or where that was lost its storing."""
LIST_LIMIT = 200
_WITHOUT_PICTURE = {"waveform": 0}
_STAYS = {"$in": [0, None]}
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
    copying_us: int = 0
    """When the copy was begun that is being made; 0 = none is."""


_FIELDS = tuple(field.name for field in fields(RecordingDocument))
Written = tuple[RecordingDocument, Waveform | None]
FIRST_TRYS = ("stored_us", "legal_hold", "deleted_us", "delete_reason", "copies", "copying_us")
"""A later try of the same recording changes none of these."""


class RecordingDocuments:
    """The collection `recordings`. Every method raises DocumentsFailed when the database is away or refuses."""

    def __init__(self, uri: str) -> None:
        self.database: Database[dict[str, Any]] = open_database(uri, "recorder")
        self._has_index = False
        # A node stores several recordings at once: a question and a write for each are a third of what storing costs.
        self._find = Gathered(self._find_all)
        self._write = Gathered(self._write_all)

    def find(self, recording_id: str) -> RecordingDocument | None:
        """Return a recording's document."""
        return self._find.ask(recording_id)

    def find_for(self, tenant_id: str, recording_id: str) -> RecordingDocument | None:
        """Return a recording of this tenant; another tenant's does not exist."""
        with _as_documents_failed():
            place = {"_id": recording_id, "tenant_id": tenant_id}
            found = document_of(self._recordings().find_one(place, _WITHOUT_PICTURE))
        return None if found is None or found.deleted_us else found

    def search(self, tenant_id: str, search: Search) -> list[RecordingDocument]:
        """Return this tenant's recordings that are looked for, newest first.

        Of those that are found by what was said, the newest MOST_SAID count; who wants older ones gives a moment.
        """
        with _as_documents_failed():
            query = search.query(tenant_id)
            if search.needs_transcript:
                query["_id"] = {"$in": self._written_down(tenant_id, search)}
            rows = self._recordings().find(query, _WITHOUT_PICTURE)
            rows = rows.sort(NEWEST_FIRST).limit(search.limit)
            return [document for document in map(document_of, rows) if document is not None]

    def _written_down(self, tenant_id: str, search: Search) -> list[str]:
        """Return the recordings whose transcripts fit."""
        query = search.transcript_query(tenant_id)
        latest = min(filter(None, (search.until_us, search.before and search.before[0])), default=0)
        if latest:
            query["recorded_us"] = {"$lte": latest + STARTED_APART_US}
        rows = self.database[TRANSCRIPTS].find(query, {"_id": 1}).sort([("recorded_us", -1)]).limit(MOST_SAID)
        return [row["_id"] for row in rows]

    def companies(self) -> list[str]:
        """Return the companies that have recordings, by name."""
        with _as_documents_failed():
            return sorted(self._recordings().distinct("tenant_id"))

    def hold(self, tenant_id: str, recording_id: str, *, held: bool) -> bool:
        """Put a recording under a legal hold or end that; False where there is no such recording."""
        place = {"_id": recording_id, "tenant_id": tenant_id, "deleted_us": _STAYS}
        with _as_documents_failed():
            return self._recordings().update_one(place, {"$set": {"legal_hold": held}}).matched_count == 1

    def transcript(self, tenant_id: str, recording_id: str) -> dict[str, Any] | None:
        """Return what was said, as it is kept."""
        with _as_documents_failed():
            return self.database[TRANSCRIPTS].find_one({"_id": recording_id, "tenant_id": tenant_id})

    def of_call(self, tenant_id: str, call_id: str) -> list[RecordingDocument]:
        """Return this tenant's recordings of a call, oldest first, at most LIST_LIMIT."""
        with _as_documents_failed():
            wanted = {"tenant_id": tenant_id, "call_id": call_id, "deleted_us": _STAYS}
            rows = self._recordings().find(wanted, _WITHOUT_PICTURE).limit(LIST_LIMIT)
            found = [document for document in map(document_of, rows) if document is not None]
        return sorted(found, key=lambda document: (document.recorded_us, document.recording_id))

    def write(self, document: RecordingDocument, waveform: Waveform | None = None) -> RecordingDocument:
        """Write a document with its picture and return it as it is kept.

        The moment of storing is the first try's, and a recording that was deleted meanwhile stays so: nothing is
        written. Raises Hostile when the id belongs to a recording of another call.
        """
        return self._write.ask((document, waveform))

    def note_call(self, location: Location, note: CallNote) -> None:
        """Keep whose call a recording is, where it was stored before that was known."""
        place = {"_id": location.recording_id, "tenant_id": location.tenant_id, "call_id": location.call_id}
        unknown = dict.fromkeys(asdict(note), "")
        with _as_documents_failed():
            self._recordings().update_one({**place, **unknown, "deleted_us": _STAYS}, {"$set": asdict(note)})

    def begin_removal(self, document: RecordingDocument, reason: str, at_us: int) -> RecordingDocument | None:
        """Mark a recording as one that goes; the first mark stays. None while a legal hold keeps it.

        What was said goes with the mark: a drive that keeps the removal open for days keeps no transcript readable.
        """
        with _as_documents_failed():
            self._recordings().update_one(
                {"_id": document.recording_id, "legal_hold": {"$ne": True}, "deleted_us": _STAYS},
                {"$set": {"deleted_us": at_us, "delete_reason": reason, "removal_open": True}},
            )
            gone = {"_id": document.recording_id, "deleted_us": {"$gt": 0}}
            row = self._recordings().find_one(gone, _WITHOUT_PICTURE)
            if row is not None:
                self.database[TRANSCRIPTS].delete_many({"_id": document.recording_id})
        return document_of(row)

    def strip(self, document: RecordingDocument) -> None:
        """Delete what tells who is heard, and what was said; that a recording was here and went stays."""
        with _as_documents_failed():
            self.database[TRANSCRIPTS].delete_many({"_id": document.recording_id})
            self._recordings().update_one(
                {"_id": document.recording_id},
                {"$set": {"caller": "", "key": ""}, "$unset": {"waveform": "", "removal_open": ""}},
            )

    def waveform(self, recording_id: str) -> Waveform | None:
        """Return a recording's picture."""
        with _as_documents_failed():
            row = self._recordings().find_one({"_id": recording_id}, {"waveform": 1})
        drawn = (row or {}).get("waveform")
        return None if drawn is None else Waveform(drawn["column_ms"], drawn["channels"], bytes(drawn["peaks"]))

    def _find_all(self, ids: list[str]) -> list[RecordingDocument | RecorderError | None]:
        with _as_documents_failed():
            rows = {row["_id"]: row for row in self._recordings().find({"_id": {"$in": ids}}, _WITHOUT_PICTURE)}
        return [document_of(rows.get(recording_id)) for recording_id in ids]

    def _write_all(self, written: list[Written]) -> list[RecordingDocument | RecorderError]:
        """Insert all: nearly every recording is new, and an upsert is twice an insert's work for the store."""
        refused = self._insert_all(written)
        again = [written[at] for at, code in refused.items() if code == DUPLICATE_KEY]
        known = self._update_all(again) if again else {}
        found: list[RecordingDocument | RecorderError] = []
        for at, (document, _) in enumerate(written):
            if at not in refused:
                found.append(document)
            elif refused[at] != DUPLICATE_KEY:
                found.append(DocumentsFailed(f"the document store refused a write with code {refused[at]}"))
            else:
                found.append(_kept(document, known.get(document.recording_id)))
        return found

    def _insert_all(self, written: list[Written]) -> dict[int, int | None]:
        """Return which were refused, and with what code."""
        with _as_documents_failed():
            try:
                self._recordings().insert_many([_row(*each) for each in written], ordered=False)
            except BulkWriteError as error:
                return refused_writes(error)
        return {}

    def _update_all(self, written: list[Written]) -> dict[str, RecordingDocument]:
        """Write what a later try may change, where the recording is of the same call; return them as they are kept."""
        with _as_documents_failed():
            self._recordings().bulk_write([_change(*each) for each in written], ordered=False)
        found = self._find_all([document.recording_id for document, _ in written])
        return {each.recording_id: each for each in found if isinstance(each, RecordingDocument)}

    def _recordings(self) -> "Collection[dict[str, Any]]":
        recordings = self.database[COLLECTION]
        if not self._has_index:
            for names in (["call_id"], ["recorded_us", "_id"], ["caller", "recorded_us"]):
                recordings.create_index([("tenant_id", ASCENDING), *((name, ASCENDING) for name in names)])
            # What is looked for again and again and is nearly always nothing: no recording pays for it.
            recordings.create_index("removal_open", partialFilterExpression={"removal_open": True})
            recordings.create_index("copies_left", partialFilterExpression={"copies_left": {"$gt": ""}})
            self._has_index = True
        return recordings


def _row(document: RecordingDocument, waveform: Waveform | None) -> dict[str, Any]:
    """Return a new recording's row."""
    moments = {"recorded_at": _moment(document.recorded_us), "stored_at": _moment(document.stored_us)}
    row = _fields_of(document) | _drawn(waveform) | moments
    return {"_id": document.recording_id, **row, "copies_left": list(document.copies)}


def _change(document: RecordingDocument, waveform: Waveform | None) -> UpdateOne:
    """Return what a later try changes."""
    place = {"_id": document.recording_id, "tenant_id": document.tenant_id, "call_id": document.call_id}
    changed = {name: value for name, value in _fields_of(document).items() if name not in FIRST_TRYS}
    changed["recorded_at"] = _moment(document.recorded_us)
    return UpdateOne({**place, "deleted_us": _STAYS}, {"$set": changed | _drawn(waveform)})


def _fields_of(document: RecordingDocument) -> dict[str, Any]:
    return {name: getattr(document, name) for name in _FIELDS}


def _drawn(waveform: Waveform | None) -> dict[str, Any]:
    if waveform is None:
        return {}
    return {"waveform": {"column_ms": waveform.column_ms, "channels": waveform.channels, "peaks": waveform.peaks}}


def _kept(document: RecordingDocument, known: RecordingDocument | None) -> RecordingDocument | RecorderError:
    if known is None:
        return DocumentsFailed("what was written can't be found")
    if (known.tenant_id, known.call_id) != (document.tenant_id, document.call_id):
        return Hostile("the recording's id belongs to another call")
    return known


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def document_of(row: dict[str, Any] | None) -> RecordingDocument | None:
    """Return a row as a document."""
    if row is None:
        return None
    known = {name: row[name] for name in _FIELDS if name in row}
    return RecordingDocument(**{**known, "copies": tuple(known.get("copies", ()))})


@contextmanager
def _as_documents_failed() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise DocumentsFailed(sentence_of(error)) from error
