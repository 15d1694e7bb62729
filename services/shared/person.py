"""A person by number, as the log may name one: sealed for the services that must find the person, hashed for reports.

Both are made with the platform's erasure secret. Who holds it could try out every number against the hash (there are
fewer than 2^50 of them), so the seal gives away no more than the hash does; who does not hold it learns nothing.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

SHORTEST_SECRET: Final = 32
NO_SECRET: Final = "RINGMASTER_ERASURE_SECRET is not set for this service"  # noqa: S105 - a sentence
_KEY_BYTES: Final = 64


class BadSecret(ValueError):
    """The secret can't be used. It ends a service at its start; the message does not show it."""


class NotReadable(Exception):
    """These numbers can't be opened: without a secret, with another one, or changed. One sentence."""


class PersonSeal:
    """Seals and opens a person's numbers. The same person and erasure are sealed to the same bytes (RFC 5297)."""

    def __init__(self, secret: str) -> None:
        """Take the secret, empty for none: then nothing can be opened. Raises BadSecret for a short one."""
        if secret and len(secret) < SHORTEST_SECRET:
            raise BadSecret(f"RINGMASTER_ERASURE_SECRET must have at least {SHORTEST_SECRET} characters")
        self._cipher = AESSIV(_derived(secret, b"seal")) if secret else None
        self._digest_key = _derived(secret, b"person") if secret else b""

    def __bool__(self) -> bool:
        return self._cipher is not None

    def person(self, tenant_id: str, number: str) -> str:
        """Return what stands for a person of a tenant in reports, hexadecimal. Raises NotReadable without a secret."""
        self._needed()
        return hmac.new(self._digest_key, f"{tenant_id}\0{number}".encode(), hashlib.sha256).hexdigest()

    def seal(self, tenant_id: str, erasure_id: str, numbers: Sequence[str]) -> bytes:
        """Return the numbers sealed for one erasure of one tenant. Raises NotReadable without a secret."""
        return self._needed().encrypt("\n".join(numbers).encode(), _bound(tenant_id, erasure_id))

    def open(self, tenant_id: str, erasure_id: str, sealed: bytes) -> tuple[str, ...]:
        """Return the numbers. Raises NotReadable."""
        try:
            return tuple(self._needed().decrypt(sealed, _bound(tenant_id, erasure_id)).decode().split("\n"))
        except (InvalidTag, ValueError) as error:
            raise NotReadable("the person's numbers are sealed under another RINGMASTER_ERASURE_SECRET") from error

    def open_or_none(self, tenant_id: str, erasure_id: str, sealed: bytes) -> tuple[str, ...]:
        """Return the numbers, none where they can't be read: for who is told so elsewhere."""
        try:
            return self.open(tenant_id, erasure_id, sealed)
        except NotReadable:
            return ()

    def _needed(self) -> AESSIV:
        if self._cipher is None:
            raise NotReadable(NO_SECRET)
        return self._cipher


def _bound(tenant_id: str, erasure_id: str) -> list[bytes]:
    return [tenant_id.encode(), erasure_id.encode()]


def _derived(secret: str, purpose: bytes) -> bytes:
    """Return a key for one purpose: the secret has entropy enough, or no stretching would help it."""
    return hashlib.sha512(b"ringmaster/erasure/" + purpose + b"\0" + secret.encode()).digest()[:_KEY_BYTES]
