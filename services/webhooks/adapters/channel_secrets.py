import json
from pathlib import Path
from typing import Any

import structlog

from services.webhooks.adapters.secrets_file import SecretsUnreadable

log = structlog.get_logger()


class ChannelSecrets:
    """What channels sign in with, by "<tenant>/<secret_ref>": {"token": …}, {"url": …}, {"user": …, "password": …}.

    From a JSON file that is read again when it changes; without a file there are none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._secrets: dict[str, dict[str, str]] = {}
        self._load()

    def all_of(self, tenant_id: str, secret_ref: str) -> dict[str, str]:
        """Return a secret's parts, none where there is no such secret."""
        return self._secrets.get(f"{tenant_id}/{secret_ref}", {})

    def text(self, tenant_id: str, secret_ref: str, part: str) -> str:
        """Return one part of a secret, empty where there is none."""
        return self.all_of(tenant_id, secret_ref).get(part, "")

    def refresh(self) -> None:
        """Read the file again if it changed; keep what was when it can't be read."""
        try:
            self._load()
        except SecretsUnreadable as error:
            log.warning("channel_secrets_unreadable", reason=str(error))

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp == self._stamp:
                return
            self._secrets = parse_channel_secrets(self._path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SecretsUnreadable(f"{self._path}: {error.strerror}") from error
        self._stamp = stamp


def parse_channel_secrets(text: str) -> dict[str, dict[str, str]]:
    """Read {"<tenant>/<secret_ref>": {"<part>": "<text>"}}; raise SecretsUnreadable without showing a secret."""
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise SecretsUnreadable("the channels' secrets are not JSON") from error
    if not isinstance(document, dict) or not all(_is_secret(entry) for entry in document.values()):
        raise SecretsUnreadable('the channels\' secrets must be {"<tenant>/<secret_ref>": {"<part>": "<text>"}}')
    return document


def _is_secret(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(part, str) for part in entry.values())
