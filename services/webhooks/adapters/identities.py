import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from gevent import ssl
from gevent.lock import Semaphore

from services.shared.outbound.connection import OutboundConnection
from services.shared.outbound.dial import Outside
from services.shared.outbound.target import BadUrl, target_of
from services.webhooks.adapters.secrets_file import SecretsFile
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.identity import ClientCertificate, NoIdentity, Oauth

# A token that ends so soon is got anew: it must outlive the way to the endpoint, seconds.
SPARE_SECONDS = 30.0
# RFC 6749 lets a server say nothing of a token's end.
DEFAULT_LIFE_SECONDS = 300.0
LONGEST_LIFE_SECONDS = 86_400.0
# After a refusal the token server is left alone for so long.
REFUSED_SECONDS = 5.0
MAX_TOKEN_BYTES = 16 * 1024
HTTP_OK = 200
_TOKEN_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=")


@dataclass(slots=True)
class _Token:
    text: str = ""
    until: float = 0.0
    fault: str = ""
    asking: Semaphore = field(default_factory=Semaphore)


@dataclass(slots=True)
class Identities:
    """Certificates and tokens for endpoints that ask for more than a signature (mTLS, OAuth 2 client credentials)."""

    secrets: SecretsFile
    outside: Outside
    ca_file: str | None = None
    now: Callable[[], float] = time.monotonic
    _contexts: dict[ClientCertificate, Any] = field(default_factory=dict)
    _tokens: dict[tuple[str, Oauth], _Token] = field(default_factory=dict)

    def tls_for(self, endpoint: Endpoint) -> Any:
        """Return the TLS context with an endpoint's certificate, None for the platform's own. Raises NoIdentity."""
        reference = endpoint.proof.certificate_ref
        if not reference:
            return None
        certificate = self.secrets.certificate_of(endpoint.tenant_id, reference)
        if certificate is None:
            raise NoIdentity("the endpoint's client certificate is not in the secret store")
        if certificate not in self._contexts:
            self._contexts[certificate] = _context(certificate, self.ca_file)
        return self._contexts[certificate]

    def authorization_for(self, endpoint: Endpoint) -> str:
        """Return the Authorization header's line, nothing where none is asked for. Raises NoIdentity."""
        oauth = endpoint.proof.oauth
        if oauth is None:
            return ""
        token = self._tokens.setdefault((endpoint.tenant_id, oauth), _Token())
        # One asks, the others of this endpoint wait for what it brings.
        with token.asking:
            if self.now() >= token.until:
                self._renew(token, endpoint.tenant_id, oauth)
        if token.fault:
            raise NoIdentity(token.fault)
        return f"Authorization: Bearer {token.text}\r\n"

    def refused(self, endpoint: Endpoint) -> None:
        """Forget a token that the endpoint has answered 401 to: it was taken back before its end."""
        if endpoint.proof.oauth is not None:
            self._tokens.pop((endpoint.tenant_id, endpoint.proof.oauth), None)

    def _renew(self, token: _Token, tenant_id: str, oauth: Oauth) -> None:
        try:
            token.text, life = self._ask(tenant_id, oauth)
        except NoIdentity as fault:
            token.fault, token.until = str(fault), self.now() + REFUSED_SECONDS
        else:
            token.fault, token.until = "", self.now() + max(1.0, min(life, LONGEST_LIFE_SECONDS) - SPARE_SECONDS)

    def _ask(self, tenant_id: str, oauth: Oauth) -> tuple[str, float]:
        """Get a token and how long it lives, seconds; who we are goes into the header (RFC 6749, 2.3.1)."""
        secret = self.secrets.client_secret_of(tenant_id, oauth.secret_ref)
        if secret is None:
            raise NoIdentity("the endpoint's client secret is not in the secret store")
        try:
            target = target_of(oauth.token_url)
        except BadUrl as error:
            raise NoIdentity(f"the token server: {error}") from error
        form = {"grant_type": "client_credentials"} | ({"scope": oauth.scope} if oauth.scope else {})
        body = urlencode(form).encode()
        who = b64encode(f"{quote(oauth.client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()
        headers = (
            f"Authorization: Basic {who}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        connection = OutboundConnection(self.outside)
        try:
            answer = connection.request("POST", target, headers, body, keep_bytes=MAX_TOKEN_BYTES)
        finally:
            connection.close()
        if answer.status != HTTP_OK:
            raise NoIdentity(f"the token server: {answer.error or f'it answered {answer.status}'}")
        return _token_of(answer.body)


def _token_of(body: bytes) -> tuple[str, float]:
    try:
        document = orjson.loads(body)
        text, life = document["access_token"], document.get("expires_in", DEFAULT_LIFE_SECONDS)
        seconds = float(life)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoIdentity("the token server: its answer holds no token") from error
    # RFC 6750, 2.1: nothing else can stand in the header, and nothing else may get into it.
    if not isinstance(text, str) or not text or not set(text) <= _TOKEN_SIGNS or not seconds > 0:
        raise NoIdentity("the token server: its answer holds no token")
    return text, seconds


def _context(certificate: ClientCertificate, ca_file: str | None) -> Any:
    context = ssl.create_default_context(cafile=ca_file)
    try:
        # OpenSSL reads a certificate from a file alone; this one is gone as soon as it is read.
        with NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(certificate.certificate + "\n" + certificate.private_key)
            file.flush()
            context.load_cert_chain(file.name)
    except (OSError, ValueError) as error:
        raise NoIdentity("the endpoint's client certificate can't be used") from error
    return context
