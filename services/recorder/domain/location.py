"""Who a recording belongs to. Its path says it, and nothing else does: no header or tag of the file is believed."""

import hashlib
import re
from dataclasses import dataclass
from typing import NewType

TenantId = NewType("TenantId", str)
CallId = NewType("CallId", str)
RecordingId = NewType("RecordingId", str)

SUFFIX = ".wav"
_PATH_PARTS = 3
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class NotALocation(ValueError):
    """A path that no recording of ours has; the sentence says what is wrong with it. The folder quarantines it."""


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A recording's place below the recordings folder: <tenant_id>/<call_id>/<recording_id>.wav."""

    tenant_id: TenantId
    call_id: CallId
    recording_id: RecordingId

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.recording_id + SUFFIX

    @property
    def path(self) -> str:
        """The path below the recordings folder."""
        return f"{self.tenant_id}/{self.call_id}/{self.file_name}"


def location_of(path: str) -> Location:
    """Read a path below the recordings folder. Raises NotALocation for every other shape, `..` and odd letters too."""
    parts = path.split("/")
    if len(parts) != _PATH_PARTS:
        raise NotALocation("the path is not <tenant>/<call>/<recording>.wav")
    tenant, call, name = parts
    if not name.endswith(SUFFIX):
        raise NotALocation("the file is not named .wav")
    recording = name.removesuffix(SUFFIX)
    if not _TENANT.fullmatch(tenant):
        raise NotALocation("the first folder is not a tenant id")
    if not _ID.fullmatch(call):
        raise NotALocation("the second folder is not a call id")
    if not _ID.fullmatch(recording):
        raise NotALocation("the file's name is not a recording id")
    return Location(TenantId(tenant), CallId(call), RecordingId(recording))


def event_id(kind: str, location: Location) -> str:
    """Return the id of the one event of this kind that a recording can have: the same after any retry."""
    return hashlib.sha256(f"{kind}\n{location.path}".encode()).hexdigest()[:32]
