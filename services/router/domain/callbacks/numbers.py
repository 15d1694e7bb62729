"""Numbers of customers: how they are written, and where they may lie (SPEC 3.2, 4.1, 4.2)."""

from functools import lru_cache

import phonenumbers
from phonenumbers import timezone

_REMEMBERED = 8_192
_UNKNOWN = "Etc/Unknown"


@lru_cache(maxsize=_REMEMBERED)
def normalised(number: str, line: str) -> str:
    """Return a number as E.164, read as one dials it in the line's country; empty for one that is none."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(line, None))
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def as_listed(number: str, line: str) -> str:
    """Return a caller's number as lists and memories have it: E.164, however the carrier writes it.

    What is no number in the line's country stays as it came.
    """
    return number if number.startswith("+") else normalised(number, line) or number


@lru_cache(maxsize=_REMEMBERED)
def time_zones(number: str) -> tuple[str, ...]:
    """Return every IANA time zone that an E.164 number may lie in; none where nobody knows."""
    found = timezone.time_zones_for_number(phonenumbers.parse(number, None))
    return tuple(zone for zone in found if zone != _UNKNOWN)
