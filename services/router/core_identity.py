"""Which core decides: two routers replay a log alike only when their cores are the same (DESIGN rule 4)."""

from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

_DOMAIN = Path(__file__).with_name("domain")
_SHARED = Path(__file__).parent.with_name("shared")
SHARED = ("destinations", "expressions", "mail_address", "opening_hours", "phone_number", "sentence", "templates")
"""What decides with the core and lies beside it."""
LIBRARIES = ("common-expression-language", "orjson", "phonenumbers")
"""Whose newer version may answer otherwise: what a condition comes to, what a number is, how a record is written."""


@cache
def core_identity() -> str:
    """Return a name that is another one as soon as anything of the core is: 16 hexadecimal digits."""
    digest = blake2b(digest_size=8)
    for file in sorted(_DOMAIN.rglob("*.py")):
        digest.update(file.relative_to(_DOMAIN).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    for name in SHARED:
        digest.update(name.encode() + b"\0" + (_SHARED / f"{name}.py").read_bytes() + b"\0")
    for name in LIBRARIES:
        digest.update(f"{name} {version(name)}\0".encode())
    return digest.hexdigest()
