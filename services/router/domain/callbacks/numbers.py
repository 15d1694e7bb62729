"""Numbers of customers: how they are written, and where they may lie (SPEC 4.1, 4.2)."""

from functools import lru_cache

import phonenumbers
from phonenumbers import timezone

_REMEMBERED = 8_192
_DEAR_TYPES = frozenset({phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST})
_DEAR_NETWORKS = frozenset({870, 878, 881, 882, 883, 979})
"""Country codes of satellites, of networks without a country, and of the international premium rate (ITU-T E.164)."""
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


@lru_cache(maxsize=_REMEMBERED)
def is_high_risk(number: str) -> bool:
    """Whether calls to an E.164 number cost much, or earn for whom they reach: premium rate, shared cost, satellite."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return False
    return parsed.country_code in _DEAR_NETWORKS or phonenumbers.number_type(parsed) in _DEAR_TYPES


@lru_cache(maxsize=_REMEMBERED)
def time_zones(number: str) -> tuple[str, ...]:
    """Return every IANA time zone that an E.164 number may lie in; none where nobody knows."""
    found = timezone.time_zones_for_number(phonenumbers.parse(number, None))
    return tuple(zone for zone in found if zone != _UNKNOWN)
