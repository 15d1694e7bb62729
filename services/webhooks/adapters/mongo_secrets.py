import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.webhooks.adapters.mongo import Document, guarded
from services.webhooks.domain.signing import DatedSecret, parse_secret

_NONCE_BYTES = 12


class BadKey(Exception):
    """The kept secrets can't be opened: the file's key is another than they were kept with."""


class MongoSecrets:
    """`webhook_secrets`: the secrets that were made here, each encrypted (AES-256-GCM) for its own place alone."""

    def __init__(self, database: Any, key: bytes) -> None:
        self._secrets = database["webhook_secrets"]
        self._cipher = AESGCM(key)

    @guarded
    def keep(self, name: str, secrets: list[tuple[str, float | None]], others_until: float | None) -> None:
        """Keep an endpoint's secrets, newest first, with the moment each ends; others end at `others_until`."""
        kept = [{"sealed": self._sealed(name, text), "until": until} for text, until in secrets]
        self._secrets.update_one({"_id": name}, {"$set": {"secrets": kept, "others_until": others_until}}, upsert=True)

    @guarded
    def all(self) -> dict[str, tuple[list[tuple[str, float | None]], float | None]]:
        """Return the secrets of every name, and when others end."""
        return {one["_id"]: (self._opened(one), one["others_until"]) for one in self._secrets.find()}

    def _sealed(self, name: str, text: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), name.encode())

    def _opened(self, document: Document) -> list[tuple[str, float | None]]:
        opened = []
        for one in document["secrets"]:
            nonce, sealed = bytes(one["sealed"][:_NONCE_BYTES]), bytes(one["sealed"][_NONCE_BYTES:])
            try:
                text = self._cipher.decrypt(nonce, sealed, document["_id"].encode()).decode()
            except InvalidTag as error:
                raise BadKey(
                    "The key among the webhooks' secrets is not the one that the made secrets were kept with."
                ) from error
            opened.append((text, one["until"]))
        return opened


def dated(secrets: list[tuple[str, float | None]]) -> tuple[DatedSecret, ...]:
    """Return secrets ready to sign with."""
    return tuple(DatedSecret(parse_secret(text), until) for text, until in secrets)
