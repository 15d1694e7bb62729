"""/v1/transcripts: what was said, as JSON, subtitles or a vCon; found by its words. A tenant sees its own alone.

Who was given what was said is noted first, beside who listened (adapters/listeners.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from flask import Blueprint, Response, request

from services.recorder.adapters.listeners import Listening
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.api.admission import Asker, admit
from services.recorder.domain.analytics.searching import BadQuery, Query, places_in, read_query, to_documents
from services.recorder.domain.finding import BadSearch, read_cursor, read_feeling, read_limit
from services.recorder.domain.transcript.formats import to_srt, to_webvtt
from services.recorder.domain.transcript.transcript import from_document
from services.recorder.domain.transcript.vcon import Sound, vcon_of
from services.recorder.errors import RecorderError
from services.shared.access import Action, Holders
from services.shared.chassis.problems import problem

_MAX_ID: Final = 80
_LARGEST_PAGE: Final = 50
_DEFAULT_PAGE: Final = 20
_HIDDEN: Final = ("terms", "tenant_id")
_NO_STORE: Final = {"Cache-Control": "no-store"}
"""What was said is as personal as the sound: no cache may keep it."""
Document = dict[str, Any]


class Transcripts(Protocol):
    """What is looked up."""

    def find_for(self, tenant_id: str, recording_id: str) -> Document | None:
        """Return a transcript of this tenant."""

    def of_call(self, tenant_id: str, call_id: str) -> list[Document]:
        """Return this tenant's transcripts of a call."""

    def search(
        self,
        tenant_id: str,
        asked: tuple[tuple[str, ...], ...],
        before: tuple[int, str] | None,
        limit: int,
        feeling: str = "",
    ) -> list[Document]:
        """Return transcripts that have one term of each group and sound so, newest first."""


class Recordings(Protocol):
    """What is known of the sounds."""

    def of_call(self, tenant_id: str, call_id: str) -> list[RecordingDocument]:
        """Return this tenant's recordings of a call."""


class Progress(Protocol):
    """What is known of transcripts that are not there yet."""

    def state(self, tenant_id: str, recording_id: str) -> Any:
        """Return how far one is, None where none was ordered."""

    def revive(self, tenant_id: str, recording_id: str) -> bool:
        """Try one again that was given up."""


class Journal(Protocol):
    """Who read what."""

    def note_all(self, done: list[Listening]) -> None:
        """Keep that somebody was given what was said."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where answers come from."""

    transcripts: Transcripts
    recordings: Recordings
    progress: Progress
    journal: Journal
    now_us: Callable[[], int]


def transcripts_api(shelf: Shelf, tokens: Holders) -> Blueprint:
    """Make the routes. Whoever may listen may read."""
    api = Blueprint("transcripts", __name__, url_prefix="/v1/transcripts")
    for rule, answer, method in _ROUTES:
        api.add_url_rule(rule, answer.__name__.strip("_"), _admitting(answer, shelf, tokens), methods=[method])

    @api.errorhandler(RecorderError)
    def unavailable(error: RecorderError) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def _admitting(answer: Callable[..., Response], shelf: Shelf, tokens: Holders) -> Callable[..., Response]:
    def route(**ids: str) -> Response:
        return answer(shelf, admit(tokens, Action.LISTEN), **ids)

    return route


def _of_call(shelf: Shelf, asker: Asker) -> Response:
    call_id = request.args.get("call_id", "")
    if not 0 < len(call_id) <= _MAX_ID:
        return problem(400, "bad-request", "The parameter call_id is needed; /v1/transcripts/search finds words.")
    found = shelf.transcripts.of_call(asker.tenant_id, call_id)
    _note(shelf, asker, "read", found)
    return _json({"transcripts": [_public(document) for document in found]})


def _search(shelf: Shelf, asker: Asker) -> Response:
    try:
        typed, feeling = request.args.get("q", ""), read_feeling(request.args.get("feeling", ""))
        query = Query((), (), ()) if feeling and not typed.strip() else read_query(typed)
        before = read_cursor(request.args.get("before", ""))
        limit = read_limit(request.args.get("limit", ""), _DEFAULT_PAGE, _LARGEST_PAGE)
    except (BadQuery, BadSearch) as error:
        return problem(400, "bad-request", str(error)[:200])
    found = shelf.transcripts.search(asker.tenant_id, query.groups, before, limit, feeling)
    read = [(each, places_in(from_document(each), query)) for each in found]
    shown = [(each, places) for each, places in read if places or not query.words]
    _note(shelf, asker, "found", [document for document, _ in shown])
    results = [{**_summary(document), "places": to_documents(places)} for document, places in shown]
    last = found[-1] if len(found) == limit else None
    return _json({"results": results, "next": f"{last['recorded_us']}.{last['recording_id']}" if last else None})


def _one(shelf: Shelf, asker: Asker, recording_id: str) -> Response:
    name, _, form = recording_id.rpartition(".")
    if form in _FORMS and name:
        return _written(shelf, asker, name, form)
    document = shelf.transcripts.find_for(asker.tenant_id, recording_id)
    if document is not None:
        _note(shelf, asker, "read", [document])
        return _json(_public(document))
    state = shelf.progress.state(asker.tenant_id, recording_id)
    if state is None:
        return problem(404, "not-found", "There is no such transcript, and none is being made.")
    return _json({"recording_id": recording_id, "progress": dict(state)}, 202)


def _retry(shelf: Shelf, asker: Asker, recording_id: str) -> Response:
    if not shelf.progress.revive(asker.tenant_id, recording_id):
        return problem(404, "not-found", "There is no transcription of that recording that was given up.")
    state = shelf.progress.state(asker.tenant_id, recording_id) or {}
    return _json({"recording_id": recording_id, "progress": dict(state)}, 202)


def _vcon(shelf: Shelf, asker: Asker, call_id: str) -> Response:
    sounds = [_sound(document) for document in shelf.recordings.of_call(asker.tenant_id, call_id)]
    if not sounds:
        return problem(404, "not-found", "There is no recording of such a call.")
    documents = shelf.transcripts.of_call(asker.tenant_id, call_id)
    _note(shelf, asker, "exported", documents)
    made_us = max((document["made_us"] for document in documents), default=sounds[-1].recorded_us)
    body = vcon_of(call_id, asker.tenant_id, sounds, documents, made_us)
    return Response(orjson.dumps(body), mimetype="application/vcon+json", headers=_NO_STORE)


_ROUTES: Final = (
    ("", _of_call, "GET"),
    ("/search", _search, "GET"),
    ("/<recording_id>", _one, "GET"),
    ("/<recording_id>/retry", _retry, "POST"),
    ("/calls/<call_id>/vcon", _vcon, "GET"),
)
_FORMS: Final = {"vtt": (to_webvtt, "text/vtt"), "srt": (to_srt, "application/x-subrip")}


def _written(shelf: Shelf, asker: Asker, recording_id: str, form: str) -> Response:
    document = shelf.transcripts.find_for(asker.tenant_id, recording_id)
    if document is None:
        return problem(404, "not-found", "There is no such transcript.")
    _note(shelf, asker, "downloaded", [document])
    write, media_type = _FORMS[form]
    text = write(from_document(document))
    return Response(text.encode(), content_type=f"{media_type}; charset=utf-8", headers=_NO_STORE)


def _note(shelf: Shelf, asker: Asker, what: str, documents: list[Document]) -> None:
    """Keep who is given what was said, before it is given. Raises DocumentsFailed: what can't be noted is not given."""
    who, now_us = asker.principal, shelf.now_us()
    shelf.journal.note_all(
        [
            Listening(asker.tenant_id, document["recording_id"], who.actor, who.role.value, what, now_us)
            for document in documents
        ]
    )


def _public(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _HIDDEN}


def _summary(document: Document) -> Document:
    names = ("recording_id", "call_id", "queue_id", "agent_id", "recorded_us", "duration_ms", "language")
    customer = (document["analysis"].get("sentiment") or {}).get("customer") or {}
    return {**{name: document[name] for name in names}, "customer_sentiment": customer.get("score")}


def _sound(document: RecordingDocument) -> Sound:
    return Sound(
        document.recording_id, document.recorded_us, document.duration_ms, document.media_type, document.channels
    )


def _json(body: Document, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status=status, mimetype="application/json", headers=_NO_STORE)
