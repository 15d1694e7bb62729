"""Signing in to CRMs: tokens that are refreshed, kept and used by one at a time (RFC 6749, 6)."""

import base64
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import orjson
import structlog
from cryptography.fernet import Fernet, InvalidToken
from gevent.lock import BoundedSemaphore

from services.shared.outbound.target import target_of
from services.webhooks.adapters.channels.http import json_of
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.connectors.description import SignIn
from services.webhooks.waiting import StoreUnavailable

KEEP_BYTES: Final = 16_384
# A token counts as over so long before its end: a request is under way for a while. Seconds.
EARLY_SECONDS: Final = 60
USUAL_SECONDS: Final = 3_600

log = structlog.get_logger()


class NotSignedIn(Exception):
    """There is no token. The message is one sentence for the delivery log; trying again may help."""


class TokenStore(Protocol):
    """Keeps tokens over restarts, sealed: a CRM may give each refresh token for one use only."""

    def load(self, key: str) -> bytes | None:
        """Return what is kept. Raises StoreUnavailable."""

    def save(self, key: str, sealed: bytes) -> None:
        """Keep it. Raises StoreUnavailable."""


@dataclass(slots=True)
class _Tokens:
    access: str
    refresh: str
    until: float
    origin: str


@dataclass(slots=True)
class Tokens:
    """Access tokens of all connections. `unix_time` is real time: a CRM's clock knows no other."""

    store: TokenStore
    unix_time: Callable[[], float] = time.time
    _kept: dict[str, _Tokens] = field(default_factory=dict)
    _locks: dict[str, Any] = field(default_factory=lambda: defaultdict(BoundedSemaphore))

    def access(
        self, key: str, sign_in: SignIn, token_url: str, secret: Mapping[str, str], connection: EndpointConnection
    ) -> str:
        """Return a token that is good now, refreshed where it must be. Raises NotSignedIn."""
        if "refresh_token" not in secret and sign_in.kind != "oauth2_client":
            if not secret.get("token"):
                raise NotSignedIn("the secret store has no token for this connection")
            return secret["token"]
        with self._locks[key]:
            tokens = self._known(key, secret)
            if tokens is None or tokens.until <= self.unix_time():
                former = tokens.refresh if tokens is not None else secret.get("refresh_token", "")
                tokens = self._fetch(sign_in, token_url, secret, former, connection)
                self._kept[key] = tokens
                self._save(key, tokens, secret)
            return tokens.access

    def forget(self, key: str, access: str) -> None:
        """Refresh before the next use: the CRM refuses this token."""
        tokens = self._kept.get(key)
        if tokens is not None and tokens.access == access:
            tokens.until = 0.0

    def _known(self, key: str, secret: Mapping[str, str]) -> _Tokens | None:
        origin = _origin(secret)
        if key in self._kept and self._kept[key].origin == origin:
            return self._kept[key]
        try:
            sealed = self.store.load(key)
            kept = orjson.loads(_seal(secret).decrypt(sealed)) if sealed else None
        except (StoreUnavailable, InvalidToken, orjson.JSONDecodeError) as error:
            log.warning("token_not_read", connection=key, reason=type(error).__name__)
            return None
        if not isinstance(kept, dict) or kept.get("origin") != origin:
            return None  # somebody has authorised it anew since
        self._kept[key] = _Tokens(**kept)
        return self._kept[key]

    def _save(self, key: str, tokens: _Tokens, secret: Mapping[str, str]) -> None:
        kept = {"access": tokens.access, "refresh": tokens.refresh, "until": tokens.until, "origin": tokens.origin}
        try:
            self.store.save(key, _seal(secret).encrypt(orjson.dumps(kept)))
        except StoreUnavailable as error:
            log.warning("token_not_kept", connection=key, reason=str(error))

    def _fetch(
        self, sign_in: SignIn, token_url: str, secret: Mapping[str, str], refresh: str, connection: EndpointConnection
    ) -> _Tokens:
        form = {"client_id": secret.get("client_id", ""), "client_secret": secret.get("client_secret", "")}
        if sign_in.kind == "oauth2_client":
            form["grant_type"] = "client_credentials"
        else:
            form |= {"grant_type": "refresh_token", "refresh_token": refresh}
        form |= {name: secret[part] for name, part in sign_in.form.items() if part in secret}
        body = urlencode(form).encode()
        headers = (
            "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n"
            f"User-Agent: Ringmaster-Webhooks/1\r\nContent-Length: {len(body)}\r\n"
        )
        answer = connection.ask("POST", target_of(token_url), headers, body, keep_bytes=KEEP_BYTES)
        document = json_of(answer)
        access = document.get("access_token")
        if answer.status != 200 or not isinstance(access, str) or not _is_plain(access):  # noqa: PLR2004 - HTTP's own
            raise NotSignedIn(answer.error or f"signing in was answered {answer.status}: authorise the connection anew")
        fresh = document.get("refresh_token")
        lasts = document.get("expires_in")
        until = self.unix_time() + (int(str(lasts)) if str(lasts).isdigit() else USUAL_SECONDS) - EARLY_SECONDS
        return _Tokens(access, fresh if isinstance(fresh, str) and fresh else refresh, until, _origin(secret))


def _is_plain(token: str) -> bool:
    """Whether a token can stand in a header: whoever answers may be anybody."""
    return 0 < len(token) <= KEEP_BYTES and token.isascii() and token.isprintable() and " " not in token


def _origin(secret: Mapping[str, str]) -> str:
    named = "|".join(secret.get(part, "") for part in ("client_id", "refresh_token"))
    return hashlib.sha256(named.encode()).hexdigest()


def _seal(secret: Mapping[str, str]) -> Fernet:
    """Return what seals tokens at rest: who reads the document store alone can't sign in anywhere."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.get("client_secret", "").encode()).digest()))


class MemoryTokenStore:
    """The same contract in memory, for tests."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load(self, key: str) -> bytes | None:
        """Return what is kept."""
        return self.kept.get(key)

    def save(self, key: str, sealed: bytes) -> None:
        """Keep it."""
        self.kept[key] = sealed
