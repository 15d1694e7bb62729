import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

PREFIX = "whsec_"
# Standard Webhooks 1.0.0, "Signature scheme": between 24 and 64 bytes.
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64


class BadSecret(ValueError):
    """A secret is not `whsec_` and base64 of 24 to 64 bytes. The message never holds the secret."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A shared key of an endpoint."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Secret":
        """Read `whsec_<base64>`; raise BadSecret."""
        if not text.startswith(PREFIX):
            raise BadSecret(f"a webhook secret must begin with {PREFIX}")
        encoded = text.removeprefix(PREFIX).rstrip("=")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadSecret("a webhook secret must be base64 after its prefix") from error
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise BadSecret(f"a webhook secret must hold {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes")
        return cls(key)


def signatures(secrets: tuple[Secret, ...], delivery_id: str, timestamp: int, payload: bytes) -> str:
    """Return the webhook-signature header: one `v1,<base64>` a secret, so that a receiver may change keys in peace.

    `timestamp` is real time, seconds since 1970 UTC. (Standard Webhooks 1.0.0)
    """
    signed = b"%b.%d.%b" % (delivery_id.encode(), timestamp, payload)
    return " ".join("v1," + _mac(secret, signed) for secret in secrets)


def _mac(secret: Secret, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.key, signed, hashlib.sha256)).decode()
