"""Where a customer's number may lie (SPEC 4.2)."""

from functools import lru_cache

import phonenumbers
from phonenumbers import timezone

_REMEMBERED = 8_192
_UNKNOWN = "Etc/Unknown"


@lru_cache(maxsize=_REMEMBERED)
def time_zones(number: str) -> tuple[str, ...]:
    """Return every IANA time zone that an E.164 number may lie in; none where nobody knows."""
    found = timezone.time_zones_for_number(phonenumbers.parse(number, None))
    return tuple(zone for zone in found if zone != _UNKNOWN)
