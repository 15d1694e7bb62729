"""/v1/recordings: find, hear, see, share, hold. A tenant sees its own alone; who heard what is kept (SPEC 6, 5.3)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import uuid4

import orjson
from flask import Blueprint, Response, request

from services.recorder.adapters.cutting import LONGEST_CUT_MS
from services.recorder.adapters.listeners import Listening, Share
from services.recorder.adapters.measure import Waveform
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.api.admission import Asker, admission, admit
from services.recorder.api.sound import send_sound
from services.recorder.domain.finding import BadSearch, Search, read_search
from services.recorder.errors import RecorderError
from services.shared.access import EVERY_TENANT, Action, Holders
from services.shared.chassis.problems import problem

_HOUR_US: Final = 3_600 * 1_000_000
_LONGEST_SHARE_HOURS: Final = 24 * 30
_MOST_BODY: Final = 4_096
_NO_STORE: Final = {"Cache-Control": "no-store"}
"""A link is a key to a person's voice, and a transcript is that voice: no cache may keep them."""


class Documents(Protocol):
    """What is looked up."""

    def find_for(self, tenant_id: str, recording_id: str) -> RecordingDocument | None:
        """Return a recording of this tenant."""

    def search(self, tenant_id: str, search: Search) -> list[RecordingDocument]:
        """Return this tenant's recordings that are looked for."""

    def companies(self) -> list[str]:
        """Return the companies that have recordings, by name."""

    def waveform(self, recording_id: str) -> Waveform | None:
        """Return a recording's picture."""

    def transcript(self, tenant_id: str, recording_id: str) -> dict[str, Any] | None:
        """Return what was said."""

    def hold(self, tenant_id: str, recording_id: str, *, held: bool) -> bool:
        """Put a recording under a legal hold or end that."""


class Sounds(Protocol):
    """Where the sound is."""

    def link(self, key: str, file_name: str, media_type: str) -> str:
        """Return a short-lived address."""

    def read_range(self, key: str, first: int, last: int) -> Iterator[bytes]:
        """Yield bytes."""

    def fetch(self, key: str) -> Iterator[bytes]:
        """Yield all bytes."""


class Journal(Protocol):
    """Who listened to what, and what is shared."""

    def note(self, done: Listening) -> None:
        """Keep that somebody did something."""

    def of_recording(self, tenant_id: str, recording_id: str) -> list[dict[str, Any]]:
        """Return who did what with a recording."""

    def share(self, share: Share) -> str:
        """Keep a share and return its secret."""

    def shared(self, secret: str, now_us: int) -> Share | None:
        """Return what a secret opens."""

    def shares_of(self, tenant_id: str, recording_id: str, now_us: int) -> list[Share]:
        """Return what of a recording is shared now."""

    def end_share(self, tenant_id: str, recording_id: str, share_id: str) -> bool:
        """End a share."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where answers come from."""

    documents: Documents
    sounds: Sounds
    journal: Journal
    now_us: Callable[[], int]
    lines: Callable[[str], Sequence[str]] = lambda _tenant_id: ()
    """A company's lines, E.164."""


Answering = Callable[[Shelf, Asker, RecordingDocument], Response]


def recordings_api(shelf: Shelf, tokens: Holders) -> Blueprint:
    """Make the routes."""
    api = Blueprint("recordings", __name__, url_prefix="/v1/recordings")

    @api.get("")
    def search() -> Response:
        return _search(shelf, admit(tokens, Action.LISTEN))

    @api.get("/companies")
    def companies() -> Response:
        holder = admission(tokens).holder()
        if holder is not None and holder.tenant == EVERY_TENANT and holder.may(Action.LISTEN, EVERY_TENANT):
            return _json({"companies": shelf.documents.companies()})
        return _json({"companies": [admit(tokens, Action.LISTEN).tenant_id]})

    for rule, method, action, answer in _ROUTES:
        view = _of_one(shelf, tokens, action, answer)
        api.add_url_rule(f"/<recording_id>{rule}", answer.__name__.strip("_"), view, methods=[method])

    @api.delete("/<recording_id>/shares/<share_id>")
    def end_share(recording_id: str, share_id: str) -> Response:
        asker = admit(tokens, Action.MANAGE_RECORDINGS)
        if not shelf.journal.end_share(asker.tenant_id, recording_id, share_id):
            return problem(404, "not-found", "There is no such share.")
        who = asker.principal
        shelf.journal.note(
            Listening(asker.tenant_id, recording_id, who.actor, who.role.value, "unshared", shelf.now_us())
        )
        return Response(status=204)

    @api.errorhandler(RecorderError)
    def unavailable(error: RecorderError) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def _of_one(shelf: Shelf, tokens: Holders, action: Action, answer: Answering) -> Callable[..., Response]:
    def view(recording_id: str) -> Response:
        asker = admit(tokens, action)
        document = shelf.documents.find_for(asker.tenant_id, recording_id)
        if document is None:
            return problem(404, "not-found", "There is no such recording.")
        return answer(shelf, asker, document)

    return view


def _search(shelf: Shelf, asker: Asker) -> Response:
    try:
        search = read_search(request.args, shelf.lines(asker.tenant_id))
    except BadSearch as error:
        return problem(400, "bad-request", str(error))
    found = shelf.documents.search(asker.tenant_id, search)
    following = f"{found[-1].recorded_us}.{found[-1].recording_id}" if len(found) == search.limit else None
    return _json({"recordings": [_public(document) for document in found], "next": following})


def _one(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    _note(shelf, asker, document, "linked")
    link = shelf.sounds.link(document.key, file_name(document), document.media_type)
    return _json({**_public(document), "link": link})


def _audio(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    is_download = "download" in request.args
    _note(shelf, asker, document, "downloaded" if is_download else "listened")
    return send_sound(
        shelf.sounds, document.key, document.size_bytes, document.media_type, file_name(document) if is_download else ""
    )


def _waveform(shelf: Shelf, _asker: Asker, document: RecordingDocument) -> Response:
    waveform = shelf.documents.waveform(document.recording_id)
    return _json(picture(waveform) if waveform else {"column_ms": 0, "channels": document.channels, "peaks": []})


def _transcript(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    row = shelf.documents.transcript(asker.tenant_id, document.recording_id)
    if row is None:
        return Response(status=204, headers=_NO_STORE)  # none yet, or none wanted: no fault of the asker's
    _note(shelf, asker, document, "read")
    return _json({name: row.get(name) for name in ("language", "confidence", "turns", "analysis")})


def _access(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    rows = shelf.journal.of_recording(asker.tenant_id, document.recording_id)
    names = ("actor", "role", "what", "requests")
    return _json(
        {
            "access": [
                {
                    **{name: row[name] for name in names},
                    "first_at": iso(row["first_us"]),
                    "last_at": iso(row["last_us"]),
                }
                for row in rows
            ]
        }
    )


def _hold(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    is_held = request.method == "PUT"
    _note(shelf, asker, document, "held" if is_held else "released")
    if not shelf.documents.hold(asker.tenant_id, document.recording_id, held=is_held):
        return problem(404, "not-found", "There is no such recording.")
    return _json({"recording_id": document.recording_id, "legal_hold": is_held})


def _release(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    return _hold(shelf, asker, document)


def _share(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    """Share a part: {from_ms, to_ms, hours}. The answer's address is shown this once."""
    asked = _asked_share(document)
    if isinstance(asked, str):
        return problem(400, "bad-request", asked)
    from_ms, to_ms, hours = asked
    now_us = shelf.now_us()
    share = Share(
        uuid4().hex,
        asker.tenant_id,
        document.recording_id,
        from_ms,
        to_ms,
        now_us + hours * _HOUR_US,
        asker.principal.actor,
    )
    _note(shelf, asker, document, "shared")
    secret = shelf.journal.share(share)
    return _json({"path": f"/shared/{secret}", **_shown(share)}, 201)


def _shares(shelf: Shelf, asker: Asker, document: RecordingDocument) -> Response:
    """Tell what is shared now; the addresses are nobody's to see again."""
    found = shelf.journal.shares_of(asker.tenant_id, document.recording_id, shelf.now_us())
    return _json({"shares": [{**_shown(share), "actor": share.actor} for share in found]})


def _shown(share: Share) -> dict[str, object]:
    return {
        "share_id": share.share_id,
        "from_ms": share.from_ms,
        "to_ms": share.to_ms,
        "expires_at": iso(share.expires_us),
    }


_ROUTES: Final[tuple[tuple[str, str, Action, Answering], ...]] = (
    ("", "GET", Action.LISTEN, _one),
    ("/audio", "GET", Action.LISTEN, _audio),
    ("/waveform", "GET", Action.LISTEN, _waveform),
    ("/transcript", "GET", Action.LISTEN, _transcript),
    ("/access", "GET", Action.MANAGE_RECORDINGS, _access),
    ("/hold", "PUT", Action.MANAGE_RECORDINGS, _hold),
    ("/hold", "DELETE", Action.MANAGE_RECORDINGS, _release),
    ("/shares", "GET", Action.MANAGE_RECORDINGS, _shares),
    ("/shares", "POST", Action.MANAGE_RECORDINGS, _share),
)


def _asked_share(document: RecordingDocument) -> tuple[int, int, int] | str:
    """Return what is to be shared, or what is wrong with it."""
    body = request.get_json(silent=True) if (request.content_length or 0) <= _MOST_BODY else None
    if not isinstance(body, dict) or not set(body) <= {"from_ms", "to_ms", "hours"}:
        return "Send {from_ms, to_ms, hours}."
    from_ms, to_ms, hours = body.get("from_ms", 0), body.get("to_ms", document.duration_ms), body.get("hours", 24)
    if any(type(number) is not int for number in (from_ms, to_ms, hours)):
        return "from_ms, to_ms and hours are whole numbers."
    rules = (
        (0 <= from_ms < to_ms <= document.duration_ms, "from_ms and to_ms lie within the recording, in this order."),
        (to_ms - from_ms <= LONGEST_CUT_MS, f"A part is at most {LONGEST_CUT_MS // 60_000} minutes long."),
        (1 <= hours <= _LONGEST_SHARE_HOURS, f"hours is a number from 1 to {_LONGEST_SHARE_HOURS}."),
    )
    return next((wrong for is_right, wrong in rules if not is_right), (from_ms, to_ms, hours))


def _note(shelf: Shelf, asker: Asker, document: RecordingDocument, what: str) -> None:
    who = asker.principal
    done = Listening(document.tenant_id, document.recording_id, who.actor, who.role.value, what, shelf.now_us())
    shelf.journal.note(done)


def file_name(document: RecordingDocument) -> str:
    """Return the name under which a recording is saved."""
    return f"{document.recording_id}.{document.key.rpartition('.')[2]}"


def picture(waveform: Waveform) -> dict[str, object]:
    """Return a picture for people: for each column the channels' peaks, 0 to 255."""
    return {"column_ms": waveform.column_ms, "channels": waveform.channels, "peaks": list(waveform.peaks)}


def iso(microseconds: int) -> str:
    """Return a moment as ISO 8601."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="milliseconds")


def _public(document: RecordingDocument) -> dict[str, object]:
    names = (
        "recording_id",
        "call_id",
        "queue_id",
        "agent_id",
        "caller",
        "line",
        "size_bytes",
        "sha256",
        "source_sha256",
        "duration_ms",
        "channels",
        "media_type",
        "encryption",
        "silent",
        "repaired",
        "legal_hold",
    )
    return {
        **{name: getattr(document, name) for name in names},
        "recorded_at": iso(document.recorded_us),
        "stored_at": iso(document.stored_us),
    }


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status=status, mimetype="application/json", headers=_NO_STORE)
