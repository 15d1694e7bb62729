"""One spelling for each number, however a carrier, a file or a person writes it: E.164 (SPEC 3.2, 4.1, 8.2).

067…, 380…, 00380… and +380… are one client of a Ukrainian line. Whoever compares numbers compares them so: lists,
sticky agents, callbacks, unique callers, windows of rules, searches, erasures.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, ValidationResult

INTERNATIONAL_PREFIX = "00"
"""ITU-T E.123 and nearly every country outside of North America."""
_REMEMBERED = 8_192
_WRITTEN = re.compile(r"\+?[0-9(][0-9 ()./-]{3,30}", re.ASCII)


@lru_cache(maxsize=_REMEMBERED)
def normalised(number: str, line: str) -> str:
    """Return a number as E.164, read as one dials it in the line's country; empty for one that is none.

    Digits that are no number there are read as an international number whose carrier leaves out the plus, where one
    of that number plan begins so. What can only be dialled within a town is none: nobody knows the town.
    """
    parsed = _parsed(number, _region(line)) or _abroad(number)
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164) if parsed is not None else ""


def as_known(number: str, line: str) -> str:
    """Return a caller's number as it is compared and told: E.164; what is no number stays as it came."""
    if number[:1] == "+" and number[1:].isdecimal() and number.isascii():
        return number
    return normalised(number, line) or number


def written_forms(number: str, lines: Sequence[str]) -> tuple[str, ...]:
    """Return each way in which a number may stand in what is kept, E.164 first; nothing for what is no number.

    It is read as one dials it in the country of the company's first line. National forms count where any line is in
    the number's country: only there does a network tell a caller's number in that form.
    """
    e164 = normalised(number, lines[0] if lines else "")
    if not e164:
        return ()
    parsed, digits = phonenumbers.parse(e164, None), e164.removeprefix("+")
    forms = [e164, digits, INTERNATIONAL_PREFIX + digits]
    if any(_country(line) == parsed.country_code for line in lines):
        national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
        forms += ["".join(filter(str.isdigit, national)), phonenumbers.national_significant_number(parsed)]
    return tuple(dict.fromkeys(forms))


def is_callable(number: str) -> bool:
    """Whether it is a number that somebody could be called at: not withheld (anonymous, Restricted, …), no name.

    Five to seventeen digits, as people and carriers write them: the longest is 00 and fifteen of E.164.
    """
    return _WRITTEN.fullmatch(number) is not None and 5 <= sum(map(str.isdigit, number)) <= 17  # noqa: PLR2004 - above


def national_digits(number: str) -> str:
    """Return what one dials for it within its country, digits alone: 0671112233 of +380671112233; empty for no number.

    People write numbers into a CRM so.
    """
    parsed = _parsed(number, None)
    national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL) if parsed is not None else ""
    return "".join(filter(str.isdigit, national))


def significant_digits(number: str) -> str:
    """Return it without its country's code and without what is dialled before it: 671112233; empty for no number."""
    parsed = _parsed(number, None)
    return phonenumbers.national_significant_number(parsed) if parsed is not None else ""


def _parsed(number: str, region: str | None) -> PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    whole = phonenumbers.is_possible_number_with_reason(parsed) == ValidationResult.IS_POSSIBLE
    return parsed if whole else None


def _abroad(digits: str) -> PhoneNumber | None:
    parsed = _parsed(f"+{digits}", None) if digits.isdecimal() and digits.isascii() else None
    return parsed if parsed is not None and phonenumbers.is_valid_number(parsed) else None


@lru_cache(maxsize=_REMEMBERED)
def _region(line: str) -> str | None:
    parsed = _parsed(line, None)
    return phonenumbers.region_code_for_number(parsed) if parsed is not None else None


def _country(line: str) -> int:
    parsed = _parsed(line, None)
    return (parsed.country_code or 0) if parsed is not None else 0
