"""Which core decides: two routers replay a log alike only when their cores are the same (DESIGN rule 4)."""

from functools import cache
from hashlib import blake2b
from pathlib import Path

_DOMAIN = Path(__file__).with_name("domain")


@cache
def core_identity() -> str:
    """Return a name that is another one as soon as any file of the core is: 16 hexadecimal digits."""
    digest = blake2b(digest_size=8)
    for file in sorted(_DOMAIN.rglob("*.py")):
        digest.update(file.relative_to(_DOMAIN).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
