"""One spelling for each number (SPEC 3.2, 4.1, 8.2)."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from services.shared.phone_number import as_known, is_callable, national_digits, normalised, significant_digits

KYIV = "+380441000001"
CLIENT = "+380671112233"
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@pytest.mark.parametrize(
    "written",
    [
        "+380671112233",
        "380671112233",
        "0671112233",
        "00380671112233",
        "671112233",
        "+38 (067) 111-22-33",
        "067-111 22 33",
    ],
)
def test_a_client_is_one_however_the_carrier_writes_the_number(written: str) -> None:
    assert as_known(written, KYIV) == normalised(written, KYIV) == CLIENT


@pytest.mark.parametrize("written", ["442071838750", "00442071838750", "+442071838750"])
def test_a_caller_from_abroad_is_one_with_and_without_the_plus(written: str) -> None:
    assert as_known(written, KYIV) == "+442071838750"


@pytest.mark.parametrize("written", ["", "anonymous", "Restricted", "101", "234567", "12", "olena", "+", "1" * 300])
def test_what_is_no_number_stays_as_it_came(written: str) -> None:
    assert normalised(written, KYIV) == ""
    assert as_known(written, KYIV) == written


@pytest.mark.parametrize("line", ["", "sales", "+", "0441000001"])
def test_a_line_that_tells_no_country_changes_no_national_number(line: str) -> None:
    assert as_known("0671112233", line) == "0671112233"
    assert as_known("+380671112233", line) == CLIENT


@pytest.mark.parametrize("region", REGIONS)
def test_every_country_dials_its_numbers_in_its_own_way(region: str) -> None:
    """Held against what the library writes for people: at home, and from a neighbour of another number plan."""
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.FIXED_LINE)
    if example is None or phonenumbers.region_code_for_number(example) != region:
        pytest.skip("no number of its own")
    e164 = phonenumbers.format_number(example, PhoneNumberFormat.E164)
    assert normalised(phonenumbers.format_number(example, PhoneNumberFormat.NATIONAL), e164) == e164
    assert normalised("00" + e164[1:], KYIV if region != "UA" else "+442071838750") == e164


@given(written=st.text("+0123456789 ()-abc", max_size=20), line=st.sampled_from([KYIV, "+12125550100", "+74951234567"]))
def test_a_number_that_is_known_stays_what_it_is(written: str, line: str) -> None:
    known = as_known(written, line)
    assert as_known(known, line) == known


@pytest.mark.parametrize(
    ("number", "national", "significant"),
    [
        ("+380671112233", "0671112233", "671112233"),
        ("+34911234567", "911234567", "911234567"),
        ("+16502530000", "6502530000", "6502530000"),
        ("anonymous", "", ""),
        ("", "", ""),
        ("+380", "", ""),
    ],
)
def test_a_number_is_told_as_people_write_it_in_its_country(number: str, national: str, significant: str) -> None:
    assert (national_digits(number), significant_digits(number)) == (national, significant)


@pytest.mark.parametrize(
    ("number", "is_one"),
    [
        *((number, True) for number in ("+380671112233", "0671112233", "00380671112233", "(067) 111-22-33", "10501")),
        *((number, False) for number in ("", "+", "112", "anonymous", "Restricted", "unknown", "alice55555", "1" * 18)),
        *(
            (number, False)
            for number in ("sip:12345@x", "+38067\r\nX: y", "\u0661" * 9, "12345;ext=1", "+380\u202e6711")
        ),
    ],
)
def test_who_could_be_called_has_a_number_and_no_name(number: str, *, is_one: bool) -> None:
    assert is_callable(number) is is_one
