"""One person, however the number is written: what callers' networks, files and people make of the same E.164 number."""

from collections.abc import Sequence

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

INTERNATIONAL_PREFIX = "00"
"""ITU-T E.123 and nearly every country outside of North America."""


def written_forms(number: str, lines: Sequence[str]) -> tuple[str, ...]:
    """Return each way in which a number may stand in what is kept, E.164 first; nothing for what is no number.

    It is read as one dials it in the country of the company's first line. National forms count where any line is in
    the number's country: only there does a network tell a caller's number in that form.
    """
    parsed = _parsed(number, _region(lines[0]) if lines else None)
    if parsed is None:
        return ()
    e164 = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    digits = e164.removeprefix("+")
    forms = [e164, digits, INTERNATIONAL_PREFIX + digits]
    if any(_country(line) == parsed.country_code for line in lines):
        national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
        forms += ["".join(filter(str.isdigit, national)), phonenumbers.national_significant_number(parsed)]
    return tuple(dict.fromkeys(forms))


def _parsed(number: str, region: str | None) -> PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None


def _region(line: str) -> str | None:
    parsed = _parsed(line, None)
    return phonenumbers.region_code_for_number(parsed) if parsed is not None else None


def _country(line: str) -> int:
    parsed = _parsed(line, None)
    return (parsed.country_code or 0) if parsed is not None else 0
