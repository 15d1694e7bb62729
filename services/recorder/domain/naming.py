"""The name of a recording in the store, from the company's template: safe for every file system (SPEC 6.3).

Names are copied to disks and drives of all kinds, so each part obeys the strictest of them: no character that Windows
forbids, no name that it reserves, no dot or space at an end, at most 120 bytes. What a caller can choose (a name, a
number) is such a part and nothing else: it can't leave its folder, let alone its company's.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.recorder.domain.form import Form
from services.recorder.domain.location import Location

PART_BYTES = 120
KEY_BYTES = 900
"""S3 allows 1024, and a copy's folder comes before it."""
UNKNOWN = "unknown"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_ALSO_SAFE = frozenset({"Ll", "Lu", "Lt", "Lm", "Lo", "Nd"})
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)")


@dataclass(frozen=True, slots=True)
class CallNote:
    """What is known of a recording's call; empty texts where nothing is."""

    queue_id: str = ""
    agent_id: str = ""
    caller: str = ""
    line: str = ""


def object_key(location: Location, template: str, note: CallNote, recorded_us: int, zone: str, form: Form) -> str:
    """Return where the recording lies in the bucket: always below the company's own folder, always under its id.

    A template that makes the name too long gives way to the recording's id alone. One that does not ask for the id gets
    it, even if some other part happens to hold it: two recordings of one call may not have one name.
    """
    values = _values(location, note, recorded_us, zone)
    parts = [_filled(part, values) for part in template.split("/")]
    name = "/".join(part for part in parts if part)
    if "{recording_id}" not in template or location.recording_id not in name:
        name = f"{name}/{location.recording_id}" if name else location.recording_id
    key = f"{location.tenant_id}/{name}{form.suffix}"
    if len(key.encode()) > KEY_BYTES:
        return f"{location.tenant_id}/{location.recording_id}{form.suffix}"
    return key


def safe_part(text: str) -> str:
    """Return a text as one part of a path on any file system; "unknown" when nothing is left of it."""
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(letter if _is_safe(letter) else "_" for letter in composed)
    kept = re.sub(r"_{2,}", "_", kept).strip(". ")
    kept = _shortened(kept).strip(". ")
    if not kept.strip("_."):
        return UNKNOWN
    return f"_{kept}" if _RESERVED.match(kept) else kept


def _values(location: Location, note: CallNote, recorded_us: int, zone: str) -> dict[str, str]:
    moment = datetime.fromtimestamp(recorded_us // 1_000_000, UTC).astimezone(_zone(zone))
    return {
        "date": moment.date().isoformat(),
        "time": moment.strftime("%H-%M-%S"),
        "queue": note.queue_id,
        "agent": note.agent_id,
        "caller": note.caller,
        "line": note.line,
        "call_id": location.call_id,
        "recording_id": location.recording_id,
        "tenant_id": location.tenant_id,
    }


def _filled(part: str, values: dict[str, str]) -> str:
    """Fill one part; each value is made safe by itself, so that none can look like another's."""
    filled = _PLACEHOLDER.sub(lambda found: safe_part(values.get(found[1], "")), part)
    return safe_part(filled) if filled else ""


def _is_safe(letter: str) -> bool:
    return letter in "_.+-" or unicodedata.category(letter) in _ALSO_SAFE


def _shortened(text: str) -> str:
    return text.encode()[:PART_BYTES].decode(errors="ignore")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
