"""What a recording's bytes add up to, and what an object store says when it holds the same bytes."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Digest:
    """Fingerprint of what is kept of one recording. `parts` are the SHA-256 of each upload part, in order."""

    size_bytes: int
    sha256: str
    parts: tuple[bytes, ...]

    @property
    def checksum(self) -> str:
        """What S3 reports as x-amz-checksum-sha256: the hash, or for several parts the hash of their hashes."""
        if len(self.parts) == 1:
            return b64encode(self.parts[0]).decode()
        return f"{b64encode(hashlib.sha256(b''.join(self.parts)).digest()).decode()}-{len(self.parts)}"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store says of an object without sending it."""

    size_bytes: int
    sha256: str | None
    """What we said of it when we sent it: proves which try it was, not that the bytes are good."""
    checksum: str | None
    """What the store computed itself; None when it doesn't."""
    encryption: str = ""
    """How the store says that it encrypts it; empty when it doesn't."""

    def can_be(self, digest: Digest) -> bool:
        """Whether nothing that the store says contradicts the digest."""
        agrees = self.checksum is None or self.checksum == digest.checksum
        return agrees and self.size_bytes == digest.size_bytes and self.sha256 == digest.sha256

    @property
    def proves_its_bytes(self) -> bool:
        """Whether the store has computed a checksum; without one the object has to be read back."""
        return self.checksum is not None
