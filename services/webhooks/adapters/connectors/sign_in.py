"""Signing in to CRMs: tokens that are refreshed, kept and used by one at a time (RFC 6749, 6).

Some CRMs take each refresh token once, and end a whole authorisation where an old one is shown again. So of all
processes one alone refreshes, which it claims in the store; the others wait for what it gets.
"""

import base64
import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import gevent
import orjson
import structlog
from cryptography.fernet import Fernet, InvalidToken
from gevent.lock import BoundedSemaphore

from services.shared.outbound.connection import Answer
from services.shared.outbound.target import target_of
from services.webhooks.adapters.channels.http import json_of
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.connectors.description import SignIn
from services.webhooks.domain.ladder import retry_after_seconds
from services.webhooks.domain.outcome import HTTP_TOO_MANY
from services.webhooks.waiting import StoreUnavailable

KEEP_BYTES: Final = 16_384
HTTP_SERVER_ERROR: Final = 500
# A token counts as over so long before its end: a request is under way for a while. Seconds.
EARLY_SECONDS: Final = 60
USUAL_SECONDS: Final = 3_600
# Longer than a request may take: whoever is killed with the claim keeps the others waiting for so long.
CLAIM_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.25
# So long somebody waits for another process's refresh before this try is given up for now.
PATIENCE_SECONDS: Final = 5.0

log = structlog.get_logger()


class NotSignedIn(Exception):
    """There is no token. The message is one sentence for the delivery log; trying again may help.

    `status` and `retry_after` (seconds) are those of a sign-in that takes no more requests for now, else 0 and None.
    """

    def __init__(self, message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class TokenStore(Protocol):
    """Keeps tokens over restarts, sealed: a CRM may give each refresh token for one use only."""

    def load(self, key: str) -> bytes | None:
        """Return what is kept. Raises StoreUnavailable."""

    def save(self, key: str, sealed: bytes) -> None:
        """Keep it, and end the claim. Raises StoreUnavailable."""

    def claim(self, key: str, now: float, until: float) -> bool:
        """Whether the caller alone may refresh until then, Unix times. Raises StoreUnavailable."""

    def let_go(self, key: str) -> None:
        """End a claim that has brought nothing. Raises StoreUnavailable."""


@dataclass(slots=True)
class _Tokens:
    access: str
    refresh: str
    until: float
    origin: str


@dataclass(frozen=True, slots=True)
class _Wish:
    """Whose token is wanted, and where it comes from."""

    key: str
    sign_in: SignIn
    token_url: str
    secret: Mapping[str, str]


@dataclass(slots=True)
class Tokens:
    """Access tokens of all connections. `unix_time` is real time: a CRM's clock knows no other."""

    store: TokenStore
    unix_time: Callable[[], float] = time.time
    patience_seconds: float = PATIENCE_SECONDS
    _kept: dict[str, _Tokens] = field(default_factory=dict)
    _unsaved: set[str] = field(default_factory=set)
    _locks: dict[str, Any] = field(default_factory=lambda: defaultdict(BoundedSemaphore))

    def access(
        self, key: str, sign_in: SignIn, token_url: str, secret: Mapping[str, str], connection: EndpointConnection
    ) -> str:
        """Return a token that is good now, refreshed where it must be. Raises NotSignedIn."""
        if not is_refreshed(sign_in, secret):
            if not secret.get("token"):
                raise NotSignedIn("the secret store has no token for this connection")
            return secret["token"]
        wish = _Wish(key, sign_in, token_url, secret)
        with self._locks[key]:
            tokens = self._known(wish)
            if tokens is None or tokens.until <= self.unix_time():
                tokens = self._kept[key] = self._newer(wish, tokens, connection)
            elif key in self._unsaved:
                self._save(wish, tokens)
            return tokens.access

    def forget(self, key: str, access: str) -> None:
        """Refresh before the next use: the CRM refuses this token."""
        tokens = self._kept.get(key)
        if tokens is not None and tokens.access == access:
            tokens.until = 0.0

    def _known(self, wish: _Wish) -> _Tokens | None:
        kept = self._kept.get(wish.key)
        if kept is not None and kept.origin == _origin(wish.secret):
            return kept
        found = self._stored(wish)
        if found is not None:
            self._kept[wish.key] = found
        return found

    def _newer(self, wish: _Wish, former: _Tokens | None, connection: EndpointConnection) -> _Tokens:
        """Refresh as the only one, or take what another process has got meanwhile. Raises NotSignedIn."""
        deadline = time.monotonic() + self.patience_seconds
        while not self._claims(wish.key):
            if (found := self._got_elsewhere(wish, former)) is not None:
                return found
            if time.monotonic() >= deadline:
                raise NotSignedIn("another process is signing in and has not got a token yet")
            gevent.sleep(LOOK_SECONDS)
        saved = False
        try:
            found = self._got_elsewhere(wish, former)
            if found is None:
                found = self._fetch(wish, self._refresh_token(wish, former), connection)
                saved = self._save(wish, found)
            return found
        finally:
            if not saved:
                self._let_go(wish.key)

    def _got_elsewhere(self, wish: _Wish, former: _Tokens | None) -> _Tokens | None:
        found = self._stored(wish)
        is_new = found is not None and (former is None or found.access != former.access)
        return found if found is not None and is_new and found.until > self.unix_time() else None

    def _refresh_token(self, wish: _Wish, former: _Tokens | None) -> str:
        """Return the newest one that is known: what is only in memory, else the stored one, else the secret's."""
        if wish.key in self._unsaved and former is not None:
            return former.refresh
        known = self._stored(wish) or former
        return known.refresh if known is not None else wish.secret.get("refresh_token", "")

    def _stored(self, wish: _Wish) -> _Tokens | None:
        try:
            sealed = self.store.load(wish.key)
            kept = orjson.loads(_seal(wish.secret).decrypt(sealed)) if sealed else None
        except (StoreUnavailable, InvalidToken, orjson.JSONDecodeError) as error:
            log.warning("token_not_read", connection=wish.key, reason=type(error).__name__)
            return None
        if not isinstance(kept, dict) or kept.get("origin") != _origin(wish.secret):
            return None  # somebody has authorised it anew since
        return _Tokens(**kept)

    def _save(self, wish: _Wish, tokens: _Tokens) -> bool:
        """Keep a token, now or at its next use; return whether it is kept."""
        try:
            self.store.save(wish.key, _seal(wish.secret).encrypt(orjson.dumps(asdict(tokens))))
        except StoreUnavailable as error:
            self._unsaved.add(wish.key)
            log.warning("token_not_kept", connection=wish.key, reason=str(error))
            return False
        self._unsaved.discard(wish.key)
        return True

    def _claims(self, key: str) -> bool:
        now = self.unix_time()
        try:
            return self.store.claim(key, now, now + CLAIM_SECONDS)
        except StoreUnavailable as error:
            # Better two that refresh than none that signs in.
            log.warning("token_not_claimed", connection=key, reason=str(error))
            return True

    def _let_go(self, key: str) -> None:
        try:
            self.store.let_go(key)
        except StoreUnavailable as error:
            log.warning("token_not_let_go", connection=key, reason=str(error))

    def _fetch(self, wish: _Wish, refresh: str, connection: EndpointConnection) -> _Tokens:
        sign_in, secret = wish.sign_in, wish.secret
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
        answer = connection.ask("POST", target_of(wish.token_url), headers, body, keep_bytes=KEEP_BYTES)
        document = json_of(answer)
        access = document.get("access_token")
        if answer.status != 200 or not isinstance(access, str) or not _is_plain(access):  # noqa: PLR2004 - HTTP's own
            raise _not_signed_in(answer)
        fresh = document.get("refresh_token")
        lasts = document.get("expires_in")
        # Written by a stranger: isdigit alone takes signs that int does not, and more of them than int does.
        seconds = int(str(lasts)) if re.fullmatch("[0-9]{1,9}", str(lasts)) else USUAL_SECONDS
        until = self.unix_time() + seconds - EARLY_SECONDS
        return _Tokens(access, fresh if isinstance(fresh, str) and fresh else refresh, until, _origin(secret))


def is_refreshed(sign_in: SignIn, secret: Mapping[str, str]) -> bool:
    """Whether tokens of this connection end and are got anew."""
    return sign_in.kind == "oauth2_client" or "refresh_token" in secret


def _not_signed_in(answer: Answer) -> NotSignedIn:
    """Return why there is no token: only a refusal means that somebody has to authorise the connection anew."""
    if answer.error:
        return NotSignedIn(answer.error)
    if answer.status == HTTP_TOO_MANY or answer.status >= HTTP_SERVER_ERROR:
        asked = retry_after_seconds(answer.retry_after, time.time()) if answer.retry_after else None
        return NotSignedIn(f"signing in was answered {answer.status}: it is tried again", answer.status, asked)
    return NotSignedIn(f"signing in was answered {answer.status}: authorise the connection anew")


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
        self.claims: dict[str, float] = {}

    def load(self, key: str) -> bytes | None:
        """Return what is kept."""
        return self.kept.get(key)

    def save(self, key: str, sealed: bytes) -> None:
        """Keep it."""
        self.kept[key] = sealed
        self.claims.pop(key, None)

    def claim(self, key: str, now: float, until: float) -> bool:
        """Claim it."""
        if self.claims.get(key, now) > now:
            return False
        self.claims[key] = until
        return True

    def let_go(self, key: str) -> None:
        """End a claim."""
        self.claims.pop(key, None)
