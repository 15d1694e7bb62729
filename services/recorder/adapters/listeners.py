"""Who listened to what, and what was shared with whom, in the document store."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import DESCENDING, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from services.recorder.adapters.database import as_documents_failed

ACCESS: Final = "recording_access"
SHARES: Final = "recording_shares"
_TOGETHER_US: Final = 300 * 1_000_000
"""A browser asks for a sound in many pieces: what one person does with one recording in five minutes is one line."""
_LIST_LIMIT: Final = 500
_FORGOTTEN_SECONDS: Final = 86_400
"""What is no longer shared is forgotten a day later; that it was shared stays in the journal."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Somebody did something with a recording: listened, downloaded, linked, read, found, exported, shared, held."""

    tenant_id: str
    recording_id: str
    actor: str
    role: str
    what: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a recording that whoever has its address may hear until it expires."""

    share_id: str
    tenant_id: str
    recording_id: str
    from_ms: int
    to_ms: int
    expires_us: int
    actor: str


class Listeners:
    """Every method raises DocumentsFailed when the document store is away or refuses."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database
        self._has_index = False

    def note(self, done: Listening) -> None:
        """Keep it before anything is heard: what can't be kept is not given."""
        self.note_all([done])

    def note_all(self, done: list[Listening]) -> None:
        """Keep several at once, before anything is given."""
        if done:
            with as_documents_failed():
                self._access().bulk_write([_line(each) for each in done], ordered=False)

    def of_recording(self, tenant_id: str, recording_id: str) -> list[dict[str, Any]]:
        """Return who did what with a recording, newest first, at most 500 lines."""
        wanted = {"tenant_id": tenant_id, "recording_id": recording_id}
        with as_documents_failed():
            return list(self._access().find(wanted, {"_id": 0}).sort("first_us", DESCENDING).limit(_LIST_LIMIT))

    def share(self, share: Share) -> str:
        """Keep a share and return its secret; only its digest is kept."""
        secret = secrets.token_urlsafe(32)
        row = {name: getattr(share, name) for name in Share.__dataclass_fields__ if name != "share_id"}
        row["expires_at"] = datetime.fromtimestamp(share.expires_us / 1_000_000, UTC)
        with as_documents_failed():
            self._database[SHARES].insert_one({"_id": share.share_id, "secret": _digest(secret), **row})
        return secret

    def shared(self, secret: str, now_us: int) -> Share | None:
        """Return what a secret opens now."""
        with as_documents_failed():
            row = self._database[SHARES].find_one({"secret": _digest(secret), "expires_us": {"$gt": now_us}})
        return None if row is None else _share(row)

    def shares_of(self, tenant_id: str, recording_id: str, now_us: int) -> list[Share]:
        """Return what of a recording is shared now, the one that ends last first, at most 500."""
        wanted = {"tenant_id": tenant_id, "recording_id": recording_id, "expires_us": {"$gt": now_us}}
        with as_documents_failed():
            rows = self._database[SHARES].find(wanted).sort("expires_us", DESCENDING).limit(_LIST_LIMIT)
            return [_share(row) for row in rows]

    def end_share(self, tenant_id: str, recording_id: str, share_id: str) -> bool:
        """End a share before its time; False where there is none."""
        wanted = {"_id": share_id, "tenant_id": tenant_id, "recording_id": recording_id}
        with as_documents_failed():
            return self._database[SHARES].delete_one(wanted).deleted_count == 1

    def _access(self) -> Collection[dict[str, Any]]:
        access = self._database[ACCESS]
        if not self._has_index:
            access.create_index([("tenant_id", 1), ("recording_id", 1), ("first_us", -1)])
            shares = self._database[SHARES]
            shares.create_index("secret", unique=True)
            shares.create_index([("tenant_id", 1), ("recording_id", 1)])
            shares.create_index("expires_at", expireAfterSeconds=_FORGOTTEN_SECONDS)
            self._has_index = True
        return access


def _line(done: Listening) -> UpdateOne:
    window = done.at_us // _TOGETHER_US
    text = f"{done.tenant_id}\n{done.recording_id}\n{done.actor}\n{done.role}\n{done.what}\n{window}"
    first = {
        "tenant_id": done.tenant_id,
        "recording_id": done.recording_id,
        "actor": done.actor,
        "role": done.role,
        "what": done.what,
        "first_us": done.at_us,
    }
    change = {"$setOnInsert": first, "$max": {"last_us": done.at_us}, "$inc": {"requests": 1}}
    return UpdateOne({"_id": hashlib.sha256(text.encode()).hexdigest()}, change, upsert=True)


def _share(row: dict[str, Any]) -> Share:
    names = [name for name in Share.__dataclass_fields__ if name != "share_id"]
    return Share(share_id=row["_id"], **{name: row[name] for name in names})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
