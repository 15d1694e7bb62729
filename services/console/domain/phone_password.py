import base64
import hashlib
import hmac
from typing import Final

SHORTEST_SECRET: Final = 16
_LENGTH: Final = 32


def phone_password(secret: str, user: str, domain: str) -> str:
    """Return a phone's password: derived from one secret, so that none is stored. A new secret changes all."""
    digest = hmac.new(secret.encode(), f"phone\0{user}\0{domain}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()[:_LENGTH]


def a1_hash(user: str, realm: str, password: str) -> str:
    """Return A1 of SIP's digest authentication (RFC 2617 3.2.2.2), which fixes MD5: what FreeSWITCH compares with."""
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()
