from hashlib import sha1
from uuid import UUID

_UUID_BYTES = 16


def derived_id(partition: int, offset: int, ordinal: int) -> str:
    """Return the id of the ordinal-th output of one input: the same after any replay (DESIGN rule 3)."""
    return f"{partition}-{offset}-{ordinal}"


def derived_leg_id(tenant_id: str, partition: int, offset: int, ordinal: int) -> str:
    """Return a UUID of version 5's shape for a leg that we make: FreeSWITCH takes it as the channel's id."""
    name = f"ringmaster/{tenant_id}/{partition}/{offset}/{ordinal}"
    return str(UUID(bytes=sha1(name.encode(), usedforsecurity=False).digest()[:_UUID_BYTES], version=5))
