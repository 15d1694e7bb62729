"""Signatures of Standard Webhooks 1.0.0, both schemes: v1 (HMAC-SHA256, shared secret) and v1a (ed25519, key pair)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of every secret, none itself
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
# Standard Webhooks 1.0.0, "Signature scheme": between 24 and 64 bytes.
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
SEED_BYTES = 32


class BadSecret(ValueError):
    """A secret is neither `whsec_` nor `whsk_` and base64 of the right length. The message never holds the secret."""


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A key that both sides know."""

    key: bytes = field(repr=False)

    def signature(self, signed: bytes) -> str:
        """Return `v1,<base64>`."""
        return "v1," + base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of ours; the receiver knows only the public one, so nobody there can sign as we do."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """What the receiver verifies with: `whpk_<base64>`."""
        return PUBLIC_PREFIX + base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def signature(self, signed: bytes) -> str:
        """Return `v1a,<base64>`."""
        return "v1a," + base64.b64encode(self.key.sign(signed)).decode()


Secret: TypeAlias = SharedSecret | SigningKey


@dataclass(frozen=True, slots=True)
class DatedSecret:
    """A secret in a rotation: the old one signs beside the new one until a moment, Unix seconds; None = for good."""

    secret: Secret
    until: float | None = None


def parse_secret(text: str) -> Secret:
    """Read `whsec_<base64>`, or `whsk_<base64>` of the seed or of seed and public key; raise BadSecret."""
    if text.startswith(SECRET_PREFIX):
        key = _decoded(text.removeprefix(SECRET_PREFIX))
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise BadSecret(f"a {SECRET_PREFIX} secret must hold {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes")
        return SharedSecret(key)
    if text.startswith(PRIVATE_PREFIX):
        return _signing_key(_decoded(text.removeprefix(PRIVATE_PREFIX)))
    raise BadSecret(f"a webhook secret must begin with {SECRET_PREFIX} or {PRIVATE_PREFIX}")


def in_force(secrets: Iterable[DatedSecret], now: float) -> tuple[Secret, ...]:
    """Return the secrets that sign at a moment, Unix seconds."""
    return tuple(dated.secret for dated in secrets if dated.until is None or now < dated.until)


def signatures(secrets: tuple[Secret, ...], delivery_id: str, timestamp: int, payload: bytes) -> str:
    """Return the webhook-signature header: one signature a secret, so that a receiver may change keys in peace.

    `timestamp` is real time, seconds since 1970 UTC. (Standard Webhooks 1.0.0)
    """
    signed = b"%b.%d.%b" % (delivery_id.encode(), timestamp, payload)
    return " ".join(secret.signature(signed) for secret in secrets)


def _signing_key(key: bytes) -> SigningKey:
    if len(key) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise BadSecret(f"a {PRIVATE_PREFIX} key must hold {SEED_BYTES} or {2 * SEED_BYTES} bytes")
    private = Ed25519PrivateKey.from_private_bytes(key[:SEED_BYTES])
    if key[SEED_BYTES:] not in (b"", private.public_key().public_bytes_raw()):
        raise BadSecret(f"the public half of a {PRIVATE_PREFIX} key belongs to another private half")
    return SigningKey(private)


def _decoded(text: str) -> bytes:
    encoded = text.rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret("a webhook secret must be base64 after its prefix") from error
