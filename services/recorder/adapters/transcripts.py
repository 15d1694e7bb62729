"""Transcripts and what leads to them, in the document store: contexts of recordings, parts that are heard already."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from services.recorder.adapters.database import as_documents_failed
from services.recorder.domain.finding import feeling_query
from services.recorder.domain.transcript.masking import Mark, MarkKind

TRANSCRIPTS: Final = "transcripts"
PARTS: Final = "transcription_parts"
CONTEXTS: Final = "recording_contexts"
LIST_LIMIT: Final = 200
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What events told of a recording before it was stored."""

    queue_id: str = ""
    agent_id: str = ""
    started_us: int = 0
    marks: tuple[Mark, ...] = ()
    language: str = ""
    """BCP 47, as the call's flow chose it; empty = it chose none."""


@dataclass(slots=True)
class Parts:
    """What scribes have told of a recording so far: the plan, and chunks by channel and number."""

    plan: Document | None = None
    chunks: dict[tuple[int, int], Document] = field(default_factory=dict)


class Transcripts:
    """Every method raises DocumentsFailed when the document store is away or refuses."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._has_index = False

    def note_start(self, recording_id: str, tenant_id: str, context: Context) -> None:
        """Keep what the start of a recording told."""
        news = {
            "tenant_id": tenant_id,
            "queue_id": context.queue_id,
            "agent_id": context.agent_id,
            "started_us": context.started_us,
            "language": context.language,
        }
        with as_documents_failed():
            self._database[CONTEXTS].update_one({"_id": recording_id}, {"$set": news}, upsert=True)

    def note_mark(self, recording_id: str, tenant_id: str, event_id: str, mark: Mark) -> None:
        """Keep that a recording was masked, paused or resumed; a second time under one event id changes nothing."""
        news = {"tenant_id": tenant_id, f"marks.{_field(event_id)}": [mark.at_us, mark.kind.value]}
        with as_documents_failed():
            self._database[CONTEXTS].update_one({"_id": recording_id}, {"$set": news}, upsert=True)

    def context(self, recording_id: str) -> Context:
        """Return what is known of a recording, an empty context when nothing is."""
        with as_documents_failed():
            row = self._database[CONTEXTS].find_one({"_id": recording_id}) or {}
        marks = tuple(sorted(Mark(at_us, MarkKind(kind)) for at_us, kind in row.get("marks", {}).values()))
        return Context(
            row.get("queue_id", ""), row.get("agent_id", ""), row.get("started_us", 0), marks, row.get("language", "")
        )

    def keep_part(self, recording_id: str, step: Document) -> None:
        """Keep one step that a scribe has told. The same step again replaces itself."""
        name = "plan" if step["told"] == "plan" else f"{step['channel']}-{step['number']}"
        with as_documents_failed():
            self._database[PARTS].replace_one(
                {"_id": f"{recording_id}/{name}"}, {"recording_id": recording_id, "step": step}, upsert=True
            )

    def parts(self, recording_id: str) -> Parts:
        """Return every step that is kept of a recording."""
        parts = Parts()
        with as_documents_failed():
            self._make_indexes()
            for row in self._database[PARTS].find({"recording_id": recording_id}):
                step = row["step"]
                if step["told"] == "plan":
                    parts.plan = step
                else:
                    parts.chunks[step["channel"], step["number"]] = step
        return parts

    def write(self, document: Document) -> Document:
        """Write a transcript unless there is one, and return the one that is kept: the first is the only one."""
        with as_documents_failed():
            self._make_indexes()
            try:
                self._transcripts().insert_one({"_id": document["recording_id"], **document})
            except DuplicateKeyError:
                kept = self._transcripts().find_one({"_id": document["recording_id"]}, {"_id": 0})
                return kept or document
        return document

    def find(self, recording_id: str) -> Document | None:
        """Return a transcript for whoever works on it."""
        with as_documents_failed():
            return self._transcripts().find_one({"_id": recording_id}, {"_id": 0})

    def find_for(self, tenant_id: str, recording_id: str) -> Document | None:
        """Return a transcript of this tenant; another tenant's does not exist."""
        with as_documents_failed():
            return self._transcripts().find_one({"_id": recording_id, "tenant_id": tenant_id}, {"_id": 0})

    def of_call(self, tenant_id: str, call_id: str) -> list[Document]:
        """Return this tenant's transcripts of a call, oldest first, at most LIST_LIMIT."""
        with as_documents_failed():
            rows = self._transcripts().find({"tenant_id": tenant_id, "call_id": call_id}, {"_id": 0}).limit(LIST_LIMIT)
            return sorted(rows, key=lambda row: (row["recorded_us"], row["recording_id"]))

    def search(
        self,
        tenant_id: str,
        asked: Sequence[Sequence[str]],
        before: tuple[int, str] | None,
        limit: int,
        feeling: str = "",
    ) -> list[Document]:
        """Return transcripts that have one term of each group, newest first; `before` is where the last page ended.

        `feeling` is a name of finding.FEELINGS: how the customer has to have sounded.
        """
        query: Document = {"tenant_id": tenant_id, **(feeling_query(feeling) if feeling else {})}
        if asked:
            query["$and"] = [{"terms": {"$in": list(group)}} for group in asked]
        if before is not None:
            moment, recording_id = before
            query["$or"] = [
                {"recorded_us": {"$lt": moment}},
                {"recorded_us": moment, "recording_id": {"$lt": recording_id}},
            ]
        order = [("recorded_us", DESCENDING), ("recording_id", DESCENDING)]
        with as_documents_failed():
            self._make_indexes()
            return list(self._transcripts().find(query, {"_id": 0}).sort(order).limit(limit))

    def forget_heard(self, recording_id: str) -> None:
        """Drop what was heard so far; when it was masked stays, for who tries it again."""
        with as_documents_failed():
            self._make_indexes()
            self._database[PARTS].delete_many({"recording_id": recording_id})

    def forget_parts(self, recording_id: str) -> None:
        """Drop what is not needed once the transcript is told."""
        self.forget_heard(recording_id)
        with as_documents_failed():
            self._database[CONTEXTS].delete_one({"_id": recording_id})

    def delete(self, recording_id: str) -> None:
        """Delete everything that was said in a recording: it is deleted itself."""
        with as_documents_failed():
            self._transcripts().delete_one({"_id": recording_id})
        self.forget_parts(recording_id)

    def _transcripts(self) -> Collection[Document]:
        return self._database[TRANSCRIPTS]

    def _make_indexes(self) -> None:
        if self._has_index:
            return
        transcripts = self._transcripts()
        transcripts.create_index([("tenant_id", ASCENDING), ("call_id", ASCENDING)])
        transcripts.create_index([("tenant_id", ASCENDING), ("terms", ASCENDING), ("recorded_us", DESCENDING)])
        transcripts.create_index([("tenant_id", ASCENDING), ("recorded_us", DESCENDING)])
        self._database[PARTS].create_index([("recording_id", ASCENDING)])
        self._has_index = True


def _field(event_id: str) -> str:
    """Return an event id as a field's name: neither dots nor dollars."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", event_id)[:80] or "none"
