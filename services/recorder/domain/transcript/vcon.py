"""A whole call as a vCon: draft-ietf-vcon-vcon-core-04. Our own exporter, for what the draft leaves to readers.

Traps of the draft that are minded here: `dialog.start` is always there; each external sound has an https address and a
`content_hash`; `analysis` needs a `vendor`; a stereo recording is one dialog whose `parties` are [left, right].
"""

import base64
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

VCON_VERSION: Final = "0.4.0"
VENDOR: Final = "ringmaster"
CUSTOMER, AGENT = 0, 1
_NAMESPACE: Final = uuid.UUID("6f1c3a52-7d0e-5b7e-9a55-2f3f0c1b8d10")


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording of the call; without an address the vCon tells of it and carries no sound."""

    recording_id: str
    recorded_us: int
    duration_ms: int
    media_type: str
    channels: int
    sha512: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called, as far as may be told."""

    number: str = ""
    name: str = ""


def vcon_of(
    call_id: str,
    tenant_id: str,
    sounds: Sequence[Sound],
    transcripts: Iterable[Mapping[str, Any]],
    made_us: int,
    caller: Caller | None = None,
) -> dict[str, Any]:
    """Return the vCon. Its uuid is the call's: the same call gives the same one."""
    written = {document["recording_id"]: document for document in transcripts}
    ordered = sorted(sounds, key=lambda sound: (sound.recorded_us, sound.recording_id))
    first_us = ordered[0].recorded_us if ordered else made_us
    return {
        "vcon": VCON_VERSION,
        "uuid": str(uuid.uuid5(_NAMESPACE, f"{tenant_id}/{call_id}")),
        "created_at": _date(made_us),
        "subject": f"Call {call_id} of {_date(first_us)}",
        "parties": _parties(written.values(), caller),
        "dialog": [_dialog(sound) for sound in ordered],
        "analysis": [
            _analysis(number, kind, body)
            for number, sound in enumerate(ordered)
            if sound.recording_id in written
            for kind, body in _bodies(written[sound.recording_id])
        ],
        "attachments": [],
    }


def _parties(documents: Iterable[Mapping[str, Any]], caller: Caller | None) -> list[dict[str, Any]]:
    agents = list(dict.fromkeys(document["agent_id"] for document in documents if document["agent_id"]))
    customer: dict[str, Any] = {"role": "customer"}
    if caller is not None and caller.number:
        customer["tel"] = caller.number
    if caller is not None and caller.name:
        customer["name"] = caller.name
    agent: dict[str, Any] = {"role": "agent"}
    return [customer, agent | {"name": ", ".join(agents)} if agents else agent]


def _dialog(sound: Sound) -> dict[str, Any]:
    dialog: dict[str, Any] = {
        "type": "recording",
        "start": _date(sound.recorded_us),
        "duration": sound.duration_ms / 1000,
        "parties": [CUSTOMER, AGENT] if sound.channels > 1 else [CUSTOMER],
        "mediatype": sound.media_type,
        "filename": f"{sound.recording_id}.{_ending(sound.media_type)}",
    }
    if not sound.url or not sound.sha512:
        return dialog
    digest = base64.urlsafe_b64encode(bytes.fromhex(sound.sha512)).rstrip(b"=").decode()
    return dialog | {"url": sound.url, "content_hash": f"sha512-{digest}"}


def _ending(media_type: str) -> str:
    return {"audio/flac": "flac", "audio/ogg": "ogg", "audio/opus": "ogg"}.get(media_type, "wav")


def _bodies(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    transcript = {name: document[name] for name in ("language", "confidence", "turns", "speakers")}
    return [("transcript", transcript), ("report", dict(document["analysis"]))]


def _analysis(dialog: int, kind: str, body: Any) -> dict[str, Any]:
    # The body is a string even where it is JSON.
    text = json.dumps(body, ensure_ascii=False)
    return {"type": kind, "dialog": dialog, "vendor": VENDOR, "product": "recorder", "body": text, "encoding": "json"}


def _date(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="milliseconds")
