import json
from pathlib import Path

import structlog

from services.webhooks.domain.signing import BadSecret, Secret

log = structlog.get_logger()


class SecretsUnreadable(Exception):
    """The file of secrets can't be read. At start it ends the service; later the old secrets stay in force."""


class SecretsFile:
    """The secrets by "<tenant>/<secret_ref>", newest first, from a JSON file that is read again when it changes.

    A mounted Kubernetes secret is such a file; a rotation is a list of two.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)
        self._secrets: dict[str, tuple[Secret, ...]] = {}
        self._load()

    def secrets_of(self, tenant_id: str, secret_ref: str) -> tuple[Secret, ...]:
        """Return the secrets of an endpoint, none when there are none."""
        return self._secrets.get(f"{tenant_id}/{secret_ref}", ())

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
        self._secrets = parse_secrets(self._read())
        self._stamp = stamp

    def _read(self) -> str:
        try:
            return self._path.read_text()
        except OSError as error:
            raise SecretsUnreadable(f"{self._path}: {error.strerror}") from error


def parse_secrets(text: str) -> dict[str, tuple[Secret, ...]]:
    """Read {"<tenant>/<secret_ref>": ["whsec_new", "whsec_old"]}; raise SecretsUnreadable without showing a secret."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise SecretsUnreadable("the secrets must be a JSON object")
        return {str(name): tuple(Secret.parse(secret) for secret in _listed(entry)) for name, entry in document.items()}
    except BadSecret as error:
        raise SecretsUnreadable(str(error)) from error
    except ValueError as error:
        raise SecretsUnreadable("the secrets are not JSON") from error


def _listed(entry: object) -> list[str]:
    secrets = [entry] if isinstance(entry, str) else entry
    if not isinstance(secrets, list) or not secrets or not all(isinstance(secret, str) for secret in secrets):
        raise SecretsUnreadable("each entry of the secrets is a list of texts")
    return secrets
