"""Who asks: bearer tokens from a file that holds only their hashes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or program with a token."""

    tenant_id: str
    role: str
    actor: str


class Tokens:
    """The file {token's hex SHA-256: {tenant, role, actor}}; read again whenever it was replaced.

    A file that can't be read, and an entry that is not of that shape, let nobody in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._callers: dict[str, Caller] = {}

    def caller(self, authorization: str) -> Caller | None:
        """Return whom an Authorization header stands for, None for nobody."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        self._refresh()
        # Looked up by its hash: how long the look-up takes tells nothing about the token.
        return self._callers.get(hashlib.sha256(token.encode()).hexdigest())

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            state = (status.st_mtime_ns, status.st_ino)
            if state == self._read_at:
                return
            self._callers = _callers(orjson.loads(self._path.read_bytes()))
            self._read_at = state
        except (OSError, orjson.JSONDecodeError):
            self._callers, self._read_at = {}, None


def _callers(document: object) -> dict[str, Caller]:
    found: dict[str, Caller] = {}
    for digest, entry in document.items() if isinstance(document, dict) else ():
        if not isinstance(entry, dict):
            continue
        words = [word for name in ("tenant", "role", "actor") if isinstance(word := entry.get(name), str) and word]
        if len(words) == len(Caller.__dataclass_fields__):
            found[str(digest).lower()] = Caller(*words)
    return found
