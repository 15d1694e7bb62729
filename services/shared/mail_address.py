"""What a mail address is here: RFC 5321's dot-string at a host's name, in ASCII; no quoting, no comments, no list."""

import re
from typing import Final

ADDRESS_PATTERN: Final = (
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
LONGEST_ADDRESS: Final = 200
"""Of a caller: what events carry whole (RFC 5321 lets an address be longer, and nobody's is)."""
_is_address = re.compile(ADDRESS_PATTERN).fullmatch


def is_address(text: str) -> bool:
    """Whether this is one address, and a mail can be sent to it without quoting anything."""
    return len(text) <= LONGEST_ADDRESS and _is_address(text) is not None
