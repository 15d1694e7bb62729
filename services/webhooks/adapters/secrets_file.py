import base64
import json
from datetime import datetime
from pathlib import Path

import structlog

from services.webhooks.domain.identity import ClientCertificate
from services.webhooks.domain.signing import BadSecret, DatedSecret, parse_secret

KEY_NAME = "key"
KEY_BYTES = 32
_PROOFS = frozenset(("certificate", "private_key", "client_secret"))

log = structlog.get_logger()


class SecretsUnreadable(Exception):
    """The file of secrets can't be read. At start it ends the service; later the old secrets stay in force."""


class SecretsFile:
    """The secrets by "<tenant>/<secret_ref>", newest first, from a JSON file that is read again when it changes.

    A mounted Kubernetes secret is such a file. A rotation is a list of two; the old one may say when it ends, so that
    nobody has to come back: {"secret": "whsec_...", "until": "2027-01-01T00:00:00Z"}. The name "key" (no tenant has it)
    holds 32 bytes in base64, with which secrets made over the API are kept in the document store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)
        self._secrets: dict[str, tuple[DatedSecret, ...]] = {}
        self._proofs: dict[str, dict[str, str]] = {}
        self.key: bytes | None = None
        self._load()

    def secrets_of(self, tenant_id: str, secret_ref: str) -> tuple[DatedSecret, ...]:
        """Return the secrets of an endpoint, none when there are none."""
        return self._secrets.get(f"{tenant_id}/{secret_ref}", ())

    def certificate_of(self, tenant_id: str, reference: str) -> ClientCertificate | None:
        """Return a client certificate: an entry {"certificate": PEM, "private_key": PEM}."""
        entry = self._proofs.get(f"{tenant_id}/{reference}", {})
        if "certificate" not in entry or "private_key" not in entry:
            return None
        return ClientCertificate(entry["certificate"], entry["private_key"])

    def client_secret_of(self, tenant_id: str, reference: str) -> str | None:
        """Return an OAuth client's secret: an entry {"client_secret": text}."""
        return self._proofs.get(f"{tenant_id}/{reference}", {}).get("client_secret")

    def refresh(self) -> None:
        """Read the file again if it changed; keep what was when it can't be read."""
        try:
            if self._stamp != self._stamp_now():
                self._load()
        except SecretsUnreadable as error:
            log.warning("webhook_secrets_unreadable", reason=str(error))

    def _stamp_now(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise SecretsUnreadable(f"{self._path}: {error.strerror}") from error
        return status.st_mtime_ns, status.st_size

    def _load(self) -> None:
        stamp = self._stamp_now()
        text = self._read()
        self._secrets, self._proofs, self.key = parse_secrets(text), parse_proofs(text), parse_key(text)
        self._stamp = stamp

    def _read(self) -> str:
        try:
            return self._path.read_text()
        except OSError as error:
            raise SecretsUnreadable(f"{self._path}: {error.strerror}") from error


def parse_secrets(text: str) -> dict[str, tuple[DatedSecret, ...]]:
    """Read {"<tenant>/<secret_ref>": ["whsec_new", "whsec_old"]}; raise SecretsUnreadable without showing a secret."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise SecretsUnreadable("the secrets must be a JSON object")
        named = {str(name): entry for name, entry in document.items() if name != KEY_NAME and not _is_proof(entry)}
        return {name: tuple(_dated(secret) for secret in _listed(entry)) for name, entry in named.items()}
    except BadSecret as error:
        raise SecretsUnreadable(str(error)) from error
    except ValueError as error:
        raise SecretsUnreadable("the secrets are not JSON") from error


def _is_proof(entry: object) -> bool:
    return isinstance(entry, dict) and not entry.keys().isdisjoint(_PROOFS)


def parse_proofs(text: str) -> dict[str, dict[str, str]]:
    """Read the certificates and clients' secrets of a file that `parse_secrets` has read."""
    proofs = {str(name): entry for name, entry in json.loads(text).items() if _is_proof(entry)}
    for name, entry in proofs.items():
        if not set(entry) <= _PROOFS or not all(isinstance(value, str) for value in entry.values()):
            raise SecretsUnreadable(f"{name}: a proof has the texts certificate and private_key, or client_secret")
    return proofs


def parse_key(text: str) -> bytes | None:
    """Read the key of made secrets out of a file that `parse_secrets` has read; raise SecretsUnreadable."""
    entry = json.loads(text).get(KEY_NAME)
    if entry is None:
        return None
    try:
        key = base64.b64decode(entry, validate=True)
    except (TypeError, ValueError) as error:
        raise SecretsUnreadable(f'"{KEY_NAME}" among the secrets must be a text in base64') from error
    if len(key) != KEY_BYTES:
        raise SecretsUnreadable(f'"{KEY_NAME}" must hold {KEY_BYTES} bytes, for example of: openssl rand -base64 32')
    return key


def _listed(entry: object) -> list[object]:
    secrets = entry if isinstance(entry, list) else [entry]
    if not secrets:
        raise SecretsUnreadable("each entry of the secrets names at least one")
    return secrets


def _dated(entry: object) -> DatedSecret:
    text, until = (entry.get("secret"), entry.get("until")) if isinstance(entry, dict) else (entry, None)
    if not isinstance(text, str) or not isinstance(until, str | None):
        raise SecretsUnreadable('a secret is a text, or {"secret": text, "until": moment}')
    return DatedSecret(parse_secret(text), None if until is None else _moment(until))


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SecretsUnreadable("the end of a secret is no moment like 2027-01-01T00:00:00Z") from error
    if moment.tzinfo is None:
        raise SecretsUnreadable("the end of a secret needs its time zone, for example Z")
    return moment.timestamp()
