"""/shared/<secret>: a part of a recording for whoever was given its address, until it expires."""

from typing import Final

import orjson
from flask import Blueprint, Response

from services.recorder.adapters.cutting import cut
from services.recorder.adapters.listeners import Listening, Share
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.api.recordings import Shelf, iso, picture
from services.recorder.api.sound import send_file
from services.recorder.errors import RecorderError
from services.shared.chassis.pages import Pages
from services.shared.chassis.problems import problem

_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_GONE: Final = "This part is not shared, or not any more."


def shared_api(shelf: Shelf, pages: Pages) -> Blueprint:
    """Make the routes. The secret is the right; nothing but the part can be reached by it."""
    api = Blueprint("shared", __name__, url_prefix="/shared")

    @api.get("/<secret>")
    def page(secret: str) -> Response:
        return pages.show("shared", 200 if _opened(shelf, secret) else 404)

    @api.get("/<secret>/part")
    def part(secret: str) -> Response:
        opened = _opened(shelf, secret)
        if opened is None:
            return problem(404, "not-found", _GONE)
        return Response(orjson.dumps(_shown(shelf, *opened)), mimetype="application/json", headers=_NO_STORE)

    @api.get("/<secret>/audio")
    def audio(secret: str) -> Response:
        opened = _opened(shelf, secret)
        if opened is None:
            return problem(404, "not-found", _GONE)
        return _sound(shelf, *opened)

    @api.errorhandler(RecorderError)
    def unavailable(error: RecorderError) -> Response:
        return problem(503, "unavailable", str(error))

    return api


def _opened(shelf: Shelf, secret: str) -> tuple[Share, RecordingDocument] | None:
    share = shelf.journal.shared(secret, shelf.now_us())
    document = shelf.documents.find_for(share.tenant_id, share.recording_id) if share else None
    return (share, document) if share and document else None


def _shown(shelf: Shelf, share: Share, document: RecordingDocument) -> dict[str, object]:
    shown: dict[str, object] = {
        "recorded_at": iso(document.recorded_us + share.from_ms * 1_000),
        "duration_ms": share.to_ms - share.from_ms,
        "expires_at": iso(share.expires_us),
        "waveform": {"column_ms": 0, "channels": document.channels, "peaks": []},
    }
    waveform = shelf.documents.waveform(document.recording_id)
    if waveform is not None:
        first, last = (ms // waveform.column_ms * waveform.channels for ms in (share.from_ms, share.to_ms))
        shown["waveform"] = {**picture(waveform), "peaks": list(waveform.peaks[first:last])}
    return shown


def _sound(shelf: Shelf, share: Share, document: RecordingDocument) -> Response:
    who = f"share {share.share_id}"
    shelf.journal.note(
        Listening(share.tenant_id, share.recording_id, who, "shared", "listened", shelf.now_us()),
    )
    file = cut(shelf.sounds, document, share.from_ms, share.to_ms)
    size_bytes = file.seek(0, 2)
    answer = send_file(file, size_bytes, "audio/wav")
    answer.headers.update(_NO_STORE)
    return answer
